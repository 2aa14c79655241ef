"""Test films are handed to everything that learns or chooses, and everything refuses them."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from postergenre import (
    architectures,
    baselines,
    batches,
    classifier,
    films,
    metrics,
    training,
)

SPLIT = np.array(["train"] * 40 + ["validation"] * 40 + ["test"] * 40)
TRUTH = np.random.default_rng(0).random((120, 3)) < 0.4
SCORES = np.random.default_rng(1).random((120, 3))
TABLE = pd.DataFrame({"split": SPLIT, "major": ["A", "B"] * 60, "balanced": SPLIT == "test"})
POSTERS = np.zeros((120, 48, 32, 3), dtype=np.uint8)
Parts = dict[str, films.Part]


def parts(**other: str) -> Parts:
    """Return the three parts by name, some of them with the films of another."""
    sides = {name: name for name in films.SPLITS} | other
    return {name: films.Part(TABLE, TRUTH, side) for name, side in sides.items()}


def fitted(given: Parts, folder: Path) -> Any:
    return training.fit(
        architectures.custom_cnn((48, 32), 3, width=4),
        lambda epoch: batches.epoch_of(
            given["train"], lambda at: [POSTERS[at]], TRUTH, batch_size=40, seed=0, epoch=epoch
        ),
        (given["validation"], lambda at: POSTERS[at]),
        loss=training.balanced_crossentropy(given["train"]),
        epochs=1,
        steps=1,
        learning_rate=0.001,
        folder=folder,
        stamp={},
    )


def saved(given: Parts, folder: Path) -> None:
    result = metrics.evaluate(TABLE, TRUTH, SCORES, list("ABC"), list("AB"), repeats=2)
    model = architectures.custom_cnn((48, 32), 3, width=4)
    check = (given["validation"], POSTERS)
    classifier.save(
        folder, model, result, vocabulary=list("ABC"), majors=list("AB"), card={}, check=check
    )


def scaled(given: Parts, folder: Path) -> None:
    weights = "weights/vgg16_imagenet_notop_fp16.h5"
    model = architectures.vgg16((32, 32), 3, weights=weights, hidden=0)
    architectures.standardise(model, given["train"], np.zeros((120, 1408)))


# Each choice, under the name of the function that makes it, and the part that it is made on.
CHOICES: dict[str, tuple[str, Callable[[Parts, Path], Any]]] = {
    "thresholds": ("validation", lambda p, _: metrics.thresholds(p["validation"], SCORES)),
    "one_threshold": ("validation", lambda p, _: metrics.one_threshold(p["validation"], SCORES)),
    "fit_calibration": (
        "validation",
        lambda p, _: metrics.fit_calibration(p["validation"], SCORES),
    ),
    "fit_scaling": (
        "validation",
        lambda p, _: metrics.fit_scaling(
            p["validation"], SCORES, TABLE["major"].to_numpy(dtype=str), list("ABC"), list("AB")
        ),
    ),
    "sure_enough": (
        "validation",
        lambda p, _: metrics.sure_enough(p["validation"], TRUTH[:, 0], SCORES[:, 0], 0.3),
    ),
    "best": ("validation", lambda p, _: metrics.best(p["validation"], {"a": SCORES})),
    "fit": ("validation", fitted),
    "save": ("validation", saved),
    "linear strength": (
        "validation",
        lambda p, _: baselines.linear(SCORES, p["train"], p["validation"]),
    ),
    "linear": ("train", lambda p, _: baselines.linear(SCORES, p["train"], p["validation"])),
    "frequencies": ("train", lambda p, _: baselines.frequencies(p["train"], 120)),
    "most_frequent": ("train", lambda p, _: baselines.most_frequent(p["train"], 120)),
    "balanced_crossentropy": (
        "train",
        lambda p, _: training.balanced_crossentropy(p["train"]),
    ),
    "epoch_of": (
        "train",
        lambda p, _: batches.epoch_of(
            p["train"], lambda at: [POSTERS[at]], TRUTH, batch_size=4, seed=0, epoch=0
        ),
    ),
    "standardise": ("train", scaled),
}


@pytest.mark.parametrize("name", CHOICES)
def test_test_films_are_refused_by_every_choice(name: str, tmp_path: Path) -> None:
    side, choose = CHOICES[name]
    choose(parts(), tmp_path / "as it should be")
    with pytest.raises(ValueError, match=f"Expected films of the {side} part, films of the test"):
        choose(parts(**{side: "test"}), tmp_path)
    for bare in (TABLE["split"] == "test", TRUTH[SPLIT == "test"]):
        with pytest.raises(ValueError, match=f"of the {side} part, .* came"):
            choose(parts() | {side: bare}, tmp_path)


def test_whatever_takes_films_of_one_part_is_among_those_that_were_tried() -> None:
    found = {
        name
        for room in (architectures, baselines, batches, classifier, metrics, training)
        for name, function in inspect.getmembers(room, inspect.isfunction)
        if function.__module__ == room.__name__
        and "Part" in str(inspect.signature(function))
        and not name.startswith("_")
    }
    assert found - {"compare"} == set(CHOICES) - {"linear strength"}  # `save` compares


def test_a_part_has_the_films_of_its_side_and_no_others() -> None:
    everything = np.ones(120, dtype=bool)
    part = films.Part(TABLE, TRUTH, "validation", among=everything)
    assert part.rows.tolist() == list(range(40, 80))
    np.testing.assert_array_equal(part.truth, TRUTH[40:80])
    fewer = films.Part(TABLE, TRUTH, "validation", among=SPLIT == "test")
    assert len(fewer.rows) == 0
