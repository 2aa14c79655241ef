"""How posters look, on posters whose looks are known."""

import json
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest

from postergenre import appearance, paths

WHITE, BLACK, RED, BLUE = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 0, 255)


def one_of(colour: tuple[int, int, int], number: int = 1) -> np.ndarray:
    """Return posters (number, 48, 32, 3) of one colour."""
    return np.broadcast_to(np.array(colour, np.uint8), (number, 48, 32, 3)).copy()


def measured(posters: np.ndarray) -> pd.Series:
    (row,) = appearance.measures(posters).to_dict("records")
    return pd.Series(row)


def test_colours_stand_where_the_standard_puts_them() -> None:
    found = appearance.lab(np.array([[WHITE, BLACK, RED, BLUE]], np.uint8))
    told = [[100, 0, 0], [0, 0, 0], [54, 81, 70], [29, 68, -112]]
    np.testing.assert_allclose(found[0], told, atol=1)
    whole = appearance.lab(one_of(BLUE, 3))
    assert whole.shape == (3, 48, 32, 3)
    np.testing.assert_allclose(whole[2, 40, 30], found[0, 3])


def test_a_grey_poster_has_its_brightness_and_nothing_else() -> None:
    row = measured(one_of((128, 128, 128)))
    assert row["brightness"] == pytest.approx(53.6, abs=0.5)
    assert row.drop("brightness").abs().max() == pytest.approx(0, abs=0.001)


def test_black_and_white_halves_have_the_contrast_worked_out_by_hand() -> None:
    poster = one_of(BLACK)
    poster[:, :24] = 255
    row = measured(poster)
    assert row["brightness"] == pytest.approx(50)
    assert row["contrast"] == pytest.approx(50)
    assert row["colour"] == 0
    # One step of 100 in each column, on 47 rows by 31 columns of steps.
    assert row["detail"] == pytest.approx(100 / 47, rel=1e-4)
    assert row["symmetry"] == pytest.approx(1, abs=1e-4)


def test_warm_and_cold_and_red_and_green_lie_on_their_own_sides() -> None:
    posters = np.concatenate([one_of(c) for c in (RED, BLUE, (255, 230, 0), (0, 200, 0))])
    table = appearance.measures(posters)
    np.testing.assert_allclose(table["redness"].head(2), [81, 68], atol=1)
    np.testing.assert_allclose(table["warmth"].head(2), [70, -112], atol=1)
    assert table["warmth"].iloc[2] > 60
    assert table["redness"].iloc[3] < -50
    np.testing.assert_allclose(table["colour"].iloc[0], np.hypot(81, 70), atol=1)


def test_symmetry_is_that_of_left_and_right() -> None:
    half = np.random.default_rng(0).integers(0, 255, (1, 48, 16, 1), dtype=np.uint8).repeat(3, 3)
    mirrored = np.concatenate([half, half[:, :, ::-1]], axis=2)
    assert measured(mirrored)["symmetry"] == pytest.approx(1, abs=1e-3)
    opposed = np.concatenate([half, 255 - half[:, :, ::-1]], axis=2)
    assert measured(opposed)["symmetry"] < -0.9
    upright = mirrored.copy()
    upright[:, :24] = upright[:, 24:][:, ::-1]  # top and bottom alike change nothing
    assert measured(upright)["symmetry"] == pytest.approx(1, abs=1e-3)


def test_detail_is_found_in_the_third_where_it_is() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1, 48, 32, 3), dtype=np.uint8)
    poster = one_of((90, 90, 90))
    poster[:, 34:] = noise[:, 34:]
    assert measured(poster)["detail below"] > 0.95
    assert measured(poster[:, ::-1])["detail below"] == 0
    assert measured(noise)["detail below"] == pytest.approx(1 / 3, abs=0.05)
    assert measured(noise)["detail"] > measured(poster)["detail"] > 0


def test_many_posters_are_measured_as_each_alone() -> None:
    posters = np.random.default_rng(0).integers(0, 255, (514, 12, 8, 3), dtype=np.uint8)
    table = appearance.measures(posters)
    assert list(table) == list(appearance.MEASURES) == list(appearance.WORDS)
    assert len(table) == 514
    alone = appearance.measures(posters[-1:])
    np.testing.assert_allclose(table.iloc[-1], alone.iloc[0], rtol=1e-5)


def test_a_planted_difference_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((600, 10)) < 0.3
    noise = pd.DataFrame(rng.normal(size=(600, 8)), columns=list(appearance.MEASURES))
    genres = list("ABCDEFGHIJ")
    apart, sure = appearance.differences(noise, truth, genres)
    assert apart.shape == sure.shape == (10, 8)
    assert sure.to_numpy().sum() <= 1
    planted = noise.assign(warmth=noise["warmth"] + truth[:, 2])
    apart, sure = appearance.differences(planted, truth, genres)
    assert sure.index[sure["warmth"]].tolist() == ["C"]
    expected = planted["warmth"][truth[:, 2]].mean() - planted["warmth"][~truth[:, 2]].mean()
    assert apart.loc["C", "warmth"] == pytest.approx(expected / planted["warmth"].std())
    assert apart.loc["C", "warmth"] == pytest.approx(1, abs=0.3)


def test_false_discoveries_come_at_most_at_the_stated_rate() -> None:
    rng = np.random.default_rng(1)
    false = 0
    for _ in range(40):
        truth = rng.random((300, 5)) < 0.4
        noise = pd.DataFrame(rng.normal(size=(300, 6)), columns=list(appearance.MEASURES)[:6])
        false += appearance.differences(noise, truth, list("ABCDE"), rate=0.05)[1].any(axis=None)
    assert (
        false <= 6
    )  # tables with any false discovery: 5 % of 40 are 2, and 7 would be chance 1 in 300


def test_the_largest_sure_differences_are_told_in_words() -> None:
    measures = ["brightness", "warmth", "detail", "contrast"]
    rows = [[-0.9, 0.5, 2.0, 0.19], [0.1, 0.0, 0.2, -0.199], [0.1, 0.0, 0.2, -0.2]]
    apart = pd.DataFrame(rows, index=["A", "B", "C"], columns=measures)
    sure = pd.DataFrame(apart != 2.0).assign(detail=False)
    assert appearance.in_words(apart, sure).to_dict() == {
        "A": "darker, yellower",
        "B": "-",
        "C": "lower in contrast",
    }
    assert appearance.in_words(apart, sure, most=1)["A"] == "darker"


def test_no_word_for_contrast_speaks_of_depth_or_of_gain() -> None:
    assert appearance.WORDS["contrast"] == ("lower in contrast", "higher in contrast")


def test_what_is_measured_fits_a_cell_of_a_table() -> None:
    assert max(map(len, appearance.MEASURES.values())) <= pd.get_option("display.max_colwidth") - 1


def test_the_chapter_sets_looks_beside_their_decade_without_any_test_film() -> None:
    path = paths.project() / "notebooks" / "09_visual_language.ipynb"
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]}
    rng = np.random.default_rng(0)
    test = np.arange(400) % 4 == 0
    looks = pd.DataFrame(rng.normal(size=(400, 2)), columns=["brightness", "warmth"])
    decades = pd.Series(np.where(np.arange(400) < 200, 196.0, 200.0))
    truth = rng.random((400, 2)) < 0.4
    known = {"test": test, "truth": truth, "vocabulary": ["A", "B"], "decades": decades}
    plt = MagicMock()
    plt.subplots.return_value = None, None
    figure = {"plt": plt, "figures": MagicMock(), "appearance": appearance}
    figure["findings"] = MagicMock()
    found = []
    for planted in (looks, looks + 50.0 * (test & truth[:, 0])[:, None]):
        names = known | figure | {"looks": planted}
        exec(cells["09-09"], names)
        np.testing.assert_allclose(names["beside"].groupby(decades).mean(), 0, atol=1e-9)
        found.append(names["apart"])
    pd.testing.assert_frame_equal(*found)


def test_a_palette_adds_up_to_one_a_genre_and_red_posters_are_red() -> None:
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 255, (30, 6, 4, 3), dtype=np.uint8)
    tiles[:10, :4] = (225, 15, 25)
    posters = tiles.repeat(8, axis=1).repeat(8, axis=2)
    truth = np.zeros((30, 2), dtype=bool)
    truth[:10, 0] = truth[10:, 1] = True
    table = appearance.palette(posters, truth, ["Red", "Other"], colours=8, seed=1)
    assert table["genre"].tolist() == ["Red"] * 8 + ["Other"] * 8
    np.testing.assert_allclose(table.groupby("genre")["share"].sum(), 1)
    own = table[table["genre"] == "Red"].nlargest(1, "lift").iloc[0]
    assert own["share"] > 0.6
    assert own["red"] > 180 > 60 > max(own["green"], own["blue"])
    other = table[(table["genre"] == "Other") & (table["colour"] == own["colour"])].iloc[0]
    rare = appearance.RARE
    lift = (own["share"] + rare) / (other["share"] + rare)
    assert (own["lift"], 1 / other["lift"]) == pytest.approx((lift, lift))
    again = appearance.palette(posters, truth, ["Red", "Other"], colours=8, seed=1)
    pd.testing.assert_frame_equal(table, again)


def decades() -> tuple[pd.Series, pd.Series, np.ndarray]:
    """Return values, years and a genre: 30 of its films and 40 others in each of two decades.

    The genre moves from 10 to 14, the others from 5 to 6; values lie one above and one below.
    """
    rows = [
        (mean + (-1) ** number, year + number % 10, genre)
        for mean, year, genre, films in (
            (10, 1980, True, 30),
            (14, 2010, True, 30),
            (5, 1980, False, 40),
            (6, 2010, False, 40),
        )
        for number in range(films)
    ]
    table = pd.DataFrame(rows, columns=["value", "year", "genre"])
    return table["value"].astype(float), table["year"].astype("Int64"), table["genre"].to_numpy()


def test_a_measure_by_decade_is_that_of_the_genre_and_of_the_others() -> None:
    table = appearance.by_decade(*decades())
    assert table["decade"].tolist() == [1980, 1980, 2010, 2010]
    kinds = table.set_index(["films", "decade"])
    assert kinds["mean"].to_dict() == {
        ("other", 1980): 5, ("the genre's", 1980): 10,
        ("other", 2010): 6, ("the genre's", 2010): 14,
    }  # fmt: skip
    assert kinds.loc[("the genre's", 1980), "number"] == 30
    reach = 1.96 * np.sqrt(30 / 29) / np.sqrt(30)  # thirty films, each one away from the mean
    assert kinds.loc[("the genre's", 1980), "low"] == pytest.approx(10 - reach)
    assert kinds.loc[("the genre's", 1980), "high"] == pytest.approx(10 + reach)


def test_decades_with_few_films_of_either_kind_are_left_out() -> None:
    values, years, carry = decades()
    assert appearance.by_decade(values, years, carry, fewest=31).empty
    assert len(appearance.by_decade(values, years, carry, fewest=30)) == 4
    few = ~(carry & (years >= 2010).to_numpy()) | (np.arange(140) < 45)  # 15 of the genre are left
    table = appearance.by_decade(values[few], years[few], carry[few])
    assert table["decade"].tolist() == [1980, 1980]
    alone = years.where(~carry, years + 20)  # the genre in decades of its own
    assert appearance.by_decade(values, alone, carry).empty


def test_films_without_a_year_belong_to_no_decade() -> None:
    values, years, carry = decades()
    years[:2] = pd.NA
    table = appearance.by_decade(values, years, carry).set_index(["films", "decade"])
    assert table.loc[("the genre's", 1980), "number"] == 28
    told = appearance.change(values, years, carry, (1980, 1989), (2010, 2019))
    assert told["films"] == 58


def test_a_change_is_that_of_the_genre_beyond_that_of_the_others() -> None:
    told = appearance.change(*decades(), (1980, 1989), (2010, 2019))
    assert told["genre"] == 4
    assert told["others"] == 1
    assert told["more"] == 3
    assert told["films"] == 60
    reach = 1.96 * np.sqrt(2 * (30 / 29) / 30 + 2 * (40 / 39) / 40)
    assert told["low"] == pytest.approx(3 - reach)
    assert told["high"] == pytest.approx(3 + reach)
    back = appearance.change(*decades(), (2010, 2019), (1980, 1989))
    assert back["more"] == -3


def test_a_change_of_few_films_is_not_told() -> None:
    told = appearance.change(*decades(), (1980, 1982), (2010, 2019))
    assert told["films"] == 9
    assert np.isnan([told[name] for name in ("genre", "others", "more", "low", "high")]).all()


def test_of_all_changes_those_beyond_chance_are_marked() -> None:
    values, years, carry = decades()
    noise = pd.Series(np.random.default_rng(0).normal(size=len(values)))
    table = appearance.changes(
        pd.DataFrame({"warmth": values, "detail": noise}),
        years,
        np.stack([carry, ~carry, np.arange(140) < 5], axis=1),
        ["A", "B", "few"],
        early=(1980, 1989),
        late=(2010, 2019),
    )
    assert table[["genre_name", "measure"]].to_numpy().tolist() == [
        ["A", "warmth"], ["A", "detail"], ["B", "warmth"], ["B", "detail"]
    ]  # fmt: skip
    assert table["sure"].tolist() == [True, False, True, False]
    assert table["more"].iloc[0] == -table["more"].iloc[2] == 3


def test_genres_of_equal_profiles_are_alike_and_each_ones_nearest_come_first() -> None:
    profiles = pd.DataFrame(
        {"A": [1.0, 2, 3], "B": [2.0, 4, 6], "C": [3.0, 2, 1], "D": [1.0, 2, 2]}
    )
    likeness = appearance.alike(profiles)
    assert likeness.loc["A", "B"] == pytest.approx(1)
    assert likeness.loc["A", "C"] == pytest.approx(-1)
    assert appearance.neighbours(likeness, count=2)["A"] == "B, D"
    assert appearance.neighbours(likeness, count=1)["D"] in ("A", "B")


def test_a_genre_whose_posters_are_light_above_is_light_above() -> None:
    posters = np.random.default_rng(0).integers(80, 120, (40, 24, 16, 3), dtype=np.uint8)
    truth = np.zeros((40, 3), dtype=bool)
    truth[:20, 0] = truth[20:, 1] = True
    posters[:20, :12] += 60
    posters[:10] //= 2  # a darker poster is no other layout
    found = appearance.light_maps(posters, truth, np.ones(len(posters)))
    assert found.shape == (3, 24, 16)
    assert found[0, :12].min() > 2 > -2 > found[0, 12:].max()
    np.testing.assert_allclose(found[1], -found[0], atol=1e-3)
    np.testing.assert_allclose(found.mean(axis=(1, 2))[:2], 0, atol=1e-3)
    assert np.isfinite(found).all()  # of a genre that nobody carries as well


def test_what_a_decade_shares_is_no_genres_place_for_light() -> None:
    posters = np.random.default_rng(0).integers(80, 120, (40, 24, 16, 3), dtype=np.uint8)
    decades = np.repeat([1940.0, 1990.0], 20)
    posters[:20, :2] += 100  # a pale upper margin, on every poster of the older decade
    truth = np.zeros((40, 2), dtype=bool)
    truth[:15, 0] = truth[20:22, 0] = True  # mostly an older genre
    truth[:, 1] = ~truth[:, 0]
    together = appearance.light_maps(posters, truth, np.zeros(40))
    apart = appearance.light_maps(posters, truth, decades)
    assert together[0, :2].mean() > 15
    assert abs(apart[0, :2].mean()) < 2
