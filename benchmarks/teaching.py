"""What a teacher brings the custom CNN, beside the same lessons without one; validation films are asked.

    .venv/bin/python benchmarks/teaching.py runs/published

The chapters of the custom CNN and of VGG16 have to be there. From the weights of the one's chapter,
the network goes on learning in several ways, each from the same films for the same number of epochs.
Each row tells how far its mAP is from that of the first, with an interval over films drawn again.
What is finished is kept under `--keep`: a stopped benchmark goes on where it was.
"""

import argparse
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import tuning

from postergenre import architectures, batches, classifier, films, paths, training

BATCH, SEED = 32, 1
# By name: the teacher's share of the answer, the size of the posters beside that of the chapter of
# the custom CNN, and whether the network is made twice as wide first.
WAYS = {
    "labels alone": (0.0, 1.5, False),
    "three parts teacher, one part label": (0.75, 1.5, False),
    "the same, teacher alone": (1.0, 1.5, False),
    "the same, on smaller posters": (0.75, 1.0, False),
    "the same, twice as wide": (0.75, 1.5, True),
    "labels alone, twice as wide": (0.0, 1.5, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--films", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--precision", default="mixed_bfloat16", help="of the wider ones")
    parser.add_argument("--keep", type=Path, default=paths.run_directory("runs/teaching"))
    asked = parser.parse_args()
    population, vocabulary, _ = films.load(asked.run)
    truth = films.truth(population["genres"], vocabulary)
    drawn = np.random.default_rng(SEED).permutation(np.flatnonzero(population["split"] == "train"))[
        : asked.films
    ]
    among = np.isin(np.arange(len(population)), drawn)
    train = films.Part(population, truth, "train", among=among)
    chosen = films.Part(population, truth, "validation")
    chances = tuning.chances(asked.run, "vgg16", population, vocabulary)
    scores = {}
    for name, (share, larger, wider) in WAYS.items():
        pupil = classifier.Classifier.load(paths.need(asked.run, "custom_cnn")).model
        size = tuple(round(larger * side) for side in pupil.input_shape[1:3])
        network = architectures.custom_cnn(size, len(vocabulary))
        network.set_weights(pupil.get_weights())
        if wider:
            network = architectures.widened(pupil, size, precision=asked.precision)
        posters = batches.images(asked.run, population, size)
        told = (1 - share) * truth + share * chances
        scores[name] = taught(asked, network, posters, told, (train, chosen), name)
    found = tuning.table(scores, chosen.truth).rename(columns={"tried": "taught by"})
    found.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(f"{len(train.rows)} training films, {asked.epochs} epochs")
    print(found.to_string(index=False))


def digest(*arrays: np.ndarray) -> str:
    """Return a fingerprint of arrays, by which a training with another teacher or pupil begins anew."""
    return sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


def taught(
    asked: argparse.Namespace,
    network: Any,
    posters: np.ndarray,
    told: np.ndarray,
    parts: tuple[films.Part, films.Part],
    name: str,
) -> np.ndarray:
    """Return the validation films' scores of a network that has gone on learning from `told`."""
    train, chosen = parts
    training.seeded(SEED)

    def epoch_of(epoch: int) -> Any:
        return batches.epoch_of(
            train, lambda at: [posters[at]], told,
            batch_size=BATCH, seed=SEED, epoch=epoch, augmented=True,
        )  # fmt: skip

    training.fit(
        network, epoch_of, (chosen, lambda at: posters[at]),
        loss=training.balanced_crossentropy(train), epochs=asked.epochs,
        steps=-(-len(train.rows) // BATCH), learning_rate=0.001,
        folder=asked.keep / str(list(WAYS).index(name)),
        stamp={"run": paths.fingerprint(asked.run), "films": len(train.rows), "way": name}
        | {"told": digest(told), "pupil": digest(*network.get_weights())},
    )  # fmt: skip
    return np.asarray(network.predict(posters[chosen.rows], batch_size=64, verbose=0))


if __name__ == "__main__":
    main()
