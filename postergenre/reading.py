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


def major_shares(
    chances: Scores,
    vocabulary: Sequence[str],
    majors: Sequence[str],
    scaling: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Return each major genre's chance, (films, majors), given that a film has just one of them.

    `scaling` (1 + majors) is a slope for the log odds of `chances` (films, genres), and a shift for
    each major genre, after Alexandari, Kundaje and Shrikumar, ICML 2020 (bias-corrected temperature
    scaling). With `plain_scaling`, genres are taken as independent of each other for a poster.
    """
    columns = [list(vocabulary).index(name) for name in majors]
    odds = logit(chances[:, columns]) * scaling[0] + scaling[1:]
    parts = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(parts / parts.sum(axis=1, keepdims=True))


def plain_scaling(majors: Sequence[str]) -> NDArray[np.float64]:
    """Return the scaling that leaves log odds as they are, (1 + majors)."""
    return np.array([1.0] + [0.0] * len(majors))


def major_choice(shares: Scores, majors: Sequence[str]) -> NDArray[np.str_]:
    """Return the major genre with the highest share (films, majors) of each film."""
    return np.array(majors)[np.argmax(shares, axis=1)]


def mean_interval(values: NDArray[np.floating]) -> tuple[float, float, float]:
    """Return the mean of values and its 95 % interval in the normal approximation."""
    reach = 1.96 * float(np.std(values, ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    mean = float(np.mean(values))
    return mean, mean - reach, mean + reach
