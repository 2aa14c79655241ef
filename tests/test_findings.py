"""What can be said, and what has to be withheld, on scores whose truth is known."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from postergenre import findings, metrics
from postergenre.findings import Effect, Erased

GENRES = ["A", "B", "C", "D"]


def known(films: int = 400, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return truth (films, 4), and scores: intact, without colour, which tells A and B, and without light.

    Without light nothing is lost at all; without colour A and B are guessed, C and D hardly suffer.
    """
    rng = np.random.default_rng(seed)
    truth = rng.random((films, 4)) < 0.4
    intact = truth + rng.normal(0, 0.7, truth.shape)
    colour = intact + rng.normal(0, 0.2, truth.shape)
    colour[:, :2] = rng.normal(0, 1, (films, 2))
    scores = {"intact": intact, "colour": colour, "light": intact}
    return truth, {name: 1 / (1 + np.exp(-one)) for name, one in scores.items()}


@pytest.fixture(scope="module")
def lost() -> Erased:
    truth, scores = known()
    return findings.erased(truth, scores, GENRES, repeats=60)


def test_the_first_scores_must_be_those_of_intact_posters() -> None:
    truth, scores = known(20)
    for wrong in ({}, {"colour": scores["colour"], "intact": scores["intact"]}):
        with pytest.raises(ValueError, match="first of the scores are those of 'intact'"):
            findings.erased(truth, wrong, GENRES)


def test_the_first_sample_is_of_the_films_themselves_and_the_others_are_drawn(
    lost: Erased,
) -> None:
    truth, scores = known()
    assert lost.samples.shape == (61, 3, 4)
    for place, one in enumerate(scores.values()):
        np.testing.assert_allclose(lost.samples[0, place], metrics.auroc_by_genre(truth, one))
    assert 0.005 < lost.samples[1:, 0, 0].std() < 0.05
    again = findings.erased(truth, scores, GENRES, repeats=2)
    np.testing.assert_array_equal(again.samples, lost.samples[:3])


def test_what_a_network_used_is_what_it_loses_the_most(lost: Erased) -> None:
    table = lost.lost()
    assert table.index.tolist() == ["colour", "light"]
    assert table.loc["colour", "low"] > 0.1
    assert table.loc["light"].tolist() == [0, 0, 0]
    by_genre = lost.lost_by_genre()
    assert by_genre.index.tolist() == GENRES
    assert by_genre.loc[["A", "B"], "colour"].min() > 0.2 > by_genre.loc[["C", "D"], "colour"].max()
    assert by_genre["colour"].mean() == pytest.approx(table.loc["colour", "AUROC lost"])


def test_more_is_positive_for_what_costs_more_and_turns_round_with_its_sides(lost: Erased) -> None:
    value, low, high = lost.more("colour", "light")
    assert value == pytest.approx(lost.lost().loc["colour", "AUROC lost"])
    assert 0 < low < value < high
    assert lost.more("light", "colour") == pytest.approx((-value, -high, -low))
    assert findings.opposite(lost.more("light", "colour")) == pytest.approx((value, low, high))


def test_genres_that_do_without_a_thing_keep_more_than_those_that_need_it(lost: Erased) -> None:
    value, low, _ = lost.kept_more("colour", ["C", "D"])
    assert low > 0.5
    assert value == pytest.approx(1, abs=0.3)
    assert lost.kept_more("colour", ["A", "B"])[2] < -0.5
    assert lost.kept_more("light", ["A"]) == (0, 0, 0)


def test_a_network_that_needs_a_thing_loses_more_of_it_than_one_that_does_not(
    lost: Erased,
) -> None:
    truth, scores = known()
    blind = {"intact": scores["intact"], "colour": scores["intact"], "light": scores["light"]}
    other = findings.erased(truth, blind, GENRES, repeats=60)
    value, low, high = lost.lost_more("colour", other)
    assert value == pytest.approx(lost.lost().loc["colour", "AUROC lost"])
    assert 0 < low < value < high
    assert other.lost_more("colour", lost) == pytest.approx((-value, -high, -low))


def test_the_sentence_of_what_is_lost_names_the_most_and_the_least() -> None:
    samples = np.array([[[0.9], [0.6], [0.7], [0.8], [0.89]]] * 2)
    versions = ["intact", "upper third", "colour", "detail", "light"]
    told = findings.erased_sentence(Erased(versions, ["A"], samples), films=1200)
    assert "macro AUROC of 0.900 on 1,200 test films" in told
    assert "without the upper third 0.300 (0.300 to 0.300), without colour 0.200" in told
    assert told.endswith(", with alterations as strong as ours.")


def test_a_move_is_that_of_a_genre_beyond_that_of_the_others() -> None:
    intact = np.full((30, 3), 0.5)
    warmer = intact.copy()
    warmer[:, 0] = 1 / (1 + np.exp(-np.tile([1.0, 3.0], 15)))  # log odds of 2 more on average
    warmer[:, 1:] = 1 / (1 + np.exp(-0.5))
    value, low, high = findings.moved(
        {"intact": intact, "warmer": warmer}, "warmer", ["A", "B", "C"], "A"
    )
    assert value == pytest.approx(1.5)
    reach = 1.96 * np.sqrt(30 / 29) / np.sqrt(30)
    assert (low, high) == pytest.approx((1.5 - reach, 1.5 + reach))
    other = findings.moved({"intact": intact, "warmer": warmer}, "warmer", ["A", "B", "C"], "B")
    assert other[0] == pytest.approx(0.5 - (2 + 0.5) / 2)
    assert other[2] < 0


def test_the_measure_that_tells_a_genre_best_is_named_with_its_direction() -> None:
    truth = np.array([[True, False], [True, True], [False, True], [False, False]])
    looks = pd.DataFrame({"brightness": [1.0, 2, 3, 4], "detail": [1.0, 3, 2, 4]})
    told = findings.alone_sentence(looks, truth, ["A", "B"])
    assert "is brightness for A" in told
    assert "is the darker one in 100% of pairs" in told


def alike(seed: int, genres: int = 8) -> pd.DataFrame:
    """Return how alike genres are when their profiles are drawn by chance."""
    names = list("ABCDEFGHIJ")[:genres]
    profiles = np.random.default_rng(seed).normal(size=(30, genres))
    return pd.DataFrame(profiles, columns=names).corr()


def test_equal_tables_are_alike_beyond_chance_and_noise_is_not() -> None:
    one = alike(0)
    found, p_value = findings.likeness(one, one)
    assert found == pytest.approx(1)
    assert p_value < 0.002
    blurred = one + 0.3 * alike(1)
    found, p_value = findings.likeness(one, blurred)
    assert 0.6 < found < 1
    assert p_value < 0.01
    chances = [findings.likeness(alike(2 * n), alike(2 * n + 1))[1] for n in range(1, 6)]
    assert min(chances) > 0.01
    assert findings.likeness(one, -one)[1] > 0.99


def test_tables_of_other_genres_or_in_another_order_are_not_compared() -> None:
    one = alike(0)
    turned = one.iloc[::-1, ::-1]
    with pytest.raises(ValueError, match="same genres, in one order"):
        findings.likeness(one, turned)


ABOVE, BELOW, ACROSS = (0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), (0.1, -0.1, 0.3)
UNKNOWN = (np.nan, np.nan, np.nan)


@pytest.mark.parametrize(
    ("effects", "told"),
    [
        ({"posters": ABOVE}, "holds"),
        ({"custom": ABOVE, "VGG16": ABOVE}, "holds in both"),
        ({"custom": ABOVE, "VGG16": ACROSS}, "holds in custom only"),
        ({"custom": BELOW, "VGG16": ABOVE}, "holds in VGG16 only"),
        ({"custom": BELOW, "VGG16": BELOW}, "refuted"),
        ({"posters": BELOW}, "refuted"),
        ({"custom": BELOW, "VGG16": ACROSS}, "not shown"),
        ({"posters": ACROSS}, "not shown"),
        ({"posters": (0.2, 0.0, 0.4)}, "not shown"),
        ({"posters": (-0.1, -0.3, 0.1)}, "not shown"),
        ({"posters": UNKNOWN}, "too few films to say"),
        ({"custom": UNKNOWN, "VGG16": UNKNOWN}, "too few films to say"),
        ({"custom": UNKNOWN, "VGG16": ABOVE}, "holds in VGG16 only"),
        ({"custom": UNKNOWN, "VGG16": BELOW}, "not shown"),
    ],
)
def test_a_sentence_holds_only_where_its_interval_says_so(
    effects: Mapping[str, Effect], told: str
) -> None:
    assert findings.verdict(effects) == told


SENTENCES = {
    "Horror is dark.": {"posters": ABOVE},
    "Colour counts.": {"custom": ABOVE, "VGG16": BELOW},
    "Few tell.": {"posters": UNKNOWN},
}


def test_a_table_tells_each_sentence_once_with_its_verdict_and_all_its_effects() -> None:
    table = findings.table(SENTENCES)
    assert table["sentence"].tolist() == ["Horror is dark.", "Colour counts.", "", "Few tell."]
    assert table["measured on"].tolist() == ["posters", "custom", "VGG16", "posters"]
    assert table["verdict"].tolist() == [
        "holds", "holds in custom only", "", "too few films to say"
    ]  # fmt: skip
    effects = table["effect (95 % interval)"].tolist()
    assert effects[0] == "+0.200 (+0.100 to +0.300)"
    assert effects[2:] == ["-0.200 (-0.300 to -0.100)", "too few films"]


def test_the_count_of_sentences_that_hold_names_those_that_do_not() -> None:
    ruled = {"Later is darker.": {"posters": ABOVE}, "Later is bluer.": {"posters": ACROSS}}
    told = findings.held_sentence(SENTENCES, ruled | {"Later is rare.": {"posters": UNKNOWN}})
    assert told == (
        "Of 4 sentences put to the test films, 2 hold there (1 of 2 that we chose, 1 of 2 about decades "
        "that a rule took), in both networks where they are about networks; \u201cColour counts\u201d "
        "holds in custom only; \u201cLater is bluer\u201d is not shown. For 2 more there were too few films."
    )
    refuted = findings.held_sentence({"Drama is light.": {"posters": BELOW}}, {})
    assert refuted.endswith("\u201cDrama is light\u201d is refuted.")
    assert "0 hold there (0 of 1 that we chose, 0 of 0 about decades" in refuted
    alone = findings.held_sentence({}, {"Horror is dark.": {"posters": ABOVE}})
    assert "Of 1 sentences" in alone
    assert "(0 of 0 that we chose, 1 of 1 about decades" in alone
    assert "\u201c" not in alone
    assert findings.held_sentence({}, {}).startswith("Of 0 sentences")


def test_looks_are_told_from_the_largest_sure_difference_down() -> None:
    apart = pd.DataFrame({"brightness": [-0.9, 3.0], "warmth": [0.5, -0.19]}, index=["A", "B"])
    sure = pd.DataFrame({"brightness": [True, False], "warmth": [True, True]}, index=["A", "B"])
    told = findings.looks_sentence(apart, sure)
    assert told.startswith("3 of 4 differences")
    assert "are beyond chance, 2 of them 0.2 standard deviations or more; the largest" in told
    assert "A's are darker (-0.90 standard deviations); A's are yellower (+0.50" in told
    assert "+3.00" not in told
    edge = findings.looks_sentence(apart.replace(-0.19, -0.2), sure)
    assert "3 of them 0.2 standard deviations or more" in edge
    assert "beyond chance" in findings.looks_sentence(apart, sure & False)
    assert findings.looks_sentence(apart, sure & False).startswith("No genre's")


def test_what_a_genre_needs_is_named_only_beyond_chance() -> None:
    drawn = np.random.default_rng(0)
    samples = np.full((201, 3, 3), 0.8) + drawn.normal(0, 0.01, (201, 3, 3))
    samples[0] = 0.8
    samples[:, 1, 0] -= 0.2  # without colour, A loses much
    samples[0, 2, 1] -= 0.01  # without detail, B loses no more than chance may explain
    samples[:, :, 2] = np.nan  # no film carries C
    found = findings.Erased(["intact", "colour", "detail"], ["A", "B", "C"], samples)
    assert found.needs().to_dict() == {"A": "colour", "B": "-", "C": "-"}
    samples = samples.copy()
    samples[:, 1, 0] = samples[:, 0, 0]
    blind = findings.Erased(found.versions, found.genres, samples)
    assert findings.needs_sentence({"custom CNN": found, "VGG16": blind}) == (
        "Beyond chance, these genres lose a larger share of their AUROC above chance without one "
        "thing than others do: "
        "in custom CNN, A (colour); in VGG16, none."
    )


def test_moves_by_decade_are_told_once_a_genre() -> None:
    moves = pd.DataFrame(
        {
            "genre_name": ["A", "A", "B", "B"],
            "measure": ["brightness", "colour", "warmth", "detail"],
            "genre": [-5.0, -9.0, -1.0, 3.0],
            "others": [0.0, 0.0, -3.0, -27.0],
            "more": [-5.0, -9.0, 2.0, 30.0],
            "low": [-6.0, -10.0, 1.0, -1.0],
            "high": [-4.0, -8.0, 3.0, 61.0],
            "sure": [True, True, True, False],
        }
    )
    told = findings.decades_sentence(moves, early=1960, late=2000)
    assert told.startswith("3 of 4 moves")
    assert "1960\u20131979 to 2000\u20132019" in told
    assert "A's colour by -9 (-10 to -8; its own move is -9, that of the others +0); B's" in told
    assert "B's warmth by +2 (+1 to +3; its own move is -1, that of the others -3)" in told
    assert "brightness" not in told
    assert "are beyond chance on training and validation films; the clearest" in told
    assert told.endswith(
        " Measured are colour as mean chroma; warmth as mean b*, blue below 0, yellow above."
    )
    nothing = findings.decades_sentence(moves.assign(sure=False), early=1960, late=2000)
    assert nothing.startswith("No genre's posters moved")


def test_opinions_that_agree_are_counted_with_their_chances() -> None:
    told = findings.alike_sentence(
        {"looks and custom": (0.61, 0.0005), "custom and VGG16": (0.2, 0.2)}
    )
    assert "1 of 2 pairs of opinions agree beyond chance" in told
    assert "looks and custom 0.61 (p < 0.001), custom and VGG16 0.20 (p 0.200)" in told
    assert "0 of 1" in findings.alike_sentence({"opposed": (-0.9, 0.001)})


def test_the_clearest_move_of_each_genre_meets_films_that_did_not_choose_it() -> None:
    moves = pd.DataFrame(
        {
            "genre_name": ["A", "A", "B", "C"],
            "measure": ["brightness", "warmth", "warmth", "warmth"],
            "more": [-4.0, 9.0, 2.0, 50.0],
            "low": [-5.0, 1.0, 1.0, 49.0],
            "high": [-3.0, 17.0, 3.0, 51.0],
            "sure": [True, True, True, False],
        }
    )
    years = pd.Series([1980, 2010] * 120)
    late = (years == 2010).to_numpy()
    truth = np.zeros((240, 3), dtype=bool)
    truth[:80, 0] = truth[80:160, 1] = truth[160:, 2] = True
    noise = np.tile([0.1, 0.1, -0.1, -0.1], 60)
    values = pd.DataFrame({"brightness": noise - 3.0 * (late & truth[:, 0])})
    values["warmth"] = noise - 1.0 * (late & truth[:, 1])
    spans = {"early": (1980, 1989), "late": (2010, 2019)}
    told = findings.on_test_films(moves, values, years, truth, ["A", "B", "C"], spans=spans)
    darker, yellower = told
    assert darker == (
        "Beside the others of their years, posters of A are darker in 2010\u20132019 than in "
        "1980\u20131989 (brightness)."
    )
    assert "posters of B are yellower in" in yellower
    # Of A it comes true by 3; B became bluer here, which refutes the sentence.
    assert told[darker]["the posters"][0] == pytest.approx(3)
    assert told[yellower]["the posters"][0] == pytest.approx(-1)
    assert [findings.verdict(effects) for effects in told.values()] == ["holds", "refuted"]
    first = findings.on_test_films(
        moves, values, years, truth, ["A", "B", "C"], spans=spans, most=1
    )
    assert list(first) == [darker]
