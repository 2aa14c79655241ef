"""What each choice of the custom network brings: one is changed at a time, and validation films are asked.

    .venv/bin/python benchmarks/ablation.py runs/published

Each variant learns from the same part of the training films for a few epochs; the network as it is
does so from several seeds, which tells how far chance alone goes. Test films have no part in it.
What is finished is kept in the folder of `--keep`, and in the table: a stopped benchmark goes on
where it was.
"""

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from postergenre import architectures, batches, films, paths, training

BATCH = 32
AS_IT_IS = "as it is"
# By name: what is changed of the builder, and what of the training.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    AS_IT_IS: ({}, {}),
    "frame pooled as a whole": ({"fields": (1, 1)}, {}),
    "without the strongest answer of each channel": ({"peak": False}, {}),
    "posters not flipped, shifted or relit": ({}, {"augmented": False}),
    "rare genres weigh no more": ({}, {"balanced": False}),
    "no dropout": ({"dropout": 0.0}, {}),
    "first kernel 3 x 3 instead of 5 x 5": ({"kernel": 3}, {}),
    "half as many channels": ({"width": 12}, {}),
    "halves left and right pooled apart, too": ({"fields": (3, 2)}, {}),
    "posters of 144 x 96": ({}, {"size": (144, 96)}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--films", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--keep", type=Path, default=paths.run_directory("runs/ablation"))
    asked = parser.parse_args()
    pairs = [(AS_IT_IS, seed) for seed in asked.seeds]
    pairs += [(name, asked.seeds[0]) for name in VARIANTS if name != AS_IT_IS]
    rows: list[dict[str, Any]] = []
    for name, seed in pairs:
        rows.append({"variant": name, "seed": seed} | trained(asked, name, seed))
        told = table(pd.DataFrame(rows))
        told.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(told.to_string(index=False))


def trained(asked: argparse.Namespace, name: str, seed: int) -> dict[str, float]:
    """Return what one variant scores on validation films after its best epoch."""
    built, how = VARIANTS[name]
    population, vocabulary, _ = films.load(asked.run)
    truth = films.truth(population["genres"], vocabulary)
    size = how.get("size", (96, 64))
    posters = batches.images(asked.run, population, size)
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(population["split"] == "train"))
    among = np.isin(np.arange(len(population)), drawn[: asked.films])
    train = films.Part(population, truth, "train", among=among)
    training.seeded(seed)
    model = architectures.custom_cnn(size, len(vocabulary), **built)

    def epoch_of(epoch: int) -> Any:
        return batches.epoch_of(
            train, lambda at: [posters[at]], truth,
            batch_size=BATCH, seed=seed, epoch=epoch, augmented=how.get("augmented", True),
        )  # fmt: skip

    balanced = training.balanced_crossentropy(train)
    history = training.fit(
        model, epoch_of, (films.Part(population, truth, "validation"), lambda at: posters[at]),
        loss=balanced if how.get("balanced", True) else keras.losses.binary_crossentropy,
        epochs=asked.epochs, steps=-(-len(train.rows) // BATCH), learning_rate=0.003,
        folder=asked.keep / f"{list(VARIANTS).index(name)}_{seed}",
        stamp={"films": len(train.rows), "variant": name, "seed": seed},
    )  # fmt: skip
    best = history.loc[history["validation_map"].idxmax()]
    return {
        "mAP": best["validation_map"],
        "macro AUROC": best["validation_auroc"],
        "weights": model.count_params(),
    }


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a training, and how far its mAP is from that of the first."""
    first = runs["mAP"].iloc[0]
    rows = [
        {
            "one choice changed": f"{run.variant}, seed {run.seed}"
            if run.variant == AS_IT_IS
            else run.variant,
            "mAP": f"{run.mAP:.4f}",
            "further than the first": "" if run.mAP == first else f"{run.mAP - first:+.4f}",
            "macro AUROC": f"{run.auroc:.4f}",
            "weights": int(run.weights),
        }
        for run in runs.rename(columns={"macro AUROC": "auroc"}).itertuples()
    ]
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
