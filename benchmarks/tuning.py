"""What was tried to lift VGG16, on what its frozen blocks saw, measured on validation films alone.

    .venv/bin/python benchmarks/tuning.py runs/published

The run's two VGG16 chapters have to be there. Heads learn anew, each differing from the chapter's
in one thing; the fine-tuned network is only asked anew. Each row tells how far its mAP is from that
of the row it is compared with, with an interval over films drawn again. Finished trainings are kept
in the folder of `--keep`.
"""

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import ops

from postergenre import architectures, batches, films, metrics, paths, training

BATCH, EPOCHS = 64, 12
HEAD, TUNED = "head on frozen blocks, as in the chapter", "block 5 tuned, as in the chapter"
WIDTHS = {2: 128, 3: 256, 4: 512, 5: 512}  # channels of the pooled blocks, in their order
HEADS: dict[str, dict[str, Any]] = {
    HEAD: {},
    "the same from another seed": {"seed": 8},
    "block 5 alone": {"blocks": (5,)},
    "blocks 4 and 5": {"blocks": (4, 5)},
    "2,048 hidden units": {"hidden": 2048},
    "rare genres weigh no more": {"loss": "plain"},
    "asymmetric loss (easy absences count less)": {"loss": "asymmetric"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--keep", type=Path, default=paths.run_directory("runs/tuning"))
    asked = parser.parse_args()
    population, vocabulary, _ = films.load(asked.run)
    truth = films.truth(population["genres"], vocabulary)
    train, chosen = (films.Part(population, truth, part) for part in films.SPLITS[:2])
    card = paths.read_json(paths.need(asked.run, "vgg16") / "bundle.json")["card"]
    cache = paths.run_directory(asked.run) / "cache" / "vgg16_{}x{}".format(*card["size"])
    features = np.load(cache / "output0.npy", mmap_mode="r").astype(np.float32)
    scores = {
        name: learned(features, truth, train, chosen, asked.keep / str(number), **how)
        for number, (name, how) in enumerate(HEADS.items())
    }
    scores |= tuned(asked.run, card, cache, features, chosen, len(vocabulary))
    scores["head and block 5, averaged"] = (scores[HEAD] + scores[TUNED]) / 2
    small = pd.read_parquet(paths.need(asked.run, "custom_cnn_distilled/predictions.parquet"))
    small = small.set_index("film_id").loc[population["film_id"], vocabulary].to_numpy()
    both = (scores[TUNED] + small[chosen.rows]) / 2
    scores["block 5 and the distilled custom CNN, averaged"] = both
    told = table(scores, chosen.truth)
    told.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(told.to_string(index=False))


def learned(
    features: np.ndarray,
    truth: np.ndarray,
    train: films.Part,
    chosen: films.Part,
    folder: Path,
    *,
    blocks: tuple[int, ...] = architectures.BLOCKS,
    hidden: int = 1024,
    loss: str = "balanced",
    seed: int = 7,
) -> np.ndarray:
    """Return the validation films' scores of a head after its best epoch."""
    columns = np.repeat(list(WIDTHS), list(WIDTHS.values()))
    seen = features[:, np.isin(columns, blocks)]
    training.seeded(seed)
    pooled = keras.Input((seen.shape[1],))
    scale = keras.layers.Normalization(
        mean=seen[train.rows].mean(axis=0), variance=seen[train.rows].var(axis=0) + 1e-3
    )
    x = ops.clip(scale(pooled), -architectures.OUTLIER, architectures.OUTLIER)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.Dense(hidden, activation="relu")(x)
    x = keras.layers.Dropout(0.6)(x)
    model = keras.Model(pooled, keras.layers.Dense(truth.shape[1], activation="sigmoid")(x))
    losses = {
        "balanced": training.balanced_crossentropy(train),
        "plain": keras.losses.binary_crossentropy,
        "asymmetric": asymmetric,
    }

    def epoch_of(epoch: int) -> Any:
        return batches.epoch_of(
            train, lambda at: [seen[at]], truth, batch_size=BATCH, seed=seed, epoch=epoch
        )

    training.fit(
        model, epoch_of, (chosen, lambda at: seen[at]),
        loss=losses[loss], epochs=EPOCHS, steps=-(-len(train.rows) // BATCH),
        learning_rate=0.001, folder=folder,
        stamp={"blocks": list(blocks), "hidden": hidden, "loss": loss, "seed": seed},
    )  # fmt: skip
    return np.asarray(model.predict(seen[chosen.rows], batch_size=BATCH, verbose=0))


def asymmetric(expected: Any, scores: Any) -> Any:
    """Return the loss of Ridnik et al. (ICCV 2021): focus 4 on absent genres, cut off at 0.05."""
    scores = ops.clip(scores, 1e-6, 1 - 1e-6)
    absent = ops.clip(scores - 0.05, 0.0, 1.0)
    lost = expected * ops.log(scores) + (1 - expected) * absent**4 * ops.log(1 - absent)
    return -ops.mean(lost, axis=-1)


def tuned(
    run: str,
    card: dict[str, Any],
    cache: Path,
    features: np.ndarray,
    chosen: films.Part,
    genres: int,
) -> dict[str, np.ndarray]:
    """Return the validation films' scores of the fine-tuned network, asked in several ways."""
    model = architectures.vgg16(
        tuple(card["size"]), genres, weights=card["weights"], precision=card["precision"]
    )
    tail = architectures.tail(model)
    block4 = np.load(cache / "output1.npy", mmap_mode="r")[chosen.rows].astype(np.float32)
    shallow = features[chosen.rows, : architectures.shallow_features(model)]
    folder = paths.need(run, "vgg16")
    architectures.head(model).load_weights(folder / "head_best.weights.h5")
    before = tail.get_weights()
    tail.load_weights(folder / "fine_tuning_best.weights.h5")
    after = tail.get_weights()

    def ask(seen: np.ndarray = block4) -> np.ndarray:
        return np.asarray(tail.predict([seen, shallow], batch_size=BATCH, verbose=0))

    kept = ask()
    mirrored = (kept + ask(block4[:, :, ::-1])) / 2
    tail.set_weights([(one + other) / 2 for one, other in zip(before, after, strict=True)])
    return {
        TUNED: kept,
        "with the mirrored output of block 4 asked, too": mirrored,
        "weights halfway between head alone and block 5 tuned": ask(),
    }


def table(scores: dict[str, np.ndarray], truth: np.ndarray) -> pd.DataFrame:
    """Return a row for each thing tried: its measures, and its distance from what it changes."""
    half = np.full(truth.shape[1], 0.5)

    def measured(name: str) -> Any:
        return lambda at: metrics.multilabel(truth[at], scores[name][at], half)

    rows = []
    for name in scores:
        base = HEAD if name in HEADS else TUNED
        found = measured(name)(np.arange(len(truth)))
        gap = metrics.difference(measured(name), measured(base), len(truth), repeats=100)
        value, low, high = gap.loc["map"]
        further = "" if name == base else f"{value:+.4f} ({low:+.4f} to {high:+.4f})"
        rows.append(
            {
                "tried": name,
                "macro AUROC": round(found["macro_auroc"], 4),
                "mAP": round(found["map"], 4),
                "mAP further than the chapter's": further,
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
