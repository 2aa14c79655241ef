"""Posters with one thing taken away: what a network loses by it, it had used."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Posters = NDArray[np.uint8]  # (posters, height, width, 3)

ROWS, COLUMNS = 8, 6  # cells of a map by covering; a cover takes two by two of them
PLACES = [(row, column) for row in range(ROWS - 1) for column in range(COLUMNS - 1)]
TILES = (6, 4)  # rows and columns of tiles that are shuffled


def covered(poster: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return copies of a poster (height, width, 3), each with one part covered in its mean colour."""
    height, width = poster.shape[:2]
    down = np.linspace(0, height, ROWS + 1).round().astype(int)
    right = np.linspace(0, width, COLUMNS + 1).round().astype(int)
    colour = poster.mean(axis=(0, 1)).round().astype(np.uint8)
    copies = [poster.copy() for _ in PLACES]
    for copy, (row, column) in zip(copies, PLACES, strict=True):
        copy[down[row] : down[row + 2], right[column] : right[column + 2]] = colour
    return copies


def cells(lost: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return what each cell is worth, (rows, columns, ...), from the loss (covers, ...) of each cover."""
    total = np.zeros((ROWS, COLUMNS, *lost.shape[1:]))
    times = np.zeros((ROWS, COLUMNS))
    for (row, column), one in zip(PLACES, lost, strict=True):
        total[row : row + 2, column : column + 2] += one
        times[row : row + 2, column : column + 2] += 1
    return np.asarray(total / times.reshape(ROWS, COLUMNS, *[1] * (lost.ndim - 1)))


def without_colour(posters: Posters) -> Posters:
    """Return posters in grey (the luma of ITU-R BT.601)."""
    grey = (np.asarray(posters, dtype=np.float32) @ [0.299, 0.587, 0.114]).round()
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)


def without_detail(posters: Posters) -> Posters:
    """Return posters so blurred (a 16th of the width) that colours and their places are left."""
    blur = ImageFilter.GaussianBlur(posters.shape[2] / 16)
    soft = [np.asarray(Image.fromarray(np.asarray(poster)).filter(blur)) for poster in posters]
    return np.array(soft, dtype=np.uint8).reshape(posters.shape)


def without_layout(posters: Posters) -> Posters:
    """Return posters cut into 6 by 4 tiles that are dealt anew; each poster has an order of its own."""
    rows, columns = TILES
    count, height, width = posters.shape[:3]
    high, wide = height // rows, width // columns
    kept = np.asarray(posters)[:, : high * rows, : wide * columns]
    tiles = kept.reshape(count, rows, high, columns, wide, 3).swapaxes(2, 3)
    tiles = tiles.reshape(count, rows * columns, high, wide, 3)
    orders = np.random.default_rng(7).permuted(
        np.tile(np.arange(rows * columns), (count, 1)), axis=1
    )
    dealt = np.take_along_axis(tiles, orders[:, :, None, None, None], axis=1)
    dealt = dealt.reshape(count, rows, columns, high, wide, 3).swapaxes(2, 3)
    whole = np.array(posters)
    whole[:, : high * rows, : wide * columns] = dealt.reshape(kept.shape)
    return whole


def without_third(posters: Posters, third: int) -> Posters:
    """Return posters with their upper (0), middle (1) or lower (2) third in each one's mean colour."""
    edges = np.linspace(0, posters.shape[1], 4).round().astype(int)
    altered = np.array(posters)
    colours = np.asarray(posters).mean(axis=(1, 2), keepdims=True).round()
    altered[:, edges[third] : edges[third + 1]] = colours.astype(np.uint8)
    return altered


def without_light(posters: Posters) -> Posters:
    """Return posters at half their brightness."""
    return np.asarray(posters, dtype=np.uint8) // 2


ALTERATIONS: dict[str, Callable[[Posters], Posters]] = {
    "colour": without_colour,
    "detail": without_detail,
    "layout": without_layout,
    "light": without_light,
    "upper third": lambda posters: without_third(posters, 0),
    "middle third": lambda posters: without_third(posters, 1),
    "lower third": lambda posters: without_third(posters, 2),
}


def without(posters: Posters, names: Sequence[str] = tuple(ALTERATIONS)) -> dict[str, Posters]:
    """Return the posters once for each of `names`, with that thing taken away."""
    unknown = [name for name in names if name not in ALTERATIONS]
    if unknown:
        raise ValueError(
            f"A poster can be shown without {', '.join(ALTERATIONS)}; {', '.join(unknown)} came."
        )
    return {name: ALTERATIONS[name](posters) for name in names}
