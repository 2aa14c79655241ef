"""How strongly a linear reader's weights are best held back, by the number of films it learns from.

    .venv/bin/python benchmarks/strengths.py runs/published

The reader, the features and the drawn films are those of notebook 08; validation films answer.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from postergenre import baselines, films, metrics, paths

STRENGTHS = [0.0001, 0.0003, 0.001, 0.003, 0.01]


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("run")
    reader.add_argument("--seed", type=int, default=7)
    asked = reader.parse_args()
    population, vocabulary, _ = films.load(asked.run)
    truth = films.truth(population["genres"], vocabulary)
    height, width = paths.read_json(paths.need(asked.run, "vgg16") / "bundle.json")["card"]["size"]
    cache = paths.need(asked.run, f"cache/vgg16_{height}x{width}/output0.npy")
    features = np.load(cache, mmap_mode="r").astype(np.float32)
    train = np.flatnonzero(population["split"] == "train")
    chosen = films.Part(population, truth, "validation")
    rows = []
    for size in (len(train) >> 5, len(train) >> 3, len(train) >> 1):
        drawn = np.random.default_rng([asked.seed, size, 0]).permutation(train)[:size]
        among = np.isin(np.arange(len(population)), drawn)
        part = films.Part(population, truth, "train", among=among)
        row: dict[str, float] = {"films": size}
        for strength in STRENGTHS:
            scores = baselines.linear(features, part, chosen, strengths=[strength])
            value = metrics.macro_auroc(chosen.truth, scores[chosen.rows])
            row[f"C = {strength:g}"] = round(float(value), 3)
            print(row, flush=True)
        rows.append(row)
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
