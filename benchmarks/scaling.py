"""How the one major genre of a film is best read from a network's chances, asked of validation films.

    .venv/bin/python benchmarks/scaling.py runs/published

The run's chapters of the networks have to be there. Each way is fitted on nine tenths of the
validation films with one major genre, and asked about the tenth, three times with tenths drawn
anew. `right` and `said` are the share of right answers and how sure they were in the mean,
`answered at 85 %` is the largest share of films, the surest first, of which as many are right, in
hindsight.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tuning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold

from postergenre import claims, films, metrics, reading

NETWORKS = {"VGG16": "vgg16", "custom CNN, distilled": "custom_cnn_distilled"}
PLAIN, OURS = "as they are", "slope and shifts"
MATRIX, ALL = "all major genres' for each", "all genres' for each"
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    asked = parser.parse_args()
    population, vocabulary, majors = films.load(asked.run)
    truth = films.truth(population["genres"], vocabulary)
    rows = []
    for name, folder in NETWORKS.items():
        chances = tuning.chances(asked.run, folder, population, vocabulary)
        for genres in (majors, [genre for genre in claims.DISTINCT if genre in majors]):
            for way in (PLAIN, OURS, MATRIX, ALL):
                found = tried(population, truth, chances, vocabulary, genres, way)
                rows.append({"network": name, "genres": len(genres), "odds": way, **found})
    found = pd.DataFrame(rows).round(3)
    found.to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.3f")
    print(found.to_string(index=False))


def tried(
    population: pd.DataFrame,
    truth: np.ndarray,
    chances: np.ndarray,
    vocabulary: list[str],
    majors: list[str],
    way: str,
) -> dict[str, float]:
    """Return what one way is worth on validation films that it was not fitted on."""
    major = population["major"].to_numpy(dtype=str)
    part = films.Part(population, truth, "validation", among=np.isin(major, majors))
    told = []
    for repeat in range(REPEATS):
        folds = StratifiedKFold(10, shuffle=True, random_state=repeat)
        shares = np.zeros((len(part.rows), len(majors)))
        for known, held in folds.split(part.rows, major[part.rows]):
            among = np.isin(np.arange(len(major)), part.rows[known])
            fold = films.Part(population, truth, "validation", among=among)
            shares[held] = read(fold, part.rows[held], chances, major, vocabulary, majors, way)
        told.append(worth(major[part.rows], shares, majors))
    return pd.DataFrame(told).mean().to_dict()


def read(
    fold: films.Part,
    held: np.ndarray,
    chances: np.ndarray,
    major: np.ndarray,
    vocabulary: list[str],
    majors: list[str],
    way: str,
) -> np.ndarray:
    """Return the shares (films, majors) of some films, fitted on others."""
    if way in (PLAIN, OURS):
        scaling = reading.plain_scaling(majors)
        if way == OURS:
            scaling = metrics.fit_scaling(fold, chances, major, vocabulary, majors)
        return reading.major_shares(chances[held], vocabulary, majors, scaling)
    odds = reading.logit(chances)
    if way == MATRIX:
        odds = odds[:, [vocabulary.index(genre) for genre in majors]]
    model = LogisticRegression(C=0.1, max_iter=2000).fit(odds[fold.rows], major[fold.rows])
    order = [list(model.classes_).index(genre) for genre in majors]
    return np.asarray(model.predict_proba(odds[held])[:, order])


def worth(expected: np.ndarray, shares: np.ndarray, majors: list[str]) -> dict[str, Any]:
    """Return how often shares (films, majors) are right, how sure they are, and what they are worth."""
    right = reading.major_choice(shares, majors) == expected
    even = reading.major_choice(shares / shares.mean(axis=0), majors)
    curve = metrics.coverage(right, shares.max(axis=1))
    order = np.argsort(majors)
    return {
        "right": right.mean(),
        "said": shares.max(axis=1).mean(),
        "balanced top-1": balanced_accuracy_score(expected, even),
        "answered at 85 %": curve.loc[curve["accuracy"] >= metrics.SURE, "coverage"].max(),
        "log loss": log_loss(expected, shares[:, order], labels=sorted(majors)),
    }


if __name__ == "__main__":
    main()
