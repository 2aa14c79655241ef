"""Ten epochs of VGG16's head, and of head and block 5: from cached outputs, and by the textbook.

    .venv/bin/python benchmarks/transfer.py runs/demo

The textbook runs the frozen base in every epoch; we run it once, and keep what it saw, in single
precision and with its convolutions in half the bits. All train the same network from the same
beginning, on the same films in the same order at the same rate, and are asked about the same
validation films. Decoding the posters and compiling count for none.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from postergenre import architectures, batches, films, metrics, training

EPOCHS, BATCH = 10, 64
WEIGHTS = "weights/vgg16_imagenet_notop_fp16.h5"
WAYS = {"textbook": "float32", "cached": "float32", "cached, bfloat16": "mixed_bfloat16"}
RATES = {"head": 1e-3, "head and block 5": 1e-4}
BLOCK5 = ("block5_conv1", "block5_conv2", "block5_conv3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--height", type=int, default=96)
    parser.add_argument("--films", type=int, default=192)
    asked = parser.parse_args()
    population, vocabulary, _ = films.load(asked.run)
    truth = films.truth(population["genres"], vocabulary)
    size = (asked.height, 2 * asked.height // 3)
    posters = batches.images(asked.run, population, size)
    few = np.cumsum(population["split"] == "train").to_numpy() <= asked.films
    train = films.Part(population, truth, "train", among=few)
    chosen = films.Part(population, truth, "validation")
    told = {
        (part, way): trained(posters, train, chosen, part, way) for part in RATES for way in WAYS
    }
    found = table(told)
    found.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(f"{len(train.rows)} training posters of {size[0]} x {size[1]}")
    print(found.to_string(index=False))


def trained(
    posters: np.ndarray, train: films.Part, chosen: films.Part, part: str, way: str
) -> tuple[float, float, float]:
    """Return the seconds of the base's one pass and of ten epochs, and the score."""
    if way == "textbook":
        return textbook(posters, train, chosen, part)
    with tempfile.TemporaryDirectory() as folder:
        return cached(posters, train, chosen, part, WAYS[way], Path(folder))


def table(told: dict[tuple[str, str], tuple[float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "trained": part,
                "way": way,
                "base, once (s)": round(once, 1),
                "ten epochs (s)": round(epochs, 1),
                "times faster": round(sum(told[part, "textbook"][:2]) / (once + epochs), 1),
                "macro AUROC, validation": round(score, 3),
            }
            for (part, way), (once, epochs, score) in told.items()
        ]
    )


def network(posters: np.ndarray, train: films.Part, precision: str) -> keras.Model:
    """Return VGG16 as every way begins with it."""
    training.seeded(7)
    size, genres = posters.shape[1:3], train.truth.shape[1]
    return architectures.vgg16(size, genres, weights=WEIGHTS, precision=precision)


def textbook(
    posters: np.ndarray, train: films.Part, chosen: films.Part, part: str
) -> tuple[float, float, float]:
    """Train the whole network, its lower blocks frozen; return 0, seconds, and its score.

    The scale of its features is given to it, at no cost.
    """
    model = network(posters, train, "float32")
    seen, _ = architectures.frozen(model).predict(posters[train.rows], verbose=0)
    scale(model, seen)
    for name in BLOCK5 if part != "head" else ():
        model.get_layer(name).trainable = True
    seconds = ten_epochs(model, posters[train.rows], train, RATES[part])
    return 0.0, seconds, score(model, posters[chosen.rows], chosen)


def cached(
    posters: np.ndarray,
    train: films.Part,
    chosen: films.Part,
    part: str,
    precision: str,
    folder: Path,
) -> tuple[float, float, float]:
    """Run the frozen base once, and train what is above it; return both times, and the score."""
    model = network(posters, train, precision)
    frozen = architectures.frozen(model)
    frozen.predict_on_batch(posters[:32])
    began = time.perf_counter()
    seen = training.outputs_once(frozen, posters[train.rows], folder / "train", stamp={})
    once = time.perf_counter() - began
    asked = training.outputs_once(frozen, posters[chosen.rows], folder / "asked", stamp={})
    scale(model, seen[0])
    if part == "head":
        top, inputs, held = architectures.head(model), single(seen[0]), single(asked[0])
    else:
        top = architectures.tail(model)
        shallow = architectures.shallow_features(model)
        inputs, held = ([single(x[1]), single(x[0][:, :shallow])] for x in (seen, asked))
    seconds = ten_epochs(top, inputs, train, RATES[part])
    return once, seconds, score(top, held, chosen)


def single(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def scale(model: keras.Model, features: np.ndarray) -> None:
    layer, values = model.get_layer("standardise"), single(features)
    layer.moving_mean.assign(values.mean(axis=0))
    layer.moving_variance.assign(values.var(axis=0))


def ten_epochs(model: keras.Model, inputs: Any, train: films.Part, rate: float) -> float:
    """Return the seconds of ten epochs, films in the order in which they stand.

    One step before them compiles; what it changed is set back.
    """
    loss = training.balanced_crossentropy(train)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    truth, before = train.truth.astype(np.float32), model.get_weights()
    few = [part[:BATCH] for part in inputs] if isinstance(inputs, list) else inputs[:BATCH]
    model.fit(few, truth[:BATCH], batch_size=BATCH, verbose=0)
    model.set_weights(before)
    for state in model.optimizer.variables:
        if state is not model.optimizer.learning_rate:
            state.assign(keras.ops.zeros_like(state))
    began = time.perf_counter()
    model.fit(inputs, truth, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    return time.perf_counter() - began


def score(model: keras.Model, inputs: Any, chosen: films.Part) -> float:
    return metrics.macro_auroc(chosen.truth, model.predict(inputs, batch_size=BATCH, verbose=0))


if __name__ == "__main__":
    main()
