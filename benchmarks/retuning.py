"""VGG16's upper blocks tuned in other ways, and asked in other ways, on validation films alone.

    .venv/bin/python benchmarks/retuning.py runs/published

The run's chapter of VGG16 has to be there, with its cache. From the head of that chapter, the upper
blocks learn again, at half the rate for an epoch more than in the chapter's first course, in hours;
then the network of that course is asked in other ways, and together with others. Each row tells how
far its mAP is from that of the network after its first course, with an interval over films drawn
again. What is finished is kept under `--keep`: a stopped benchmark goes on where it was.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import tuning
from scipy.special import expit

from postergenre import architectures, batches, films, paths, reading, training

BATCH, RATE = 64, 0.0001  # as in the chapter
LOWER = "half the rate, an epoch more"
STAMP = ("run", "films", "weights", "size", "precision", "tuned_blocks", "seed", "train")
PUPIL = "custom_cnn_distilled"
OTHERS = {
    "its answers averaged with the linear head's": "vgg16/linear.parquet",
    "its answers averaged with the distilled custom CNN's": f"{PUPIL}/predictions.parquet",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--keep", type=Path, default=paths.run_directory("runs/retuning"))
    asked = parser.parse_args()
    population, vocabulary, _ = films.load(asked.run)
    truth = films.truth(population["genres"], vocabulary)
    train, chosen = (films.Part(population, truth, part) for part in films.SPLITS[:2])
    folder = paths.need(asked.run, "vgg16")
    card = paths.read_json(folder / "bundle.json")["card"]
    first = paths.read_json(folder / "course_1.json")
    cache = paths.run_directory(asked.run) / "cache" / "vgg16_{}x{}".format(*card["size"])
    features = np.load(cache / "output0.npy").astype(np.float32)
    below = np.load(cache / "output1.npy", mmap_mode="r")
    training.seeded(card["seed"])
    model = architectures.vgg16(
        tuple(card["size"]), len(vocabulary), weights=card["weights"], precision=card["precision"]
    )
    lowest = architectures.lowest(card["tuned_blocks"])
    head, tail = architectures.head(model), architectures.tail(model, block=lowest)
    architectures.standardise(model, train, features)
    shallow = features[:, : architectures.shallow_features(model, block=lowest)]
    head.load_weights(folder / "head_best.weights.h5")
    before = tail.get_weights()

    def middle(at: np.ndarray) -> list[np.ndarray]:
        return [below[at].astype(np.float32), shallow[at]]

    seen, pooled = middle(chosen.rows)

    def ask(weights: list[np.ndarray], seen: np.ndarray = seen) -> np.ndarray:
        tail.set_weights(weights)
        return np.asarray(tail.predict([seen, pooled], batch_size=BATCH, verbose=0))

    training.fit(
        tail, lessons(train, truth, middle, card["seed"]), (chosen, middle),
        epochs=first["stamp"]["epochs"] + 1, learning_rate=RATE / 2,
        steps=-(-len(train.rows) // BATCH), loss=training.balanced_crossentropy(train),
        folder=asked.keep / "lower", stamp={name: card[name] for name in STAMP} | {"way": LOWER},
    )  # fmt: skip
    lower = tail.get_weights()
    tail.load_weights(folder / "course_1_best.weights.h5")
    after = tail.get_weights()
    scores = {"after its first course": (kept := ask(after))}
    scores[LOWER] = ask(lower)
    scores["the weights of the first two averaged"] = ask(halfway(after, lower))
    scores["the answers of the first two averaged"] = (kept + scores[LOWER]) / 2
    scores["weights halfway between before and after tuning"] = ask(halfway(before, after))
    mirrored = ask(after, np.ascontiguousarray(seen[:, :, ::-1]))
    scores["the mirrored output of what lies below asked, too"] = (kept + mirrored) / 2
    for name, file in OTHERS.items():
        other = tuning.predicted(asked.run, file, population, vocabulary)
        scores[name] = (kept + other[chosen.rows]) / 2
    large, small = (
        reading.logit(tuning.chances(asked.run, name, population, vocabulary)[chosen.rows])
        for name in ("vgg16", PUPIL)
    )
    scores["as the run has it, after its last course"] = expit(large)
    scores["this and the distilled custom CNN, three parts to one"] = expit((3 * large + small) / 4)
    told = tuning.table(scores, chosen.truth)
    told.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(told.to_string(index=False))


def halfway(one: list[np.ndarray], other: list[np.ndarray]) -> list[np.ndarray]:
    """Return the average of two networks' weights."""
    return [(a + b) / 2 for a, b in zip(one, other, strict=True)]


def lessons(train: films.Part, truth: np.ndarray, middle: Any, seed: int) -> Any:
    """Return what gives an epoch's batches, half of the films mirrored, as in the chapter."""

    def epoch_of(epoch: int) -> Any:
        mirrored = np.random.default_rng([seed, epoch]).random(len(truth)) < 0.5

        def read(at: np.ndarray) -> list[np.ndarray]:
            seen, pooled = middle(at)
            seen[mirrored[at]] = seen[mirrored[at], :, ::-1]
            return [seen, pooled]

        return batches.epoch_of(train, read, truth, batch_size=BATCH, seed=seed, epoch=100 + epoch)

    return epoch_of


if __name__ == "__main__":
    main()
