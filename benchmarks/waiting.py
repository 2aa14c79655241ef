"""How long the custom network waits for its posters: the share of an epoch in which no step is computed.

    .venv/bin/python benchmarks/waiting.py runs/demo

An epoch runs as it does in training, and the time between asking for a batch and having it is
added up. Beside it stands the same epoch with the posters decoded from their files in every batch.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from postergenre import architectures, batches, films, paths, pictures, training

SIZE, BATCH = (96, 64), 32
Read = Callable[[np.ndarray], list[np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    asked = parser.parse_args()
    population, vocabulary, _ = films.load(asked.run)
    truth = films.truth(population["genres"], vocabulary)
    train = films.Part(population, truth, "train")
    posters = batches.images(asked.run, population, SIZE)
    folder, files = paths.run_directory(asked.run), population["poster"].to_numpy()

    def decoded(at: np.ndarray) -> list[np.ndarray]:
        return [np.stack([pictures.resize(Image.open(folder / one), SIZE) for one in files[at]])]

    ways: dict[str, Read] = {
        "decoded once, as in the study": lambda at: [posters[at]],
        "decoded in every epoch": decoded,
    }
    rows = [{"posters": name} | epoch(read, train, truth) for name, read in ways.items()]
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))


def epoch(read: Read, train: films.Part, truth: np.ndarray) -> dict[str, float]:
    """Return the films, the seconds of one epoch, those spent waiting, and their share in per cent."""
    training.seeded(7)
    model = architectures.custom_cnn(SIZE, truth.shape[1])
    model.compile("adamw", training.balanced_crossentropy(train), jit_compile=False)

    def data(number: int) -> object:
        return batches.epoch_of(
            train, read, truth, batch_size=BATCH, seed=7, epoch=number, augmented=True
        )

    model.train_on_batch(*next(iter(data(0))))  # compiles
    waited, began = 0.0, time.perf_counter()
    source = iter(data(1))
    while True:
        asked = time.perf_counter()
        batch = next(source, None)
        waited += time.perf_counter() - asked
        if batch is None:
            break
        model.train_on_batch(*batch)
    seconds = time.perf_counter() - began
    return {
        "films": len(train.rows),
        "epoch (s)": round(seconds, 2),
        "waiting for posters (s)": round(waited, 2),
        "waiting (%)": round(100 * waited / seconds, 1),
    }


if __name__ == "__main__":
    main()
