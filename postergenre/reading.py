"""What a network's scores say: chances, the likeliest major genre, how sure. NumPy alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]


def logit(scores: Scores) -> NDArray[np.float64]:
    """Return the log odds of scores between 0 and 1."""
    clipped = np.clip(np.asarray(scores, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def calibrate(scores: Scores, lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores as calibrated probabilities, (films, genres)."""
    return np.asarray(1 / (1 + np.exp(-(logit(scores) * lines[:, 0] + lines[:, 1]))))


def major_choice(
    scores: Scores, vocabulary: Sequence[str], majors: Sequence[str]
) -> NDArray[np.str_]:
    """Return the major genre with the highest score (films, genres) of each film.

    Calibrated chances give the likeliest genre where genres are as frequent as in training;
    divided by the genres' frequencies, the likeliest where all genres are equally frequent.
    """
    columns = [list(vocabulary).index(name) for name in majors]
    return np.array(majors)[np.argmax(scores[:, columns], axis=1)]


def confidence(
    chances: Scores, vocabulary: Sequence[str], majors: Sequence[str]
) -> NDArray[np.float64]:
    """Return the likeliest major genre's share of the major genres' odds, film by film.

    With genres independent of each other for a given poster, that is its chance, given that the
    film has just one of them.
    """
    odds = np.exp(logit(chances[:, [list(vocabulary).index(name) for name in majors]]))
    return np.asarray(odds.max(axis=1) / odds.sum(axis=1))


def mean_interval(values: NDArray[np.floating]) -> tuple[float, float, float]:
    """Return the mean of values and its 95 % interval in the normal approximation."""
    reach = 1.96 * float(np.std(values, ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    mean = float(np.mean(values))
    return mean, mean - reach, mean + reach
