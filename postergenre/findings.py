"""What can be said of the visual language of genres, each sentence with its effect on test films."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, norm, rankdata

from postergenre.appearance import MEASURES, SMALL, WORDS, change
from postergenre.metrics import auroc_by_genre
from postergenre.reading import logit, mean_interval

Truth = NDArray[np.bool_]  # (films, genres)
Scores = NDArray[np.floating]  # (films, genres)
Effect = tuple[float, float, float]  # value, and the 95 % interval
INTACT = "intact"


@dataclass(frozen=True)
class Erased:
    """The AUROC of intact and altered posters: `samples` is (1 + resamples, versions, genres).

    The first sample is the films themselves, the others are drawn from them with replacement.
    """

    versions: list[str]
    genres: list[str]
    samples: NDArray[np.float64]

    def lost(self) -> pd.DataFrame:
        """Return the macro AUROC lost without each thing, with its 95 % interval, the most first."""
        macro = np.nanmean(self.samples, axis=2)
        rows = {name: _effect(macro[:, 0] - macro[:, self._at(name)]) for name in self.versions[1:]}
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["AUROC lost", "low", "high"])
        return table.sort_values("AUROC lost", ascending=False).rename_axis("without")

    def lost_by_genre(self) -> pd.DataFrame:
        """Return the AUROC lost (genres, versions), the films' own."""
        first = self.samples[0]
        return pd.DataFrame((first[0] - first[1:]).T, index=self.genres, columns=self.versions[1:])

    def needs(self) -> pd.Series:
        """Return for each genre what it loses most without, beside the median of all genres.

        In shares of its AUROC above chance: what is read well has more to lose. A dash where chance
        may be why: by the normal approximation with the samples' spread, one false discovery in a
        hundred allowed over all genres and versions.
        """
        kept = self._kept()[:, 1:]
        beside = np.nanmedian(kept, axis=2, keepdims=True) - kept
        chances = norm.sf(beside[0] / np.maximum(beside[1:].std(axis=0), 1e-12))
        sure = false_discovery_control(np.nan_to_num(chances, nan=1.0).ravel()) <= 0.01
        most = np.nan_to_num(beside[0], nan=-1.0).argmax(axis=0)
        told = sure.reshape(chances.shape)[most, np.arange(len(most))]
        return pd.Series(np.where(told, np.array(self.versions[1:])[most], "-"), self.genres)

    def more(self, one: str, other: str) -> Effect:
        """Return how much more macro AUROC is lost without `one` than without `other`."""
        macro = np.nanmean(self.samples, axis=2)
        return _effect(macro[:, self._at(other)] - macro[:, self._at(one)])

    def lost_more(self, version: str, than: "Erased") -> Effect:
        """Return how much more macro AUROC this network loses without something than another one.

        The interval is a paired one where both were drawn from the same films with the same seed.
        """
        ours, theirs = (np.nanmean(one.samples, axis=2) for one in (self, than))
        lost = ours[:, 0] - ours[:, self._at(version)]
        return _effect(lost - (theirs[:, 0] - theirs[:, than._at(version)]))

    def kept_more(self, version: str, genres: Sequence[str]) -> Effect:
        """Return how much more of its AUROC above chance these genres keep in a version, beside others."""
        own = np.isin(self.genres, list(genres))
        kept = self._kept()[:, self._at(version)]
        return _effect(np.nanmedian(kept[:, own], axis=1) - np.nanmedian(kept[:, ~own], axis=1))

    def _kept(self) -> NDArray[np.float64]:
        return np.asarray((self.samples - 0.5) / (self.samples[:, :1] - 0.5))

    def _at(self, version: str) -> int:
        return self.versions.index(version)


def erased(
    truth: Truth,
    scores: Mapping[str, Scores],
    genres: Sequence[str],
    *,
    repeats: int = 200,
    seed: int = 7,
) -> Erased:
    """Return what altered posters cost; `scores` holds those of intact posters first, then by alteration."""
    if not scores or next(iter(scores)) != INTACT:
        raise ValueError(f"The first of the scores are those of {INTACT!r} posters.")
    drawn = np.random.default_rng(seed)
    films = np.arange(len(truth))
    samples = []
    for turn in range(repeats + 1):
        at = drawn.choice(films, len(films)) if turn else films
        samples.append([auroc_by_genre(truth[at], one[at]) for one in scores.values()])
    return Erased(list(scores), list(genres), np.array(samples))


def _effect(samples: NDArray[np.float64]) -> Effect:
    low, high = np.nanquantile(samples[1:], [0.025, 0.975])
    return float(samples[0]), float(low), float(high)


def erased_sentence(found: Erased, *, films: int) -> str:
    """Tell in one sentence what the network could least do without."""
    whole = float(np.nanmean(found.samples[0, 0]))
    lost = found.lost()
    named = [f"the {name}" if "third" in str(name) else str(name) for name in lost.index]
    told = [
        f"without {name} {row['AUROC lost']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        for name, (_, row) in zip(named[:3], lost.iterrows(), strict=False)
    ]
    return (
        f"Of its macro AUROC of {whole:.3f} on {films:,} test films it loses {told[0]}, {told[1]} and "
        f"{told[2]}, with alterations as strong as ours."
    )


def moved(scores: Mapping[str, Scores], version: str, genres: Sequence[str], genre: str) -> Effect:
    """Return how far the log odds of a genre rise when posters are altered, more than those of the others.

    The mean over films, with its 95 % interval in the normal approximation.
    """
    apart = logit(scores[version]) - logit(scores[INTACT])
    place = list(genres).index(genre)
    values = apart[:, place] - np.delete(apart, place, axis=1).mean(axis=1)
    return mean_interval(values)


def opposite(effect: Effect) -> Effect:
    """Return an effect counted in the other direction."""
    value, low, high = effect
    return -value, -high, -low


def likeness(one: pd.DataFrame, other: pd.DataFrame, *, seed: int = 7) -> tuple[float, float]:
    """Return the rank correlation of two tables of how alike genres are, and its p-value.

    Mantel's permutation test (1967) over 2,000 orders of the genres.
    """
    if list(one.index) != list(other.index):
        raise ValueError("Both tables are of the same genres, in one order.")
    above = np.triu_indices(len(one), 1)
    ours = rankdata(one.to_numpy()[above])
    theirs = other.to_numpy()
    found = float(np.corrcoef(ours, rankdata(theirs[above]))[0, 1])
    drawn = np.random.default_rng(seed)
    at_least = 1
    for _ in range(2000):
        order = drawn.permutation(len(one))
        chance = np.corrcoef(ours, rankdata(theirs[order][:, order][above]))[0, 1]
        at_least += chance >= found
    return found, at_least / 2001


def verdict(effects: Mapping[str, Effect]) -> str:
    """Say in which networks an effect is above 0 beyond its interval."""
    known = {name: effect for name, effect in effects.items() if not np.isnan(effect[0])}
    holds = [name for name, effect in known.items() if effect[1] > 0]
    refuted = [name for name, effect in known.items() if effect[2] < 0]
    if not known:
        return "too few films to say"
    if len(holds) == len(effects):
        return "holds" if len(effects) == 1 else "holds in both"
    if holds:
        return f"holds in {' and '.join(holds)} only"
    return "refuted" if len(refuted) == len(effects) else "not shown"


def table(sentences: Mapping[str, Mapping[str, Effect]]) -> pd.DataFrame:
    """Return one row a sentence and measurement: the effect, its interval; the verdict with the first."""
    rows = []
    for sentence, effects in sentences.items():
        for name, (value, low, high) in effects.items():
            first = name == next(iter(effects))
            told = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
            rows.append(
                {
                    "sentence": sentence if first else "",
                    "measured on": name,
                    "effect (95 % interval)": "too few films" if np.isnan(value) else told,
                    "verdict": verdict(effects) if first else "",
                }
            )
    return pd.DataFrame(rows)


def looks_sentence(apart: pd.DataFrame, sure: pd.DataFrame) -> str:
    """Tell how many differences of looks are sure, how many of these not small, and the three largest."""
    found = apart.where(sure).stack()
    large = int((found.abs() >= SMALL).sum())
    found = found.loc[found.abs().nlargest(3).index]
    if found.empty:
        return "No genre's posters differ from the others' beyond chance in these measures."
    told = [
        f"{genre}'s are {WORDS[measure][int(value > 0)]} ({value:+.2f} standard deviations)"
        for (genre, measure), value in found.items()
    ]
    return (
        f"{int(sure.to_numpy().sum())} of {sure.size} differences between a genre's posters and the "
        f"others' are beyond chance, {large} of them {SMALL} standard deviations or more; the largest: "
        f"{'; '.join(told)}."
    )


def alone_sentence(values: pd.DataFrame, truth: Truth, genres: Sequence[str]) -> str:
    """Tell in one sentence how well the one measure that tells some genre best ranks its films."""
    told = {name: np.repeat(values[[name]], len(genres), axis=1) for name in values}
    table = pd.DataFrame({name: auroc_by_genre(truth, one) for name, one in told.items()}, genres)
    genre, measure = (table - 0.5).abs().stack().idxmax()
    value = float(table.loc[genre, measure])
    return (
        f"The one measure that tells a genre best is {measure} for {genre}: of a film with the genre and "
        f"one without, the former is the {WORDS[measure][int(value > 0.5)]} one in "
        f"{max(value, 1 - value):.0%} of pairs."
    )


def decades_sentence(moves: pd.DataFrame, *, early: int, late: int) -> str:
    """Tell how genres' looks moved beyond those of the other films, and what was measured."""
    sure = clearest(moves)
    spans = f"from {early}\u2013{early + 19} to {late}\u2013{late + 19}"
    if sure.empty:
        return f"No genre's posters moved beyond the other films', {spans}, as far as chance allows to say."
    shown = sure.drop_duplicates("genre_name").head(3)
    told = [
        f"{row['genre_name']}'s {row['measure']} by {row['more']:+.2g} ({row['low']:+.2g} to "
        f"{row['high']:+.2g}; its own move is {row['genre']:+.2g}, that of the others {row['others']:+.2g})"
        for _, row in shown.iterrows()
    ]
    units = [f"{measure} as {MEASURES[measure]}" for measure in shown["measure"].unique()]
    return (
        f"{len(sure)} of {len(moves)} moves of a genre's posters {spans}, beside those of the other "
        f"films, are beyond chance on training and validation films; the clearest: {'; '.join(told)}. "
        f"Measured are {'; '.join(units)}."
    )


def clearest(moves: pd.DataFrame) -> pd.DataFrame:
    """Return the moves that chance does not explain, those farthest from zero in their error first."""
    sure = moves[moves["sure"].astype(bool)]
    order = (sure["more"] / (sure["high"] - sure["low"])).abs().sort_values(ascending=False)
    return sure.loc[order.index]


def on_test_films(
    moves: pd.DataFrame,
    values: pd.DataFrame,
    years: pd.Series,
    truth: Truth,
    genres: Sequence[str],
    *,
    spans: Mapping[str, tuple[int, int]],
    most: int = 5,
) -> dict[str, dict[str, Effect]]:
    """Return what `moves` of other films claim most clearly, as sentences, with their effects on these.

    The clearest are the moves farthest from zero in units of their error, one a genre.
    """
    clear = clearest(moves).drop_duplicates("genre_name").head(most)
    times = [f"{spans[name][0]}\u2013{spans[name][1]}" for name in ("late", "early")]
    sentences = {}
    for _, row in clear.iterrows():
        name, measure, up = row["genre_name"], row["measure"], row["more"] > 0
        carry = truth[:, list(genres).index(name)]
        found = change(values[measure], years, carry, spans["early"], spans["late"])
        effect = found["more"], found["low"], found["high"]
        told = (
            f"Beside the others of their years, posters of {name} are "
            f"{WORDS[measure][int(up)]} in {times[0]} than in {times[1]}"
        )
        sentences[f"{told} ({measure})."] = {"the posters": effect if up else opposite(effect)}
    return sentences


def alike_sentence(agreed: Mapping[str, tuple[float, float]]) -> str:
    """Tell in one sentence which opinions on which genres are alike agree."""
    told = [
        f"{name} {found:.2f} (p {'< 0.001' if p_value < 0.001 else f'{p_value:.3f}'})"
        for name, (found, p_value) in agreed.items()
    ]
    held = sum(found > 0 and p_value < 0.01 for found, p_value in agreed.values())
    return (
        f"In which genres are alike, {held} of {len(agreed)} pairs of opinions agree beyond chance, "
        f"by rank correlation: {', '.join(told)}."
    )


def needs_sentence(found: Mapping[str, Erased]) -> str:
    """Tell in one sentence which genres need a thing more than the others do, network by network."""
    told = []
    for name, one in found.items():
        needs = one.needs()
        named = [f"{genre} ({thing})" for genre, thing in needs[needs != "-"].items()]
        told.append(f"in {name}, {', '.join(named) or 'none'}")
    return (
        "Beyond chance, these genres lose a larger share of their AUROC above chance without one thing "
        f"than others do: {'; '.join(told)}."
    )


def held_sentence(
    chosen: Mapping[str, Mapping[str, Effect]], ruled: Mapping[str, Mapping[str, Effect]]
) -> str:
    """Tell how many sentences hold on the test films, those that we chose and those that a rule took."""
    both = {**chosen, **ruled}
    verdicts = pd.Series({one: verdict(effects) for one, effects in both.items()}, dtype=str)
    known = verdicts[verdicts != "too few films to say"]
    held = known.isin(["holds", "holds in both"])
    ours = known.index.isin(list(chosen))
    told = [
        f"; \u201c{one.rstrip('.')}\u201d {told if told.startswith('holds') else f'is {told}'}"
        for one, told in known[~held].items()
    ]
    unknown = len(verdicts) - len(known)
    few = f" For {unknown} more there were too few films." if unknown else ""
    return (
        f"Of {len(known)} sentences put to the test films, {held.sum()} hold there "
        f"({held[ours].sum()} of {ours.sum()} that we chose, {held[~ours].sum()} of {(~ours).sum()} about "
        f"decades that a rule took), in both networks where they are about networks{''.join(told)}.{few}"
    )
