"""The sentences and verdicts of a run, on numbers that leave one right answer."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from postergenre import claims, metrics, paths
from postergenre.errors import MissingStep

NETWORKS = ["custom CNN", "VGG16"]


def evaluation(*, right: tuple[float, float, float] = (0.86, 0.80, 0.90), **values: Any) -> Any:
    names = ("top1", "balanced_top1", "hit_at_1", "hit_at_3", "label_accuracy")
    rows = {name: values.get(name, (0.5, 0.45, 0.55, 0.2)) for name in names}
    rows["macro_auroc"] = values.get("macro_auroc", (0.5, 0.5, 0.5, 0.5))
    table = pd.DataFrame(rows, index=["value", "low", "high", "base"]).T
    genres = pd.DataFrame(index=["Drama", "War", "Western"])
    passing = pd.DataFrame(
        {"share": (0.4 * (right[0] > 0), 0.3, 0.5), "right": right}, index=["value", "low", "high"]
    ).T
    kept = {"films": 40, "right": right[0], "base": 0.45, "named": "Drama 100%"}
    return SimpleNamespace(table=table, genres=genres, passing=passing, kept=lambda: kept)


def verdicts(result: Any) -> dict[str, str]:
    times = {"VGG16": 20.0, "custom CNN": 120.0}
    patterns = {"some": (2, 900), "all": (3, 900), "none": (0, 900)}
    told = claims.table(result, times, patterns, films=10_000)
    return dict(
        zip(told["read as"].str.split(",|:", regex=True).str[0], told["verdict"], strict=True)
    )


def test_a_claim_is_judged_by_its_interval_and_never_when_a_constant_answer_reaches_it() -> None:
    told = verdicts(
        evaluation(
            top1=(0.90, 0.87, 0.93, 0.3),
            balanced_top1=(0.84, 0.80, 0.88, 0.1),
            hit_at_1=(0.60, 0.55, 0.65, 0.2),
            label_accuracy=(0.92, 0.91, 0.93, 0.90),
        )
    )
    assert told["share of films whose one major genre is named"] == "holds"
    assert told["the same"] == "cannot be told"
    assert told["the surest genre is one of the film's"] == "not reached here"
    assert told["share of all yes/no answers that are right"] == "a constant answer reaches it"
    assert told["VGG16"] == "holds"
    assert told["custom CNN"] == "not reached here"
    assert [told[name] for name in ("some", "all", "none")] == ["not shown by this"] * 2 + [
        "not reached here"
    ]
    assert told["films in this run"] == "not tested at that size"


@pytest.mark.parametrize(
    ("right", "verdict", "sentence"),
    [
        ((0.88, 0.86, 0.90), "on a part of the films", "answers 40% (30% to 50%) of the test"),
        ((0.86, 0.80, 0.90), "cannot be told", "is right on 86% (80% to 90%) of these"),
        ((0.80, 0.76, 0.84), "not reached here", "genre would be on 45%."),
        ((np.nan, np.nan, np.nan), "not reached here", "it answers none"),
    ],
)
def test_a_network_that_may_pass_is_judged_by_its_interval_as_well(
    right: tuple[float, float, float], verdict: str, sentence: str
) -> None:
    told = evaluation(right=right)
    assert verdicts(told)["on films it is sure of (the cut from validation films)"] == verdict
    assert sentence in claims.passing_sentence(told)


def test_what_years_cost_is_told_where_there_are_years() -> None:
    found = pd.DataFrame({"value": [0.02], "low": [0.01], "high": [0.03]}, index=["macro_auroc"])
    told = claims.years_sentence(found, 2010)
    assert "from 2010 on, a reader of older films is 0.020 behind" in told
    assert "(95 % interval 0.010 to 0.030)" in told
    assert "cannot be told" in claims.years_sentence(None, 2010)


def test_mistakes_are_the_surest_wrong_answers_on_test_films_and_link_to_real_films(
    run: str,
) -> None:
    films = pd.DataFrame(
        {
            "film_id": list("abcdef"),
            "title": ["Right", "Sure & wrong", "Less sure", "Trained on", "Two majors", None],
            "year": pd.array([1999, 2000, None, 2001, 2002, 2003], dtype="Int64"),
            "imdb_id": ["tt1", "tt2", None, "tt4", "tt5", None],
            "tmdb_id": pd.array([1, 2, 3, 4, 5, None], dtype="Int64"),
            "genres": [["Drama"], ["Drama", "War"], ["War"], ["Drama"], ["Drama"], ["Drama"]],
            "major": ["Drama", "Drama", "War", "Drama", None, "Drama"],
            "split": ["test", "test", "test", "train", "test", "test"],
        }
    )
    shares = np.array([[0.9, 0.1], [0.01, 0.99], [0.69, 0.31], [0, 1], [0, 1], [0.16, 0.84]])
    found = claims.mistakes(run, films, shares, ["Drama", "War"])
    assert found["film"].tolist() == [
        '<a href="https://www.imdb.com/title/tt2/">Sure &amp; wrong</a>',
        "f",
        '<a href="https://www.themoviedb.org/movie/3">Less sure</a>',
    ]
    assert found["the network says"].tolist() == ["War", "War", "Drama"]
    assert found["sure"].tolist() == ["99%", "84%", "69%"]
    assert found["year"].tolist() == ["2000", "2003", ""]
    assert len(claims.mistakes(run, films, shares, ["Drama", "War"], most=1)) == 1
    drawn = paths.run_directory(run) / "studio"
    drawn.mkdir(parents=True)
    (drawn / "truth.parquet").touch()
    told = claims.mistakes(run, films, shares, ["Drama", "War"])
    assert told["film"].tolist() == ["Sure &amp; wrong", "f", "Less sure"]


def tables(custom: float, vgg16: float) -> dict[str, pd.DataFrame]:
    values = {
        "colour and layout": 0.7,
        "frozen VGG16, linear": 0.72,
        "custom CNN": custom,
        "VGG16": vgg16,
    }
    return {name: pd.DataFrame({"value": {"macro_auroc": v}}) for name, v in values.items()}


@pytest.mark.parametrize(
    ("custom", "vgg16", "gap", "start"),
    [
        (
            0.75,
            0.80,
            (0.03, 0.07),
            "Of the two networks, VGG16 reads genres better: macro AUROC is 0.800 for VGG16 and 0.750",
        ),
        (0.80, 0.75, (-0.07, -0.03), "Of the two networks, the custom CNN reads genres better"),
        (0.80, 0.79, (-0.03, 0.01), "The two networks read genres about equally well"),
    ],
)
def test_the_verdict_names_a_winner_only_beyond_chance(
    custom: float, vgg16: float, gap: tuple[float, float], start: str
) -> None:
    told = pd.DataFrame({"low": {"macro_auroc": gap[0]}, "high": {"macro_auroc": gap[1]}})
    assert claims.verdict(tables(custom, vgg16), told, NETWORKS).startswith(start)


def test_the_way_to_the_ceiling_is_counted_from_chance() -> None:
    results = {
        name: evaluation(macro_auroc=(value, value, value, 0.5))
        for name, value in {"custom CNN": 0.7, "VGG16": 0.65, "best possible": 0.9}.items()
    }
    assert "the custom CNN has covered 50% of the way" in claims.ceiling_sentence(
        results, "custom CNN"
    )
    del results["best possible"]
    assert "Nobody knows" in claims.ceiling_sentence(results, "custom CNN")


def test_times_and_patterns_are_read_by_network_or_asked_for(run: str) -> None:
    for reading in (claims.times, claims.patterns):
        with pytest.raises(MissingStep):
            reading(run)
    forms = {"keras": {"milliseconds": 30.0}, "int8": {"milliseconds": 4.0}}
    for folder, prefix, serves in (("custom_cnn", "custom", "keras"), ("vgg16", "vgg16", "int8")):
        file = paths.run_directory(run) / folder / "bundle.json"
        file.parent.mkdir(parents=True)
        paths.write_json(file, {"forms": forms, "serves": serves})
        numbers = {f"{prefix}_selective_genres": 2, f"{prefix}_films_seen": 900}
        paths.write_json(file.with_name("layers.json"), numbers)
    assert claims.times(run) == {
        "custom CNN in Keras": 30.0,
        "VGG16 in Keras": 30.0,
        "VGG16 in LiteRT with 8 bits": 4.0,
    }
    assert claims.patterns(run) == {"custom CNN": (2, 900), "VGG16": (2, 900)}


def test_two_sources_are_compared_where_both_are_known_and_nowhere_else() -> None:
    first = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=bool)
    second = np.array([[1, 1], [1, 1], [0, 0], [0, 0]], dtype=bool)
    told = claims.agreement_sentence(metrics.agreement(first, second, ["War", "Drama"]), films=4)
    assert "kappa of 0.50, averaged over the 2 genres that both name" in told
    assert "the 4 films that both know: best on War (1.00), least on Drama (0.00)" in told
    wordless = metrics.agreement(first & [True, False], second, ["War", "Drama"])
    assert wordless["kappa"].notna().tolist() == [True, False]
    none = metrics.agreement(first[:0], second[:0], ["War", "Drama"])
    assert none["films"].tolist() == [0, 0]
    assert "cannot be told" in claims.agreement_sentence(none, films=0)


def test_what_more_films_bring_and_what_archives_cost_is_told_in_a_sentence() -> None:
    curve = pd.Series([0.6, 0.7, 0.75], index=[1000, 2000, 4000])
    told = claims.doubling_sentence(curve, 0.03, 0.07)
    assert "from 2,000 to 4,000 training films" in told
    assert "by 0.050 (0.030 to 0.070), to 0.750" in told
    assert "one archive" in claims.archives_sentence(pd.DataFrame())
    table = pd.DataFrame(
        {"value": [0.021, -0.003], "low": [0.01, -0.005], "high": [0.03, 0.001]},
        index=["the others", "the largest"],
    )
    told = claims.archives_sentence(table)
    assert "pictures of the others, it is 0.021 behind (0.010 to 0.030)" in told
    assert "pictures of the largest, it is 0.003 ahead (-0.001 to 0.005)." in told


def test_what_one_source_would_score_on_the_other_is_told_or_cannot_be() -> None:
    found = {"macro_f1": 0.8, "micro_f1": 0.85, "same": 0.5}
    told = claims.sources_ceiling(found, films=4)
    assert "a macro F1 of 0.80 and a micro F1 of 0.85" in told
    assert "exactly IMDb's genres on 50% of these films" in told
    assert "nobody can tell" in claims.sources_ceiling(found, films=0)
    assert "nobody can tell" in claims.sources_ceiling(dict.fromkeys(found, np.nan), films=4)
