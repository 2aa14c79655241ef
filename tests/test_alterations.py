"""Posters with one thing taken away, and nothing else."""

import numpy as np
import pytest

from postergenre import alterations

POSTERS = np.random.default_rng(0).integers(0, 255, (3, 48, 32, 3), dtype=np.uint8)


def test_a_grey_poster_has_equal_channels_and_its_lightness() -> None:
    grey = alterations.without_colour(POSTERS)
    assert grey.dtype == np.uint8
    assert grey.shape == POSTERS.shape
    np.testing.assert_array_equal(grey[..., 0], grey[..., 1])
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])
    pure = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]]], np.uint8)
    assert alterations.without_colour(pure)[0, 0, :, 0].tolist() == [76, 150, 29, 90]


def test_a_soft_poster_keeps_its_colours_and_loses_its_detail() -> None:
    soft = alterations.without_detail(POSTERS)
    assert soft.shape == POSTERS.shape
    assert np.abs(np.diff(soft.astype(int), axis=1)).mean() < 10
    assert np.abs(np.diff(POSTERS.astype(int), axis=1)).mean() > 60
    np.testing.assert_allclose(soft.mean(axis=(1, 2)), POSTERS.mean(axis=(1, 2)), atol=3)
    halves = np.zeros((1, 48, 32, 3), np.uint8)
    halves[:, :24] = 200
    softened = alterations.without_detail(halves)
    assert softened[0, 4].min() > 190
    assert softened[0, -4].max() < 10


def test_posters_dealt_anew_keep_their_pixels_and_each_has_an_order_of_its_own() -> None:
    dealt = alterations.without_layout(POSTERS)
    for before, after in zip(POSTERS, dealt, strict=True):
        np.testing.assert_array_equal(
            np.unique(before.reshape(-1, 3), axis=0, return_counts=True)[1],
            np.unique(after.reshape(-1, 3), axis=0, return_counts=True)[1],
        )
        assert sorted(map(bytes, before.reshape(-1, 3))) == sorted(map(bytes, after.reshape(-1, 3)))
    assert (dealt != POSTERS).mean() > 0.8
    same = alterations.without_layout(np.repeat(POSTERS[:1], 2, axis=0))
    assert (same[0] != same[1]).any()
    np.testing.assert_array_equal(dealt, alterations.without_layout(POSTERS))
    # Tiles stay whole: each one of the poster is found again.
    tiles = {POSTERS[0, y : y + 8, x : x + 8].tobytes() for y in range(0, 48, 8) for x in (0, 8)}
    found = {
        dealt[0, y : y + 8, x : x + 8].tobytes() for y in range(0, 48, 8) for x in range(0, 32, 8)
    }
    assert tiles <= found


def test_a_poster_whose_size_the_tiles_do_not_divide_keeps_its_rim() -> None:
    odd = np.random.default_rng(0).integers(0, 255, (2, 50, 33, 3), dtype=np.uint8)
    dealt = alterations.without_layout(odd)
    np.testing.assert_array_equal(dealt[:, 48:], odd[:, 48:])
    np.testing.assert_array_equal(dealt[:, :, 32:], odd[:, :, 32:])
    assert (dealt[:, :48, :32] != odd[:, :48, :32]).mean() > 0.8


@pytest.mark.parametrize("third", [0, 1, 2])
def test_a_third_is_covered_in_each_posters_mean_colour_and_the_rest_stays(third: int) -> None:
    altered = alterations.without_third(POSTERS, third)
    rows = slice(16 * third, 16 * (third + 1))
    for before, after in zip(POSTERS, altered, strict=True):
        assert (after[rows] == before.mean(axis=(0, 1)).round()).all()
        np.testing.assert_array_equal(
            np.delete(after, np.r_[rows], 0), np.delete(before, np.r_[rows], 0)
        )


def test_half_the_light_is_half_of_every_pixel() -> None:
    np.testing.assert_array_equal(alterations.without_light(POSTERS), POSTERS // 2)


def test_thirds_are_named_from_the_top() -> None:
    altered = alterations.without(POSTERS, ["upper third", "middle third", "lower third"])
    for number, one in enumerate(altered.values()):
        np.testing.assert_array_equal(one, alterations.without_third(POSTERS, number))


def test_every_alteration_leaves_what_it_was_given_and_changes_what_it_returns() -> None:
    kept = POSTERS.copy()
    kept.flags.writeable = False
    altered = alterations.without(kept)
    assert list(altered) == list(alterations.ALTERATIONS)
    for name, one in altered.items():
        assert one.shape == kept.shape, name
        assert one.dtype == np.uint8, name
        assert (one != kept).mean() > 0.2, name
    alterations.covered(kept[0])
    np.testing.assert_array_equal(kept, POSTERS)


def test_of_no_posters_there_are_no_altered_ones() -> None:
    for name, one in alterations.without(POSTERS[:0]).items():
        assert one.shape == (0, 48, 32, 3), name


def test_what_cannot_be_taken_away_is_refused() -> None:
    with pytest.raises(ValueError, match=r"without colour, .*lower third; smell, sound came"):
        alterations.without(POSTERS, ["colour", "smell", "sound"])


def test_covers_take_each_part_of_a_poster_once_and_leave_the_rest() -> None:
    poster = POSTERS[0]
    copies = alterations.covered(poster)
    assert len(copies) == len(alterations.PLACES) == 35
    changed = np.stack([(copy != poster).any(axis=2) for copy in copies])
    assert changed.any(axis=0).mean() > 0.99
    (row, column), copy = alterations.PLACES[17], copies[17]
    inside = copy[6 * row : 6 * row + 12, round(32 / 6 * column) : round(32 / 6 * (column + 2))]
    assert (inside == poster.mean(axis=(0, 1)).round()).all()


def test_a_cell_is_worth_the_mean_of_the_covers_that_hide_it() -> None:
    lost = np.zeros((len(alterations.PLACES), 2))
    lost[0] = [4, 8]  # the cover of the corner, which alone hides the first cell
    found = alterations.cells(lost)
    assert found.shape == (8, 6, 2)
    assert found[:3, :3, 0].tolist() == [[4, 2, 0], [2, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(found[..., 1], 2 * found[..., 0])
    np.testing.assert_allclose(alterations.cells(np.ones(35)), np.ones((8, 6)))
