"""Where a network looks, asked of one whose genres are a patch above and a patch below."""

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from toys import SIZE, patches

from postergenre import alterations, architectures, maps, paths


def test_grad_cam_points_at_the_patch(network: keras.Model) -> None:
    posters, truth = patches(40, seed=5)
    genres = truth.argmax(axis=1)
    heat = maps.grad_cam(network, posters, genres.tolist(), layer="conv3")
    # The patch and a cell of the map around it: conv3 sees the poster in 12 x 8 cells.
    boxes = np.where(genres[:, None] == 0, [0.0, 0.0, 1.0, 0.4], [0.0, 0.6, 1.0, 1.0])
    hits, area = maps.pointing_game(heat, boxes)
    assert area.mean() == pytest.approx(0.4)
    assert hits.mean() > 0.9
    assert heat.min() >= 0
    assert heat.max() == pytest.approx(1)


def test_a_map_of_a_network_with_random_weights_differs(network: keras.Model) -> None:
    posters, truth = patches(20, seed=5)
    genres = truth.argmax(axis=1).tolist()
    keras.utils.set_random_seed(2)
    random = architectures.custom_cnn(SIZE, 2, width=8)
    one = maps.grad_cam(network, posters, genres, layer="conv4")
    other = maps.grad_cam(random, posters, genres, layer="conv4")
    like = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in zip(one, other, strict=True)
        if a.std() and b.std()
    ]
    assert np.mean(like) < 0.6


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layer": "dropout"}, "no convolutional layer"),
        ({"genres": [0, 7]}, "positions from 0 to 1"),
        ({"genres": [0]}, "one genre a poster"),
        ({"posters": np.zeros((2, 30, 20, 3), np.uint8)}, "takes posters of"),
    ],
)
def test_grad_cam_says_what_it_wants(network: keras.Model, change: Any, reason: str) -> None:
    asked = {"posters": patches(2)[0], "genres": [0, 1], "layer": "conv4"} | change
    with pytest.raises(ValueError, match=reason):
        maps.grad_cam(network, asked.pop("posters"), asked.pop("genres"), **asked)


def test_covering_the_patch_costs_its_genre_the_most(network: keras.Model) -> None:
    posters, truth = patches(6, seed=5)
    heat = maps.occlusion(network, posters)
    assert heat.shape == (6, alterations.ROWS, alterations.COLUMNS, 2)
    own = heat[np.arange(6), ..., truth.argmax(axis=1)]
    rows = own.mean(axis=2).argmax(axis=1)
    # The patches fill the rows 1 and 2, and 5 and 6, of eight; the lower edge is a hint as well.
    assert np.where(truth[:, 0], rows <= 2, rows >= 5).all()
    assert maps.occlusion(network, posters[:0]).shape[:3] == (0, 8, 6)


def test_equal_maps_agree_opposed_ones_do_not_and_a_flat_one_says_nothing() -> None:
    heat = np.random.default_rng(0).random((3, 8, 6))
    np.testing.assert_allclose(maps.agreement(heat, heat), 1)
    np.testing.assert_allclose(maps.agreement(heat, 5 - 3 * heat), -1)
    assert maps.agreement(heat, np.full((3, 8, 6), 0.5)).tolist() == [0, 0, 0]
    assert abs(maps.agreement(heat, heat[::-1])[0]) < 0.5


def test_a_map_agrees_with_itself_in_another_size() -> None:
    coarse = np.random.default_rng(0).random((2, 4, 3))
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_allclose(maps.agreement(coarse, fine), 1)


def test_a_network_that_forgets_attends_elsewhere_and_the_trained_one_forgets_nothing(
    network: keras.Model,
) -> None:
    posters, truth = patches(8, seed=5)
    genres = truth.argmax(axis=1).tolist()
    before = [one.copy() for one in network.get_weights()]
    table = maps.randomised(network, posters, genres, layer="conv3")
    assert table.index.tolist() == [
        "logits", "conv5", "conv4", "conv3", "conv2", "conv1", "another poster's map"
    ]  # fmt: skip
    assert table.loc["conv1", "likeness"] < 0.5
    assert (table["low"] <= table["likeness"]).all()
    assert (table["likeness"] <= table["high"]).all()
    assert table.loc["another poster's map", "difference"] == 0
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    pd.testing.assert_frame_equal(
        table, maps.randomised(network, posters, genres, layer="conv3"), rtol=1e-3, atol=1e-3
    )


def test_a_map_that_owes_nothing_to_the_weights_is_found_out(
    network: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def brightness(_attention: object, seen: np.ndarray, *_: object) -> tuple[np.ndarray, ...]:
        return seen.mean(axis=3), np.zeros((len(seen), 1))

    monkeypatch.setattr(maps, "_attended", brightness)
    posters, truth = patches(12, seed=5)
    table = maps.randomised(network, posters, truth.argmax(axis=1).tolist())
    *shuffled, other = table["likeness"]
    np.testing.assert_allclose(shuffled, 1, atol=1e-6)
    np.testing.assert_allclose(table["difference"].iloc[:-1], 1 - other)
    assert (table["difference low"].iloc[:-1] > 0).all()
    assert "some likeness stays" in maps.forgetting_sentence(table)


def test_likenesses_are_compared_poster_by_poster_where_neither_map_is_blank(
    network: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike = iter([np.array([0.5, np.nan, 0.9, 0.4])] * 6 + [np.array([0.3, 0.0, np.nan, 0.4])])
    monkeypatch.setattr(maps, "_likeness", lambda *_: next(alike))
    posters, truth = patches(4, seed=5)
    table = maps.randomised(network, posters, truth.argmax(axis=1).tolist())
    last = table.loc["conv1"]
    assert last["likeness"] == pytest.approx(0.6)
    assert last["blank"] == 0.25
    # Of the first and the last poster both are known: 0.2 and 0.0 apart.
    reach = 12.7062 * np.std([0.2, 0.0], ddof=1) / np.sqrt(2)
    np.testing.assert_allclose(last[maps.DIFFERENCE], [0.1, 0.1 - reach, 0.1 + reach], rtol=1e-4)


def test_a_blank_map_is_like_none() -> None:
    heat = np.random.default_rng(0).random((3, 8, 6), dtype=np.float32)
    other = 1 - heat
    other[1] = 0
    np.testing.assert_allclose(maps._likeness(heat, other), [1, np.nan, 1])


def marked(truth: np.ndarray) -> np.ndarray:
    """Return maps (posters, 6, 4) of the third that holds each poster's patch, without ties."""
    heat = 0.01 * np.random.default_rng(0).random((len(truth), 6, 4))
    heat[truth[:, 0], :2] += 1
    heat[truth[:, 1], 4:] += 1
    return heat


@pytest.fixture(scope="module")
def blurred(network: keras.Model) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return curves and areas of sixteen posters, blurred in the order of maps that mark their patches."""
    posters, truth = patches(16, seed=5)
    return maps.faithfulness(network, posters, truth.argmax(axis=1).tolist(), marked(truth))


def test_a_map_of_the_patch_is_more_faithful_than_chance_and_its_opposite_less(
    network: keras.Model, blurred: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    curves, areas = blurred
    assert areas.shape == (16, 6)
    good = maps.faithfulness_table(areas)
    for rival in ("at random", "from the centre"):
        assert good.loc[f"deletion, beside {rival}", "high"] < 0
        assert good.loc[f"insertion, beside {rival}", "low"] > 0
    assert curves.loc[0.5, "deletion"] < curves.loc[0.5, "deletion at random"]
    assert curves["deletion"].iloc[4] < curves["deletion"].iloc[-1]  # the patch went first
    posters, truth = patches(16, seed=5)
    genres = truth.argmax(axis=1).tolist()
    bad = maps.faithfulness_table(maps.faithfulness(network, posters, genres, -marked(truth))[1])
    chance = [f"{kind}, beside at random" for kind in ("deletion", "insertion")]
    assert bad.loc[chance[1], "high"] < 0 < bad.loc[chance[0], "low"]
    np.testing.assert_allclose(good["in the other"], bad["in the other"], atol=1e-5)


def test_curves_of_deletion_go_from_the_poster_to_the_blur_and_of_insertion_back(
    network: keras.Model, blurred: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    curves, areas = blurred
    posters, truth = patches(16, seed=5)
    intact, soft = (
        network.predict(seen, verbose=0)[truth].mean()
        for seen in (posters, alterations.without_detail(posters))
    )
    assert intact > soft + 0.02
    ends = curves.iloc[[0, -1]]
    assert ends.index.tolist() == [0, 1]
    for name in curves:
        told = [soft, intact] if name.startswith("insertion") else [intact, soft]
        np.testing.assert_allclose(ends[name], told, atol=1e-4)
    trapezia = (curves["deletion"].iloc[:-1].sum() + curves["deletion"].iloc[1:].sum()) / 20
    assert areas["deletion"].mean() == pytest.approx(trapezia, abs=1e-4)


def test_the_difference_of_two_curves_is_paired_poster_by_poster() -> None:
    areas = pd.DataFrame(
        {
            "deletion": [0.1, 0.5, 0.9],
            "deletion at random": [0.3, 0.7, 1.1],
            "deletion from the centre": [0.1, 0.5, 0.9],
            "insertion": [0.6, 0.6, 0.6],
            "insertion at random": [0.5, 0.6, 0.7],
            "insertion from the centre": [0.4, 0.4, 0.4],
        }
    )
    table = maps.faithfulness_table(areas)
    told = table.loc["deletion, beside at random"].to_list()
    np.testing.assert_allclose(told, [0.5, 0.7, -0.2, -0.2, -0.2])
    apart = 8.8602 * 0.1 / np.sqrt(3)  # Student's t with 2 degrees of freedom at 1 - 0.05 / 8
    told = table.loc["insertion, beside at random"]
    np.testing.assert_allclose(told, [0.6, 0.6, 0, -apart, apart], atol=1e-5)
    told = table.loc["insertion, beside from the centre", "difference"]
    assert told == pytest.approx(0.2)


def test_the_energy_inside_a_box_counts_cells_by_their_part_in_it() -> None:
    heat = np.array([[[1.0, 2], [3, 4]]] * 4)
    boxes = np.array(
        [
            [0.0, 0.0, 1.0, 1.0],  # the whole frame
            [0.0, 0.0, 0.5, 0.5],  # the first cell
            [0.25, 0.0, 0.75, 0.5],  # half of the first and of the second
            [0.25, 0.25, 0.75, 0.75],  # a quarter of each
        ]
    )
    np.testing.assert_allclose(maps.energy_inside(heat, boxes), [1, 0.1, 0.15, 0.25])
    assert maps.energy_inside(np.zeros((1, 2, 2)), boxes[:1]).tolist() == [0]


def test_without_known_boxes_there_is_nothing_to_point_at(network: keras.Model, run: str) -> None:
    posters, _ = patches(2)
    table = maps.pointing_table(run, network, ["tt1", "tt2"], posters, ["Red", "Blue"])
    assert table.empty
    assert "hits" in table.columns
    assert "cannot be asked" in maps.pointing_sentence(table)


def test_maps_that_find_the_patch_beat_the_centre_and_chance(
    network: keras.Model, run: str
) -> None:
    posters, truth = patches(12, seed=5)
    names = np.array(["Red", "Blue"])[truth.argmax(axis=1)]
    drawn = pd.DataFrame({"film_id": [f"tt{n}" for n in range(12)], "cue_motif": names})
    drawn[maps.SIDES] = np.where(truth[:, :1], [0.0, 0.0, 1.0, 0.4], [0.0, 0.6, 1.0, 1.0])
    drawn.loc[0, "cue_motif"] = None  # a poster without a motif is not asked
    drawn.loc[0, maps.SIDES] = np.nan
    folder = paths.run_directory(run) / "studio"
    folder.mkdir(parents=True)
    drawn.sample(frac=1, random_state=0).to_parquet(folder / "truth.parquet")
    asked = drawn["film_id"].tolist()
    table = maps.pointing_table(run, network, asked, posters, ["Red", "Blue"], layer="conv3")
    assert table["posters"].tolist() == [11, 11, 11]
    cam, centre, chance = table["hits"]
    assert cam > 0.8
    assert (centre, chance) == (0, pytest.approx(0.4))
    assert table["energy"].iloc[0] > 0.5 > table["energy"].iloc[1]
    assert table["low"].iloc[0] < cam <= table["high"].iloc[0]


def test_a_painted_patch_raises_its_own_genre_alone(network: keras.Model) -> None:
    posters, truth = patches(12, seed=5)
    posters[:6] = np.random.default_rng(1).integers(60, 120, posters[:6].shape, dtype=np.uint8)
    truth[:6] = False
    painted = {"Red": posters.copy(), "Blue": posters.copy()}
    painted["Red"][:, 4:16, 8:24] = (230, 20, 20)
    painted["Blue"][:, 32:44, 8:24] = (20, 20, 230)
    table = maps.planted(network, posters, truth, painted, ["Red", "Blue"])
    assert table.index.tolist() == ["Red", "Blue"]
    assert table["posters"].tolist() == (~truth).sum(axis=0).tolist()
    assert (table["low"] > 0.2).all()
    assert (table["others"] < 0.1).all()
    assert (table["raised"] > 0.9).all()
    nothing = maps.planted(network, posters, truth, {"Red": posters}, ["Red", "Blue"])
    assert nothing.loc["Red", ["own", "others", "raised"]].tolist() == [0, 0, 0]


def test_planting_is_told_and_so_is_that_there_is_nothing_to_plant(network: keras.Model) -> None:
    posters, truth = patches(2)
    nothing = maps.planted(network, posters, truth, {}, ["Red", "Blue"])
    assert "No motif is known" in maps.planted_sentence(nothing)
    table = pd.DataFrame(
        {"own": [1.0, 0.1], "low": [0.8, -0.2], "others": [-0.1, 0.0], "raised": [0.9, 0.5]},
        index=["Red", "Blue"],
    )
    told = maps.planted_sentence(table)
    assert "+0.6 on average and on 70% of the posters" in told
    assert "for 1 of 2 genres the move is surely more than theirs (Blue it does not surely)" in told


def test_an_explanation_tells_scores_of_all_genres_and_the_third_that_matters(
    network: keras.Model,
) -> None:
    posters, truth = patches(12, seed=5)
    for genre, third in (("Red", "upper third"), ("Blue", "lower third")):
        place = ["Red", "Blue"].index(genre)
        poster = posters[truth[:, place].argmax()]
        told = maps.explain(network, poster, ["Red", "Blue"], top=1)
        expected = network.predict(poster[None], verbose=0)[0]
        np.testing.assert_allclose(list(told["scores"].values()), expected, atol=1e-5)
        assert list(told["scores"]) == ["Red", "Blue"]
        assert list(told["reasons"]) == [genre]
        reason = told["reasons"][genre]
        assert set(reason["cues"]) == set(alterations.ALTERATIONS)
        thirds = {name: lost for name, lost in reason["cues"].items() if "third" in name}
        assert max(thirds, key=lambda name: thirds[name]) == third
        assert reason["map"].max() == pytest.approx(1)
        assert len(reason["channels"]) == 5
        assert sorted(reason["channels"].values(), reverse=True) == list(
            reason["channels"].values()
        )


def test_an_explanation_covers_the_genres_that_were_asked_for(network: keras.Model) -> None:
    poster = patches(1, seed=5)[0][0]
    assert list(maps.explain(network, poster, ["Red", "Blue"])["reasons"]) in (
        ["Red", "Blue"],
        ["Blue", "Red"],
    )
    asked = maps.explain(network, poster, ["Red", "Blue"], genres=["Red"], layer="conv3")
    assert list(asked["reasons"]) == ["Red"]
    assert list(asked["scores"]) == ["Red", "Blue"]
    expected = maps.grad_cam(network, poster[None], [0], layer="conv3")[0]
    np.testing.assert_allclose(asked["reasons"]["Red"]["map"], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"genres": ["Green"]}, "knows 2 genres.*Asked was for Green"),
        ({"vocabulary": ["Red", "Blue", "Green"]}, "knows 2 genres, and 3 were named"),
        ({"poster": np.zeros((30, 20, 3), np.uint8)}, "takes posters of"),
        ({"poster": np.zeros((*SIZE, 3), np.float32)}, "bytes from 0 to 255; .* of float32 came"),
        ({"poster": np.zeros((*SIZE, 4), np.uint8)}, r"takes posters of .*; \(48, 32, 4\)"),
        ({"poster": np.zeros(SIZE, np.uint8)}, "takes posters of"),
        ({"layer": "dropout"}, "no convolutional layer"),
    ],
)
def test_an_explanation_says_what_it_wants(network: keras.Model, change: Any, reason: str) -> None:
    asked = {"poster": patches(1)[0][0], "vocabulary": ["Red", "Blue"]} | change
    with pytest.raises(ValueError, match=reason):
        maps.explain(network, asked.pop("poster"), asked.pop("vocabulary"), **asked)


def test_each_genre_has_its_mean_map_and_each_poster_its_highest_genres(
    network: keras.Model,
) -> None:
    posters, truth = patches(16, seed=5)
    means = maps.mean_maps(network, posters, truth, layer="conv3")
    assert means.shape == (2, 12, 8)
    upper = means[:, :6].sum(axis=(1, 2)) / means.sum(axis=(1, 2))
    assert upper[0] > 0.5 > upper[1]
    top, heat = maps.top_maps(network, posters, layer="conv3")
    assert (top == truth.argmax(axis=1)).mean() > 0.9
    assert heat.shape == (16, 12, 8)
    assert [len(each) for each in maps.top_maps(network, posters[:0])] == [0, 0]


def faithful(deletion: float, insertion: float, centre: float = 0) -> pd.DataFrame:
    """Return the table of maps whose differences are these, each give or take 0.05."""
    rows = {
        f"{kind}, beside {rival}": [0.5, 0.5, value, value - 0.05, value + 0.05]
        for rival, sign in (("at random", 0), ("from the centre", centre))
        for kind, value in {"deletion": deletion - sign, "insertion": insertion + sign}.items()
    }
    columns = ["in the map's order", "in the other", "difference", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def forgotten(difference: float, blank: float = 0.25) -> pd.DataFrame:
    """Return the table of maps whose likeness lies so far above two posters', give or take 0.05."""
    apart = np.array([0.6, 0.04, difference, 0])
    reach = np.array([0.05, 0.05, 0.05, 0])
    return pd.DataFrame(
        {
            "likeness": 0.1 + apart,
            "blank": [0, 0, blank, 0],
            **dict(zip(maps.DIFFERENCE, (apart, apart - reach, apart + reach), strict=True)),
        },
        index=["logits", "conv2", "conv1", "another poster's map"],
    )


def test_maps_are_trusted_when_both_tests_put_their_order_ahead() -> None:
    told = maps.trust_sentence(faithful(-0.1, 0.1))
    assert told == (
        "When posters are blurred bit by bit, its score depends more on the places that its heat maps "
        "mark than on places at random, and more than on the middle of the poster."
    )
    assert "at random, but not surely more than on the middle" in maps.trust_sentence(
        faithful(-0.1, 0.1, centre=-0.08)
    )
    assert "at random, but less than on the middle" in maps.trust_sentence(
        faithful(-0.1, 0.1, centre=-0.2)
    )
    for one in (faithful(-0.1, 0.04), faithful(-0.04, 0.1), faithful(0.1, 0.1)):
        assert "depends not surely more on the places" in maps.trust_sentence(one)
    assert "depends less on the places" in maps.trust_sentence(faithful(0.1, -0.1))


def test_what_is_left_of_maps_is_judged_by_the_interval_of_the_difference() -> None:
    # Here the intervals of the two likenesses overlap, and that of their difference holds no zero.
    stays = maps.forgetting_sentence(forgotten(0.06))
    assert "is 0.160, that of two posters' maps 0.100" in stays
    assert "a difference of +0.060 (+0.010 to +0.110), so some likeness stays" in stays
    assert "But 25% of its maps are blank, and of these nothing can be compared." in stays
    assert stays.endswith("surely above that of two posters' maps at 1 of 2 stages.")
    assert "so no likeness beyond that of two" in maps.forgetting_sentence(forgotten(0.04))
    assert "so less likeness is left" in maps.forgetting_sentence(forgotten(-0.06))
    assert "blank" not in maps.forgetting_sentence(forgotten(0.06, blank=0))
    nothing = maps.forgetting_sentence(forgotten(np.nan, blank=1.0))
    assert nothing == (
        "With all its weights shuffled 100% of its maps are blank, and of these nothing can be compared."
    )


def test_what_was_learned_of_the_maps_is_told_without_a_number() -> None:
    told = maps.learned_sentence(faithful(-0.1, 0.1, centre=-0.08), forgotten(0.06))
    assert told == (
        "Its heat maps tell better than chance which places matter to it, but not surely better than "
        "the middle of the poster does; with its weights shuffled, some likeness stays, which cannot "
        "come from these weights."
    )
    told = maps.learned_sentence(faithful(0.1, -0.1), forgotten(0.04))
    assert "worse than chance which places matter to it, and worse than the middle" in told
    assert told.endswith("shuffled, no likeness beyond that of two posters' maps is shown.")
    told = maps.learned_sentence(faithful(-0.1, 0.1), forgotten(np.nan))
    assert told.endswith("shuffled, too few maps are left to compare.")


def test_a_table_without_a_number_becomes_plain_values() -> None:
    table = pd.DataFrame({"hits": [0.5, np.nan]}, index=["map", "chance"])
    assert maps.plain(table) == {"map": {"hits": 0.5}, "chance": {"hits": None}}
