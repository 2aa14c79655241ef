"""The sentences and tables in which a run answers the article's claims; each is computed."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from postergenre import paths
from postergenre.demo import studio
from postergenre.metrics import NAMES, Evaluation, MajorReading
from postergenre.reading import major_choice

CLAIMED = 0.85  # "85 % accuracy on major genres"
CLAIMED_MILLISECONDS = 100
CLAIMED_POSTERS = 45_000
# Those of the major genres that we take for the most distinct.
DISTINCT = ("Animation", "Comedy", "Documentary", "Horror")
FORMS = {"keras": "Keras", "float": "LiteRT", "int8": "LiteRT with 8 bits"}
FOLDERS = {"custom CNN": ("custom_cnn", "custom"), "VGG16": ("vgg16", "vgg16")}


def mistakes(
    run: str,
    films: pd.DataFrame,
    shares: NDArray[np.floating],
    majors: Sequence[str],
    *,
    most: int = 12,
) -> pd.DataFrame:
    """Return the surest wrong answers on test films with one major genre, as rows of HTML text.

    `shares` (films, majors) are those of `reading.major_shares`; the highest says how sure.
    Real films link to their page at IMDb or TMDB; drawn ones have none.
    """
    table = films.assign(
        said=major_choice(shares, majors),
        sure=shares.max(axis=1),
    )
    asked = (table["split"] == "test") & table["major"].isin(list(majors))
    wrong = table[asked & (table["said"] != table["major"])].nlargest(most, "sure")
    named = _linked if _drawn(run) is None else _title
    return pd.DataFrame(
        {
            "film": [named(row) for row in wrong.to_dict("records")],
            "year": wrong["year"].astype("string").fillna(""),
            "its genres": wrong["genres"].map(", ".join),
            "the network says": wrong["said"],
            "sure": wrong["sure"].map("{:.0%}".format),
        }
    )


def _title(film: dict[Any, Any]) -> str:
    return html.escape(str(film["title"] or film["film_id"]))


def _linked(film: dict[Any, Any]) -> str:
    title = _title(film)
    if isinstance(film["imdb_id"], str):
        return f'<a href="https://www.imdb.com/title/{film["imdb_id"]}/">{title}</a>'
    if pd.isna(film["tmdb_id"]):
        return title
    return f'<a href="https://www.themoviedb.org/movie/{film["tmdb_id"]}">{title}</a>'


def _drawn(run: str) -> Path | None:
    folder = paths.run_directory(run) / "studio"
    return folder if (folder / "truth.parquet").exists() else None


def ceiling(run: str, films: pd.DataFrame, vocabulary: Sequence[str]) -> NDArray[np.float64] | None:
    """Return the scores (films, genres) of the best possible reader of drawn posters; of real ones None."""
    drawn = _drawn(run)
    if drawn is None:
        return None
    truth = studio.truth(drawn).set_index("film_id").loc[films["film_id"]]
    return np.asarray(studio.ceiling(truth.reset_index(), list(vocabulary)), dtype=np.float64)


def agreement_sentence(table: pd.DataFrame, *, films: int) -> str:
    """Tell in one sentence how far two sources agree on genres (`metrics.agreement`) on so many films."""
    if films == 0:
        return "No film of this run has its genres from two sources, so how far two would agree cannot be told."
    kappa = table["kappa"].dropna()
    return (
        f"TMDB and IMDb agree on genres with a kappa of {kappa.mean():.2f}, averaged over the "
        f"{len(kappa)} genres that both name, on the {films:,} films that both know: best on "
        f"{kappa.idxmax()} ({kappa.max():.2f}), least on {kappa.idxmin()} ({kappa.min():.2f})."
    )


def doubling_sentence(curve: pd.Series, low: float, high: float) -> str:
    """Tell in one sentence what the last doubling of the training films (the index) brought."""
    gain = curve.iloc[-1] - curve.iloc[-2]
    return (
        f"Going from {curve.index[-2]:,} to {curve.index[-1]:,} training films raises the macro AUROC "
        f"of a linear reading of VGG16's features by {gain:.3f} ({low:.3f} to {high:.3f}), to "
        f"{curve.iloc[-1]:.3f}."
    )


def years_sentence(found: pd.DataFrame | None, first_year: int) -> str:
    """Tell in one sentence what a reader of older films loses on later ones (`metrics.difference`)."""
    if found is None:
        return (
            f"This run does not have both older films and films from {first_year} on, so what years "
            "cost cannot be told."
        )
    value, low, high = found.loc["macro_auroc", ["value", "low", "high"]]
    return (
        f"Asked about films from {first_year} on, a reader of older films is {value:.3f} behind one "
        f"that has learned from all years, in macro AUROC (95 % interval {low:.3f} to {high:.3f})."
    )


def archives_sentence(table: pd.DataFrame) -> str:
    """Tell in one sentence how far a reader of one archive falls behind on the others' pictures."""
    if table.empty:
        return "All pictures of this run come from one archive, so archives cannot be told apart."
    told = [
        f"about pictures of {name}, it is {abs(row['value']):.3f} {'behind' if row['value'] >= 0 else 'ahead'} "
        f"({low:.3f} to {high:.3f})"
        for name, row in table.iterrows()
        for low, high in [sorted(row[["low", "high"]] * (1 if row["value"] >= 0 else -1))]
    ]
    return (
        "A reader that has learned from the pictures of the largest archive alone is set beside one that "
        f"has learned from all archives, in macro AUROC: asked {'; '.join(told)}."
    )


def sources_ceiling(found: Mapping[str, float], *, films: int) -> str:
    """Tell in one sentence what a reader that knew one source by heart would score on the other."""
    if films == 0 or np.isnan(found["macro_f1"]):
        return "With one source alone, nobody can tell how far a label is from being the only right one."
    return (
        f"Whoever knew TMDB's genres by heart, and was measured against IMDb's, would reach a macro F1 "
        f"of {found['macro_f1']:.2f} and a micro F1 of {found['micro_f1']:.2f}, and name exactly IMDb's "
        f"genres on {found['same']:.0%} of these films."
    )


def passing_sentence(result: MajorReading) -> str:
    """Tell in one sentence how many films a network answers when it may pass, and how it stands there."""
    if not result.passing.loc["share", "value"]:
        return (
            f"However sure it is, it is not right on {CLAIMED:.0%} of its answers on validation "
            "films: told to answer only then, it answers none."
        )
    share, right = (
        "{value:.0%} ({low:.0%} to {high:.0%})".format_map(result.passing.loc[name])
        for name in ("share", "right")
    )
    return (
        f"Told to answer only where it is so sure that {CLAIMED:.0%} of such answers were right on "
        f"validation films, it answers {share} of the test films that have one major genre, and is "
        f"right on {right} of these, where always naming their most frequent genre would be on "
        f"{result.kept()['base']:.0%}."
    )


def times(run: str) -> dict[str, float]:
    """Return the milliseconds for a poster, by network and form: Keras, and the form that serves."""
    found = {}
    for network, (folder, _) in FOLDERS.items():
        bundle = paths.read_json(paths.need(run, f"{folder}/bundle.json"))
        for form in dict.fromkeys(["keras", bundle["serves"]]):
            found[f"{network} in {FORMS[form]}"] = bundle["forms"][form]["milliseconds"]
    return found


def patterns(run: str) -> dict[str, tuple[int, int]]:
    """Return by network to how many genres a channel answers beyond chance, and on how many films."""
    found = {}
    for network, (folder, prefix) in FOLDERS.items():
        told = paths.read_json(paths.need(run, f"{folder}/layers.json"))
        found[network] = (told[f"{prefix}_selective_genres"], told[f"{prefix}_films_seen"])
    return found


def sizes(run: str) -> str:
    """Return the size of the posters that each network sees, such as "96 x 64 for the custom CNN"."""
    return ", ".join(
        f"{paths.read_json(paths.need(run, f'{folder}/metrics.json'))[f'{prefix}_size']} pixels for "
        f"{_named(network)}"
        for network, (folder, prefix) in FOLDERS.items()
    )


def table(
    result: Evaluation,
    milliseconds: Mapping[str, float],
    patterns: Mapping[str, tuple[int, int]],
    *,
    films: int,
) -> pd.DataFrame:
    """Return the article's claims, each under every reading: measured, constant answer, verdict.

    `milliseconds` are those of `times`; `patterns` holds by network the number of genres to which
    a channel of the last convolution answers beyond chance, and on how many films.
    """
    readings = {
        "top1": "share of films whose one major genre is named",
        "balanced_top1": "the same, each genre taken as likely, averaged over genres",
        "hit_at_1": "the surest genre is one of the film's",
        "hit_at_3": "one of the three surest genres is the film's",
        "label_accuracy": "share of all yes/no answers that are right",
    }
    rows = []
    for measure, reading in readings.items():
        value, low, high, base = result.table.loc[measure, ["value", "low", "high", "base"]]
        verdict = _verdict(float(low), float(high), float(base))
        measured = f"{value:.0%} ({low:.0%} to {high:.0%})"
        rows.append(("85 % accuracy", reading, measured, f"{base:.0%}", verdict))
    share, right = result.passing.loc[["share", "right"], "value"]
    low, high = result.passing.loc["right", ["low", "high"]].astype(float)
    kept = _verdict(low, high, 0.0) if share else "not reached here"
    kept = "on a part of the films" if kept == "holds" else kept
    measured, base = "on none", ""
    if share:
        measured = f"{right:.0%} ({low:.0%} to {high:.0%}), on {share:.0%} of them"
        base = f"{result.kept()['base']:.0%}"
    reading = "on films it is sure of (the cut from validation films)"
    rows.append(("85 % accuracy", reading, measured, base, kept))
    for name, value in milliseconds.items():
        verdict = "holds" if value < CLAIMED_MILLISECONDS else "not reached here"
        reading = f"{name}: one poster, without the service, on this machine"
        rows.append(("under 100 ms", reading, f"{value:.{int(value < 10)}f} ms", "", verdict))
    genres = len(result.genres)
    for name, (found, seen) in patterns.items():
        verdict = "not shown by this" if found else "not reached here"
        reading = f"{name}: genres that a channel answers to, on {seen:,} films"
        rows.append(("visual patterns", reading, f"{found} of {genres}", "none", verdict))
    verdict = "holds" if films >= CLAIMED_POSTERS else "not tested at that size"
    rows.append(("45,000 posters", "films in this run", f"{films:,}", "", verdict))
    return pd.DataFrame(
        rows, columns=["claim", "read as", "measured", "constant answer", "verdict"]
    )


def _named(network: str) -> str:
    return network if network == "VGG16" else f"the {network}"


def _verdict(low: float, high: float, base: float) -> str:
    if base >= CLAIMED:
        return "a constant answer reaches it"
    if low >= CLAIMED:
        return "holds"
    return "not reached here" if high < CLAIMED else "cannot be told"


def verdict(tables: Mapping[str, pd.DataFrame], gap: pd.DataFrame, networks: Sequence[str]) -> str:
    """Tell in one sentence which network is ahead, on macro AUROC, and whether the films can tell."""
    values = {name: float(tables[name].loc["macro_auroc", "value"]) for name in networks}
    first, other = sorted(networks, key=lambda name: -values[name])
    low, high = gap.loc["macro_auroc", ["low", "high"]]
    opening = "The two networks read genres about equally well"
    closing = "a difference that these films cannot tell from none"
    if low > 0 or high < 0:
        opening = f"Of the two networks, {_named(first)} reads genres better"
        closing = "a distance that the choice of test films does not explain"
    beside = {name: table.loc["macro_auroc", "value"] for name, table in tables.items()}
    return (
        f"{opening}: macro AUROC is {values[first]:.3f} for {_named(first)} and {values[other]:.3f} "
        f"for {_named(other)}, {closing}; a linear head on VGG16 as ImageNet left it reaches "
        f"{beside['frozen VGG16, linear']:.3f}, colour and layout alone {beside['colour and layout']:.3f}."
    )


def ceiling_sentence(results: Mapping[str, Evaluation], answer: str) -> str:
    """Tell in one sentence how far the network `answer` is from the best that is possible."""
    value = {name: float(r.table.loc["macro_auroc", "value"]) for name, r in results.items()}
    if "best possible" not in value:
        return "Nobody knows how much of a film's genre a poster can show at best."
    share = (value[answer] - 0.5) / (value["best possible"] - 0.5)
    return (
        f"The best possible reader of these drawn posters would reach {value['best possible']:.3f}; "
        f"{_named(answer)} has covered {share:.0%} of the way there from chance."
    )


def headline(results: Mapping[str, Evaluation]) -> dict[str, list[object]]:
    """Return the table that the study prints at its end, as columns and rows of text."""
    measures = ["macro_auroc", "map", "macro_f1", "balanced_top1", "label_accuracy"]
    rows: list[object] = []
    for name, result in results.items():
        cells = [result.table.loc[m, ["value", "low", "high"]].astype(float) for m in measures]
        rows.append([name, *(f"{v:.3f} ({lo:.3f}-{hi:.3f})" for v, lo, hi in cells)])
    base = next(iter(results.values())).table["base"]
    rows.append(["base rate", *(f"{base[m]:.3f}" for m in measures)])
    return {"columns": ["", *(NAMES[m] for m in measures)], "rows": rows}
