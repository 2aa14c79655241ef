"""What a score is worth: each measure with its interval over films and beside its base rate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import curve_fit, minimize
from scipy.stats import false_discovery_control, norm, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
)

from postergenre.films import Part, of
from postergenre.reading import (
    Scores,
    calibrate,
    logit,
    major_choice,
    major_shares,
    mean_interval,
    plain_scaling,
)

Truth = NDArray[np.bool_]
Measures = Mapping[str, float]

BIASED = ["map", "ece"]  # measures that films drawn twice raise
SURE = 0.85  # the accuracy that a network which may pass is asked for
LEAST = 20  # validation films that have to pass a cut of confidence

NAMES = {
    "macro_auroc": "macro AUROC",
    "map": "mAP",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "hit_at_1": "hit@1",
    "hit_at_3": "hit@3",
    "label_accuracy": "label-wise accuracy",
    "balanced_top1": "balanced top-1",
    "top1": "top-1",
    "balanced_set_top1": "top-1, balanced films",
    "ece": "calibration error",
}


def thresholds(validation: Part, scores: Scores) -> NDArray[np.float64]:
    """Return for each genre the threshold with the highest F1 on validation films.

    Here and in whatever else chooses, scores are all films', (films, genres) in the population's order.
    """
    truth, given = of("validation", validation).truth, scores[validation.rows]
    return np.array([_best_cut(t, s) for t, s in zip(truth.T, given.T, strict=True)])


def one_threshold(validation: Part, chances: Scores) -> float:
    """Return the one threshold for all genres with the highest micro F1 on validation films."""
    truth = of("validation", validation).truth
    return _best_cut(truth.ravel(), chances[validation.rows].ravel())


def best(validation: Part, scores: Mapping[str, Scores]) -> str:
    """Return the name of the scores with the highest mAP on validation films."""
    truth, at = of("validation", validation).truth, validation.rows
    half = np.full(truth.shape[1], 0.5)
    return max(scores, key=lambda name: multilabel(truth, scores[name][at], half)["map"])


def _best_cut(expected: NDArray[np.bool_], given: Scores) -> float:
    precision, recall, cuts = precision_recall_curve(expected, given)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(cuts[int(np.argmax(f1[:-1]))])


def macro_auroc(truth: Truth, scores: Scores) -> float:
    """Return the AUROC averaged over genres, without those that no film here carries, or every film."""
    seen = _seen(truth)
    return float(roc_auc_score(truth[:, seen], scores[:, seen]))


def _seen(truth: Truth) -> NDArray[np.bool_]:
    return np.asarray(truth.any(axis=0) & ~truth.all(axis=0))


def carried_on(
    sizes: Sequence[int], values: Sequence[float], ahead: Sequence[int]
) -> NDArray[np.float64]:
    """Return the values that a learning curve through `values` at `sizes` expects at the sizes `ahead`.

    The curve is limit - gap * size ** -rate, as Cortes et al. (NeurIPS 1993) found it, by least
    squares, with a limit of 1 at most.
    """
    if len(sizes) < 3:
        return np.full(len(ahead), np.nan)

    def law(
        size: NDArray[np.float64], limit: float, gap: float, rate: float
    ) -> NDArray[np.float64]:
        return limit - gap * (size / sizes[-1]) ** -rate

    begin = (min(values[-1] + 0.02, 0.99), 0.05, 0.4)
    (limit, gap, rate), _ = curve_fit(
        law, np.array(sizes, float), values, begin, bounds=((0, 0, 0.02), (1, 1, 3))
    )
    return np.asarray(law(np.array(ahead, float), limit, gap, rate))


def multilabel(
    truth: Truth, chances: Scores, cuts: NDArray[np.floating], together: float = 0.5
) -> dict[str, float]:
    """Measure the multi-label reading: every film, every genre; (films, genres) truth and chances.

    Each measure answers as suits it: macro F1 above each genre's own threshold in `cuts`, micro F1
    above the threshold `together` of all genres, label-wise accuracy (the share of all yes/no
    answers that are right) with what is likelier. hit@k is the share of films with a right genre
    among the k likeliest. A genre that no film here carries is left out of AUROC and mAP.
    """
    seen = _seen(truth)
    ranks = np.argsort(-chances, axis=1, kind="stable")
    hits = np.take_along_axis(truth, ranks[:, :3], axis=1)
    return {
        "macro_auroc": macro_auroc(truth, chances),
        "map": float(average_precision_score(truth[:, seen], chances[:, seen])),
        "macro_f1": float(f1_score(truth, chances >= cuts, average="macro", zero_division=0)),
        "micro_f1": float(f1_score(truth, chances >= together, average="micro", zero_division=0)),
        "hit_at_1": float(hits[:, 0].mean()),
        "hit_at_3": float(hits.any(axis=1).mean()),
        "label_accuracy": float(((chances > 0.5) == truth).mean()),
    }


def balanced_top1(expected: NDArray[np.str_], chosen: NDArray[np.str_]) -> float:
    """Return the mean over genres of the share of their films that are named rightly; chance is 1/K."""
    return float(np.mean([(chosen[expected == genre] == genre).mean() for genre in set(expected)]))


def resample(
    measure: Callable[[NDArray[np.int64]], Measures], films: int, *, repeats: int, seed: int
) -> pd.DataFrame:
    """Return the measures of `repeats` bootstrap samples of the films, one row a sample.

    `measure(positions)` computes them on the films at those positions, drawn with replacement.
    """
    rng = np.random.default_rng(seed)
    return pd.DataFrame([measure(rng.integers(0, films, films)) for _ in range(repeats)])


def interval(value: Measures, samples: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Return value, low and high of each measure: the percentile interval of its bootstrap samples.

    For mAP and the calibration error, which resampled films raise, it is the basic interval: the
    samples' distances from the value, to its other side (Davison and Hinkley, 1997).
    """
    edges = samples.quantile([(1 - level) / 2, (1 + level) / 2])
    table = pd.DataFrame({"value": pd.Series(value), "low": edges.iloc[0], "high": edges.iloc[1]})
    found = table.index.intersection(BIASED)
    turned = 2 * table.loc[found, ["value"]].to_numpy() - table.loc[found, ["high", "low"]]
    table.loc[found, ["low", "high"]] = turned.to_numpy()
    return table.loc[list(value)]


def report(
    measure: Callable[[NDArray[np.int64]], Measures],
    base: Measures,
    films: int,
    *,
    repeats: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row a measure, with value, low, high, and the `base` of a constant answer."""
    samples = resample(measure, films, repeats=repeats, seed=seed)
    table = interval(measure(np.arange(films)), samples).assign(base=pd.Series(base))
    return table.clip(lower=0)  # no measure can be less, though a basic interval may


def major_report(
    expected: NDArray[np.str_], chosen: NDArray[np.str_], *, repeats: int = 300, seed: int = 0
) -> pd.DataFrame:
    """Measure the major-genre reading: balanced top-1 and plain top-1, with their base rates.

    The base of balanced top-1 is 1/K, that of plain top-1 the share of the most frequent genre.
    For balanced top-1, films are resampled within their genre, so that no sample lacks one.
    """
    by_genre = [np.flatnonzero(expected == genre) for genre in sorted(set(expected))]
    rng = np.random.default_rng(seed)

    def balanced(rows: NDArray[np.int64]) -> dict[str, float]:
        return {"balanced_top1": balanced_top1(expected[rows], chosen[rows])}

    def plain(rows: NDArray[np.int64]) -> dict[str, float]:
        return {"top1": float((expected[rows] == chosen[rows]).mean())}

    def draw() -> NDArray[np.int64]:
        return np.concatenate([rng.choice(rows, len(rows)) for rows in by_genre])

    samples = pd.DataFrame([balanced(draw()) for _ in range(repeats)])
    everyone = np.arange(len(expected))
    drawn = resample(plain, len(expected), repeats=repeats, seed=seed)
    table = pd.concat([interval(balanced(everyone), samples), interval(plain(everyone), drawn)])
    sizes = np.array([len(rows) for rows in by_genre])
    return table.assign(base=[1 / len(by_genre), sizes.max() / sizes.sum()])


def by_genre(
    truth: Truth, scores: Scores, cuts: NDArray[np.floating], vocabulary: Sequence[str]
) -> pd.DataFrame:
    """Return a row for each genre: films, AUROC, average precision beside its base, F1 and its parts."""
    precision, recall, f1, films = precision_recall_fscore_support(
        truth, scores >= cuts, zero_division=0
    )
    measured = {
        "films": films,
        "AUROC": auroc_by_genre(truth, scores),
        "AP": average_precision_score(truth, scores, average=None),
        "base AP": truth.mean(axis=0),
        "precision": precision,
        "recall": recall,
        "F1": f1,
    }
    return pd.DataFrame(measured, index=pd.Index(vocabulary, name="genre"))


def auroc_by_genre(truth: Truth, scores: Scores) -> NDArray[np.float64]:
    """Return each genre's AUROC, (genres); nan where all films or none carry it."""
    ranks = rankdata(scores, axis=0)
    carry = truth.sum(axis=0)
    wins = (ranks * truth).sum(axis=0) - carry * (carry + 1) / 2
    pairs = carry * (len(truth) - carry)
    return np.where(pairs > 0, wins / np.maximum(pairs, 1), np.nan)


def auroc_within(expected: NDArray[np.bool_], given: Scores, strata: NDArray[np.floating]) -> float:
    """Return the AUROC over pairs of films of one stratum: each film beside those of its own decade, say.

    `expected` and scores are of one genre, (films,). Without such a pair, it is not a number.
    """
    pairs, right = 0, 0.0
    for one in np.unique(strata):
        inside = strata == one
        with_it = int(expected[inside].sum())
        if 0 < with_it < inside.sum():
            here = with_it * (int(inside.sum()) - with_it)
            pairs, right = (
                pairs + here,
                right + here * float(roc_auc_score(expected[inside], given[inside])),
            )
    return right / pairs if pairs else float("nan")


def confusion(
    expected: NDArray[np.str_], chosen: NDArray[np.str_], majors: Sequence[str]
) -> pd.DataFrame:
    """Return films by (true major genre, chosen major genre)."""
    counts = confusion_matrix(expected, chosen, labels=list(majors))
    rows = pd.Index(majors, name="true genre")
    return pd.DataFrame(counts, index=rows, columns=pd.Index(majors, name="network's choice"))


def coverage(right: NDArray[np.bool_], confidence: Scores) -> pd.DataFrame:
    """Return accuracy at coverage: of the films answered most confidently first, how many are right."""
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(right) + 1)
    return pd.DataFrame(
        {
            "coverage": answered / len(right),
            "accuracy": np.cumsum(right[order]) / answered,
            "confidence": confidence[order],
        }
    )


def sure_enough(
    validation: Part,
    right: NDArray[np.bool_],
    sure: Scores,
    accuracy: float,
    *,
    at_least: int = LEAST,
) -> float:
    """Return the lowest confidence above which validation films are answered this accurately.

    For all films, `right` says whether the answer is, and `sure` how confident it is. A cut that
    fewer than `at_least` films pass does not count, so few can be right by luck; without one, no
    confidence is enough, and infinity is returned.
    """
    return _lowest_cut(right, sure, of("validation", validation).rows, accuracy, at_least)


def _lowest_cut(
    right: NDArray[np.bool_], sure: Scores, at: NDArray[np.int64], accuracy: float, at_least: int
) -> float:
    curve = coverage(right[at], sure[at])
    enough = curve[(curve["accuracy"] >= accuracy) & (curve.index + 1 >= at_least)]
    return float(enough["confidence"].min()) if len(enough) else float("inf")


def answered(curve: pd.DataFrame, cut: float) -> dict[str, float]:
    """Return the share of (test) films answered with at least this confidence, and how many are right."""
    passed = curve[curve["confidence"] >= cut]
    share = float(passed["coverage"].max()) if len(passed) else 0.0
    right = float(passed["accuracy"].iloc[-1]) if len(passed) else float("nan")
    return {"share": share, "right": right}


def fit_calibration(validation: Part, scores: Scores) -> NDArray[np.float64]:
    """Return (genres, 2) slope and intercept of Platt's scaling, fitted on validation films."""
    truth, lines = of("validation", validation).truth, []
    for expected, given in zip(truth.T, logit(scores[validation.rows]).T, strict=True):
        if np.ptp(given) == 0:  # a constant answer is a chance already
            lines.append((1.0, 0.0))
            continue
        model = LogisticRegression().fit(given[:, None], expected)
        lines.append((float(model.coef_[0, 0]), float(model.intercept_[0])))
    return np.array(lines)


def fit_scaling(
    validation: Part,
    chances: Scores,
    major: NDArray[np.str_],
    vocabulary: Sequence[str],
    majors: Sequence[str],
) -> NDArray[np.float64]:
    """Return the scaling of `reading.major_shares`, fitted on validation films with one major genre.

    `chances` (films, genres) and `major` are all films'. The fit is the likeliest one, with the plain
    odds as its prior: a standard normal about each number, which a few dozen films outweigh.
    """
    rows = of("validation", validation).rows
    rows = rows[np.isin(major[rows], majors)]
    right = major[rows][:, None] == np.array(majors)
    given = logit(chances[rows][:, [list(vocabulary).index(name) for name in majors]])

    def loss(scaling: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        shares = major_shares(chances[rows], vocabulary, majors, scaling)
        off, far = shares - right, scaling - plain_scaling(majors)
        slopes = np.concatenate([[(off * given).sum()], off.sum(axis=0)])
        unlikely = -np.log(shares[right].clip(1e-12)).sum() + (far**2).sum() / 2
        return float(unlikely), slopes + far

    return np.asarray(minimize(loss, plain_scaling(majors), jac=True, method="L-BFGS-B").x)


def calibration_error(truth: Truth, scores: Scores, *, bins: int = 15) -> float:
    """Return the expected calibration error over all yes/no answers, in equally wide bins.

    After Guo et al., "On Calibration of Modern Neural Networks", 2017, who ask it of the one class
    that is named; here every genre's answer counts, and most of them are a low chance and a no.
    """
    expected, given = truth.ravel(), np.asarray(scores).ravel()
    places = np.minimum((given * bins).astype(int), bins - 1)
    gaps = np.bincount(places, weights=given - expected, minlength=bins)
    return float(np.abs(gaps).sum() / len(given))


def reliability(truth: Truth, scores: Scores, *, bins: int = 10) -> pd.DataFrame:
    """Return for each bin of scores the mean score, the share that was right, and the answers in it."""
    frame = pd.DataFrame({"score": np.asarray(scores).ravel(), "share": truth.ravel()})
    places = np.minimum((frame["score"] * bins).astype(int), bins - 1)
    table = frame.groupby(places).mean().assign(answers=places.value_counts())
    return table.reset_index(drop=True)


def agreement(
    first: Truth, second: Truth, vocabulary: Sequence[str], *, draws: int = 2000, seed: int = 7
) -> pd.DataFrame:
    """Compare two sources genre by genre on the same films: how well `first` predicts `second`.

    Kappa has a 95 % interval, by drawing the films anew. A genre that one of them never names,
    perhaps for want of a word for it, is not compared: its row has no values. So are all rows when
    there is no film that both know.
    """
    rows = pd.Index(vocabulary, name="genre")
    compared = ["precision", "recall", "kappa", "kappa_low", "kappa_high"]
    if len(first) == 0:
        return pd.DataFrame({"films": 0} | dict.fromkeys(compared, np.nan), index=rows)
    precision, recall, _, films = precision_recall_fscore_support(second, first, zero_division=0)
    cells = np.stack([first & second, first & ~second, ~first & second, ~first & ~second])
    counts = cells.sum(axis=1).T  # (genres, 4); what a new draw of films changes is these
    drawn = np.random.default_rng(seed).multinomial(
        len(first), counts / len(first), size=(draws, len(counts))
    )
    named = first.any(axis=0) & second.any(axis=0)
    low, high = np.full((2, len(counts)), np.nan)
    low[named], high[named] = np.nanpercentile(_kappa(drawn[:, named]), [2.5, 97.5], axis=0)
    values = (precision, recall, _kappa(counts), low, high)
    found = pd.DataFrame({"films": films} | dict(zip(compared, values, strict=True)), index=rows)
    found.loc[~named, compared] = np.nan
    return found


def _kappa(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return Cohen's kappa of films counted as (…, both, first alone, second alone, neither)."""
    both, first, second, neither = np.moveaxis(counts / counts.sum(axis=-1, keepdims=True), -1, 0)
    chance = (both + first) * (both + second) + (neither + first) * (neither + second)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = (both + neither - chance) / (1 - chance)
    return np.where(chance < 1, kappa, np.nan)


def confusions(first: Truth, second: Truth, vocabulary: Sequence[str]) -> pd.DataFrame:
    """Return which genre `second` names alone where `first` names another alone, most films first.

    Columns: `first`, `second`, `films`, and `places`, the films' positions. Genres that one of them
    never names are left out.
    """
    named = np.flatnonzero(first.any(axis=0) & second.any(axis=0))
    alone, instead = (first & ~second)[:, named], (second & ~first)[:, named]
    rows = [
        (vocabulary[named[i]], vocabulary[named[j]], np.flatnonzero(alone[:, i] & instead[:, j]))
        for i, j in np.argwhere(alone.T.astype(int) @ instead.astype(int))
    ]
    table = pd.DataFrame(rows, columns=["first", "second", "places"])
    table.insert(2, "films", table["places"].map(len).astype(int))
    return table.sort_values("films", ascending=False, kind="stable", ignore_index=True)


def ceiling(first: Truth, second: Truth) -> dict[str, float]:
    """Return what one source would score as a reader of the other, on genres that both name."""
    named = first.any(axis=0) & second.any(axis=0)
    if not named.any():
        return {"macro_f1": np.nan, "micro_f1": np.nan, "same": np.nan}
    said, meant = first[:, named], second[:, named]
    return {
        "macro_f1": float(f1_score(meant, said, average="macro", zero_division=0)),
        "micro_f1": float(f1_score(meant, said, average="micro", zero_division=0)),
        "same": float((said == meant).all(axis=1).mean()),
    }


@dataclass(frozen=True)
class MajorReading:
    """What chances are worth on the test films that carry one of the major genres."""

    table: pd.DataFrame  # a row a measure: value, low, high, base
    confusion: pd.DataFrame  # films, on the balanced test films
    passing: pd.DataFrame  # share answered, and right of it, above a cut of validation films
    coverage: pd.DataFrame  # accuracy at coverage
    cut: float  # of confidence, above which validation films are answered with 85 % accuracy
    named: pd.DataFrame  # test films: `major`, the `likeliest`, how `sure`; `lifted`, if all equal
    scaling: NDArray[np.float64]  # (1 + majors), of `reading.major_shares`
    shares: NDArray[np.float64]  # (films, majors): chances, given one major genre

    def numbers(self, prefix: str) -> dict[str, float]:
        """Return the table as plain numbers: `prefix_measure`, and `…_low`, `…_high`, `…_base`."""
        parts = {"": "value", "_low": "low", "_high": "high", "_base": "base"}
        return {
            f"{prefix}_{measure}{ending}": float(row[column])
            for measure, row in self.table.iterrows()
            for ending, column in parts.items()
        }

    def kept(self) -> dict[str, float | str]:
        """Return what is answered above the cut: films, right ones, and beside it the best constant answer.

        `base` is the share of these films that carry their most frequent genre, `named` the genres
        that are named at all, each with its share of the answers.
        """
        films = self.named[self.named["sure"] >= self.cut]
        given, own = (films[name].value_counts(normalize=True) for name in ("likeliest", "major"))
        return {
            "films": len(films),
            "right": float((films["likeliest"] == films["major"]).mean()),
            "base": float(own.max()) if len(own) else np.nan,
            "named": ", ".join(f"{name} {share:.0%}" for name, share in given.items()),
        }

    def plain(self) -> dict[str, dict[str, float]]:
        """Return value, low, high and base of each measure, and of `coverage_at_85`, for machines.

        The last is the share of films with one major genre that are answered above the cut at which
        validation films are answered with 85 % accuracy; a constant answer is sure of all or none.
        """
        base = float(self.table.loc["top1", "base"] >= SURE)
        share = self.passing.loc["share"].astype(float).to_dict() | {"base": base}
        return {**self.table.astype(float).to_dict("index"), "coverage_at_85": share}


@dataclass(frozen=True)
class Evaluation(MajorReading):
    """What one set of scores is worth on test films, in both readings; validation films chose everything."""

    thresholds: NDArray[np.float64]  # of chances, one a genre, for macro F1
    together: float  # of chances, one for all genres, for micro F1
    calibration: NDArray[np.float64]
    chances: NDArray[np.float64]  # (films, genres): the calibrated scores
    genres: pd.DataFrame  # a row a genre
    reliability: dict[str, pd.DataFrame]  # before and after calibration


def hits_by(part: pd.Series, hit: NDArray[np.bool_], base: NDArray[np.bool_]) -> pd.DataFrame:
    """Return a row for each part of the films: how many, the share hit, the base's, and how far ahead.

    `low` and `high` are the 95 % interval of `ahead`, taken film by film (normal approximation).
    """
    rows = [
        (name, len(at), hit[at].mean(), base[at].mean(), *mean_interval(1.0 * hit[at] - base[at]))
        for name, at in part.groupby(part).indices.items()
    ]
    columns = [part.name, "films", "value", "base", "ahead", "low", "high"]
    return pd.DataFrame(rows, columns=columns).set_index(str(part.name))


def evaluate(
    films: pd.DataFrame,
    truth: Truth,
    scores: Scores,
    vocabulary: Sequence[str],
    majors: Sequence[str],
    *,
    fixed: bool = False,
    repeats: int = 300,
    seed: int = 0,
) -> Evaluation:
    """Choose calibration and thresholds on validation films, and measure both readings on test films.

    `films` has `split`, `major` and `balanced`; truth and scores are (films, genres), in its order.
    `fixed` scores are yes (1) or no (0) already: no calibration and no threshold. The base of each
    measure is its best constant answer: the training films' genre frequencies, read above
    thresholds that are chosen on validation films as the network's are, and for hit@3 the three
    genres of which the training films most often carry one.
    """
    train, chosen = Part(films, truth, "train"), Part(films, truth, "validation")
    held = (films["split"] == "test").to_numpy()
    frequencies = np.broadcast_to(train.truth.mean(axis=0), truth.shape)
    plain = np.tile([1.0, 0.0], (truth.shape[1], 1))
    lines = plain if fixed else fit_calibration(chosen, scores)
    chances = np.asarray(scores, dtype=np.float64) if fixed else calibrate(scores, lines)
    cuts, together = np.full(truth.shape[1], 0.5), 0.5
    if not fixed:
        cuts, together = thresholds(chosen, chances), one_threshold(chosen, chances)
    constant = multilabel(
        truth[held],
        frequencies[held],
        thresholds(chosen, frequencies),
        one_threshold(chosen, frequencies),
    )
    three = _three_most(train.truth)
    constant["hit_at_3"] = float(truth[held][:, three].any(axis=1).mean())
    table = report(
        lambda rows: multilabel(truth[held][rows], chances[held][rows], cuts, together),
        constant,
        int(held.sum()),
        repeats=repeats,
        seed=seed,
    )
    error = report(
        lambda rows: {"ece": calibration_error(truth[held][rows], chances[held][rows])},
        {"ece": calibration_error(truth[held], frequencies[held])},
        int(held.sum()),
        repeats=repeats,
        seed=seed,
    )
    major = major_reading(films, truth, chances, vocabulary, majors, repeats=repeats, seed=seed)
    return Evaluation(
        **vars(major) | {"table": pd.concat([table, major.table, error])},
        thresholds=cuts,
        together=together,
        calibration=lines,
        chances=chances,
        genres=by_genre(truth[held], chances[held], cuts, vocabulary),
        reliability={
            "before": reliability(truth[held], scores[held]),
            "after": reliability(truth[held], chances[held]),
        },
    )


def major_reading(
    films: pd.DataFrame,
    truth: Truth,
    chances: Scores,
    vocabulary: Sequence[str],
    majors: Sequence[str],
    *,
    repeats: int = 300,
    seed: int = 0,
) -> MajorReading:
    """Measure calibrated chances (films, genres) on the test films whose one major genre is among `majors`.

    `films` and truth are as for `evaluate`. A film's answer is the genre with the highest share
    (`reading.major_shares`), scaled on validation films; for balanced top-1 and the confusion
    matrix, shares are divided by their mean over these.
    """
    side = films["split"].to_numpy()
    major = films["major"].isin(list(majors)).to_numpy()
    asked, chosen = major & (side == "test"), Part(films, truth, "validation", among=major)
    even = major & films["balanced"].to_numpy()
    expected = films["major"].to_numpy(dtype=str)
    scaling = fit_scaling(chosen, chances, expected, vocabulary, majors)
    shares = major_shares(chances, vocabulary, majors, scaling)
    answer = major_choice(shares, majors)
    lifted = major_choice(shares / shares[chosen.rows].mean(axis=0), majors)
    natural = major_report(expected[asked], answer[asked], repeats=repeats, seed=seed)
    level = major_report(expected[asked], lifted[asked], repeats=repeats, seed=seed)
    even_table = major_report(expected[even], lifted[even], repeats=repeats, seed=seed)
    right, sure = answer == expected, shares.max(axis=1)
    cut = sure_enough(chosen, right, sure, SURE)
    curve = coverage(right[asked], sure[asked])
    again = np.random.default_rng([seed, 1])

    def passed(rows: NDArray[np.int64]) -> dict[str, float]:
        """Answer test films above a cut of validation films that are drawn anew as well."""
        drawn = again.choice(chosen.rows, len(chosen.rows))
        anew = _lowest_cut(right, sure, drawn, SURE, LEAST)
        return answered(coverage(right[asked][rows], sure[asked][rows]), anew)

    reached = resample(passed, int(asked.sum()), repeats=repeats, seed=seed)
    return MajorReading(
        table=pd.concat(
            [
                level.loc[["balanced_top1"]],
                natural.loc[["top1"]],
                even_table.loc[["top1"]].rename(index={"top1": "balanced_set_top1"}),
            ]
        ),
        confusion=confusion(expected[even], lifted[even], majors),
        passing=interval(answered(curve, cut), reached),
        coverage=curve,
        cut=cut,
        named=pd.DataFrame(
            {
                "major": expected[asked],
                "likeliest": answer[asked],
                "sure": sure[asked],
                "lifted": lifted[asked],
            }
        ),
        scaling=scaling,
        shares=shares,
    )


def _three_most(truth: Truth) -> NDArray[np.int64]:
    """Return the three genres of which these (training) films most often carry one."""
    triples = list(combinations(range(truth.shape[1]), min(3, truth.shape[1])))
    return np.array(max(triples, key=lambda triple: truth[:, triple].any(axis=1).sum()))


def ahead_by_genre(
    truth: Truth,
    first: Scores,
    second: Scores,
    vocabulary: Sequence[str],
    *,
    repeats: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Return a row a genre: how much higher its AUROC is by `first` than by `second`, both (films, genres).

    `low` and `high` are paired bootstrap intervals; `sure` says where chance in the films does not
    explain the difference: by the samples' spread, one false discovery in twenty over the genres.
    """

    def gap(rows: NDArray[np.int64]) -> dict[str, float]:
        one, other = (auroc_by_genre(truth[rows], scores[rows]) for scores in (first, second))
        return dict(zip(vocabulary, one - other, strict=True))

    samples = resample(gap, len(truth), repeats=repeats, seed=seed)
    table = interval(gap(np.arange(len(truth))), samples)
    chances = 2 * norm.sf(np.abs(table["value"]) / samples.std().clip(lower=1e-12))
    return table.assign(sure=false_discovery_control(np.nan_to_num(chances, nan=1.0)) <= 0.05)


def difference(
    first: Callable[[NDArray[np.int64]], Measures],
    second: Callable[[NDArray[np.int64]], Measures],
    films: int,
    *,
    repeats: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how much `first` is above `second` on the same films, with paired bootstrap intervals."""

    def measure(rows: NDArray[np.int64]) -> dict[str, float]:
        one, other = first(rows), second(rows)
        return {name: one[name] - other[name] for name in one}

    samples = resample(measure, films, repeats=repeats, seed=seed)
    return interval(measure(np.arange(films)), samples)
