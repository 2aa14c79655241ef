"""Readings of a poster that need no network; what a network has to beat."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from postergenre.films import Part, of


def frequencies(train: Part, films: int) -> NDArray[np.float64]:
    """Return the training films' genre frequencies as every film's scores (films, genres)."""
    return np.tile(of("train", train).truth.mean(axis=0), (films, 1))


def most_frequent(train: Part, films: int) -> NDArray[np.float64]:
    """Return scores that name the training films' most frequent genre, and nothing else."""
    counts = of("train", train).truth.sum(axis=0)
    return np.tile(np.arange(len(counts)) == counts.argmax(), (films, 1)).astype(float)


def decades(years: pd.Series) -> NDArray[np.float64]:
    """Return each film's decade as (films, decades) zeros and ones; a missing year is its own column."""
    return kinds(years.astype("Int64") // 10)


def kinds(values: pd.Series) -> NDArray[np.float64]:
    """Return (films, kinds) zeros and ones; a missing value is a kind of its own."""
    return pd.get_dummies(values.astype("string").fillna("missing")).to_numpy(dtype=float)


def colour_and_layout(posters: NDArray[np.uint8], *, bins: int = 4) -> NDArray[np.float32]:
    """Return (posters, features): a joint colour histogram, and brightness and edges in 6 x 4 tiles."""
    features = []
    for poster in posters:
        codes = (np.asarray(poster, dtype=np.int64) * bins) // 256
        joint = (codes[..., 0] * bins + codes[..., 1]) * bins + codes[..., 2]
        histogram = np.sqrt(np.bincount(joint.ravel(), minlength=bins**3) / joint.size)
        grey = np.asarray(poster, dtype=np.float32).mean(axis=2) / 255
        edges = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
        features.append(np.concatenate([histogram, _tiles(grey), _tiles(edges)]))
    return np.asarray(features, dtype=np.float32)


def _tiles(values: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = np.array_split(values, 6, axis=0)
    return np.array([tile.mean() for row in rows for tile in np.array_split(row, 4, axis=1)])


def linear(
    features: NDArray[np.floating],
    train: Part,
    validation: Part,
    *,
    strengths: Sequence[float] = (0.001, 0.01, 0.1),
) -> NDArray[np.float64]:
    """Return scores (films, genres) of one logistic regression a genre on all films' features.

    Its regularisation is the one of `strengths` with the lowest log loss on validation films.
    """
    learned, asked = of("train", train), of("validation", validation)
    best, chosen = np.inf, np.empty((len(features), learned.truth.shape[1]))
    for strength in strengths:
        one = LogisticRegression(C=strength, max_iter=500)
        model = make_pipeline(StandardScaler(), OneVsRestClassifier(one))
        model.fit(features[learned.rows], learned.truth.astype(int))
        scores = np.clip(model.predict_proba(features), 1e-6, 1 - 1e-6)
        given = scores[asked.rows]
        right = np.where(asked.truth, given, 1 - given)
        loss = -float(np.log(right).mean())
        if loss < best:
            best, chosen = loss, scores
    return chosen
