"""Ten epochs of VGG16's head and block 5: from cached features, and by the textbook, in one run.

    .venv/bin/python benchmarks/transfer.py runs/demo

The textbook runs the frozen base in every epoch; we run it once, and keep what it saw. Both train
the same network on the same films, batches and rates; the times for ten epochs are carried on from
one epoch of each, and the base's one pass is counted with ours.
"""

import argparse
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from postergenre import architectures, films, paths, pictures, training

EPOCHS, BATCH = 10, 64
WEIGHTS = "weights/vgg16_imagenet_notop_fp16.h5"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--height", type=int, default=192)
    parser.add_argument("--films", type=int, default=640)
    asked = parser.parse_args()
    training.seeded(7)
    population, vocabulary, _ = films.load(asked.run)
    population = population.head(asked.films)
    truth = films.truth(population["genres"], vocabulary).astype(np.float32)
    size = (asked.height, 2 * asked.height // 3)
    with tempfile.TemporaryDirectory() as folder:
        posters = decoded(asked.run, population, size)
        rows = []
        for part in ("head", "head and block 5"):
            once, cached = ours(posters, truth, size, part, Path(folder) / part)
            every = textbook(posters, truth, size, part)
            total = once + EPOCHS * cached
            rows.append(
                {
                    "trained": part,
                    "base, once (s)": once,
                    "cached epoch (s)": cached,
                    "textbook epoch (s)": every,
                    "ten epochs, cached (s)": total,
                    "ten epochs, textbook (s)": EPOCHS * every,
                    "textbook / cached": EPOCHS * every / total,
                }
            )
    table = pd.DataFrame(rows).round(2)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(f"{len(posters)} posters of {size[0]} x {size[1]}")
    print(table.to_string(index=False))


def decoded(run: str, population: pd.DataFrame, size: tuple[int, int]) -> np.ndarray:
    """Return the posters as an array in memory, so that decoding costs neither side anything."""
    from PIL import Image

    folder = paths.run_directory(run)
    return np.stack([pictures.resize(Image.open(folder / p), size) for p in population["poster"]])


def ours(
    posters: np.ndarray, truth: np.ndarray, size: tuple[int, int], part: str, cache: Path
) -> tuple[float, float]:
    """Return the seconds of the base's one pass, and of one epoch on what it saw."""
    model = architectures.vgg16(size, truth.shape[1], weights=WEIGHTS)
    frozen = architectures.frozen(model)
    frozen.predict_on_batch(posters[:BATCH])
    began = time.perf_counter()
    features, block4 = training.outputs_once(frozen, posters, cache, stamp={"part": part})
    once = time.perf_counter() - began
    if part == "head":
        network, inputs = architectures.head(model), features.astype(np.float32)
        return once, epoch(network, inputs, truth)
    shallow = features[:, : architectures.shallow_features(model)].astype(np.float32)
    return once, epoch(architectures.tail(model), [block4.astype(np.float32), shallow], truth)


def textbook(posters: np.ndarray, truth: np.ndarray, size: tuple[int, int], part: str) -> float:
    """Return the seconds of one epoch of the whole network, its lower blocks frozen."""
    model = architectures.vgg16(size, truth.shape[1], weights=WEIGHTS)
    if part != "head":
        for name in ("block5_conv1", "block5_conv2", "block5_conv3"):
            model.get_layer(name).trainable = True
    return epoch(model, posters, truth)


def epoch(network: keras.Model, inputs: object, truth: np.ndarray) -> float:
    """Return the seconds of one epoch, after another that compiles and warms up."""
    network.compile("adam", "binary_crossentropy", jit_compile=False)
    few = [part[:BATCH] for part in inputs] if isinstance(inputs, list) else inputs[:BATCH]  # type: ignore[index]
    network.fit(few, truth[:BATCH], batch_size=BATCH, verbose=0)
    began = time.perf_counter()
    network.fit(inputs, truth, batch_size=BATCH, verbose=0)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
