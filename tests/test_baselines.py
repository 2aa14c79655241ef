import numpy as np
import pandas as pd
from conftest import part
from sklearn.metrics import roc_auc_score

from postergenre import baselines

TRUTH = np.array([[1, 0], [1, 1], [1, 0], [0, 1]], dtype=bool)
TRAIN = part("train", TRUTH, slice(3))


def test_constant_answers_come_from_training_films_alone() -> None:
    assert baselines.frequencies(TRAIN, 4).tolist() == [[1, 1 / 3]] * 4
    assert baselines.most_frequent(TRAIN, 4).tolist() == [[1, 0]] * 4


def test_a_missing_year_is_a_decade_of_its_own() -> None:
    table = baselines.decades(pd.Series([1994, 1999, 2003, None]))
    assert table.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_a_missing_kind_is_a_kind_of_its_own() -> None:
    assert baselines.kinds(pd.Series(["a", None, "b"])).tolist() == [
        [1, 0, 0],
        [0, 0, 1],
        [0, 1, 0],
    ]


def test_colours_and_places_are_what_is_measured() -> None:
    posters = np.zeros((3, 48, 32, 3), dtype=np.uint8)
    posters[0] = (255, 0, 0)
    posters[1] = (0, 0, 255)
    posters[2, :8] = 255  # a bright band at the head
    table = baselines.colour_and_layout(posters)
    assert table.shape == (3, 4**3 + 24 + 24)
    histograms, brightness = table[:, :64], table[:, 64:88].reshape(3, 6, 4)
    assert (np.count_nonzero(histograms, axis=1) == [1, 1, 2]).all()
    assert histograms[0].argmax() != histograms[1].argmax()
    assert (brightness[2, 0] == 1).all()
    assert (brightness[2, 1:] == 0).all()


def test_a_linear_reading_finds_what_is_there_and_nothing_in_noise() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((600, 2)) < 0.4
    features = rng.normal(size=(600, 5))
    features[:, 0] += 2 * truth[:, 0]
    side = np.arange(600)
    learned, asked = part("train", truth, side < 300), slice(300, 400)
    scores = baselines.linear(features, learned, part("validation", truth, asked))
    held = side >= 400
    assert roc_auc_score(truth[held, 0], scores[held, 0]) > 0.85
    assert roc_auc_score(truth[held, 1], scores[held, 1]) < 0.65
