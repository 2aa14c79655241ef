"""What was tried to lift VGG16, on what its frozen blocks saw, measured on validation films alone.

    .venv/bin/python benchmarks/tuning.py runs/published

The run's chapter of VGG16 has to be there. Which blocks are worth pooling is asked of a linear
reading (ridge regression); the tuned network is asked in other ways, and together with others. Each
row tells how far its mAP is from that of the row it is compared with, with an interval over films
drawn again. Nothing is trained but the linear readings.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from postergenre import architectures, films, metrics, paths

BATCH, STRENGTH = 64, 1e4
POOLED = "linear reading of blocks 2 to 5"
TUNED = "block 5 tuned, as in the chapter"
WIDTHS = {2: 128, 3: 256, 4: 512, 5: 512}  # channels of the pooled blocks, in their order
BLOCKS = {
    POOLED: (2, 3, 4, 5),
    "of blocks 3 to 5": (3, 4, 5),
    "of blocks 4 and 5": (4, 5),
    "of block 5 alone": (5,),
    "of block 4 alone": (4,),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    asked = parser.parse_args()
    population, vocabulary, _ = films.load(asked.run)
    truth = films.truth(population["genres"], vocabulary)
    train, chosen = (films.Part(population, truth, part) for part in films.SPLITS[:2])
    card = paths.read_json(paths.need(asked.run, "vgg16") / "bundle.json")["card"]
    cache = paths.run_directory(asked.run) / "cache" / "vgg16_{}x{}".format(*card["size"])
    features = np.load(cache / "output0.npy", mmap_mode="r").astype(np.float32)
    scores = {
        name: linear(features, train, chosen, blocks) for name, blocks in BLOCKS.items()
    } | tuned(asked.run, card, cache, features, chosen, len(vocabulary))
    for name, file in {
        "averaged with the linear head of the chapter": "vgg16/linear.parquet",
        "averaged with the distilled custom CNN": "custom_cnn_distilled/predictions.parquet",
    }.items():
        found = pd.read_parquet(paths.need(asked.run, file)).set_index("film_id")
        other = found.loc[population["film_id"], vocabulary].to_numpy()[chosen.rows]
        scores[name] = (scores[TUNED] + other) / 2
    told = table(scores, chosen.truth)
    told.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(told.to_string(index=False))


def linear(
    features: np.ndarray, train: films.Part, chosen: films.Part, blocks: tuple[int, ...]
) -> np.ndarray:
    """Return the validation films' scores of a linear reading of some blocks' pooled features."""
    columns = np.isin(np.repeat(list(WIDTHS), list(WIDTHS.values())), blocks)
    seen = features[train.rows][:, columns]
    middle, width = seen.mean(axis=0), np.sqrt(seen.var(axis=0) + 1e-3)
    most = architectures.OUTLIER

    def scaled(values: np.ndarray) -> np.ndarray:
        return np.clip((values - middle) / width, -most, most)

    reader = Ridge(alpha=STRENGTH).fit(scaled(seen), train.truth.astype(np.float32))
    return np.asarray(reader.predict(scaled(features[chosen.rows][:, columns])))


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
        base = POOLED if name in BLOCKS else TUNED
        found = measured(name)(np.arange(len(truth)))
        row = {"tried": name, "macro AUROC": round(found["macro_auroc"], 4)}
        row |= {"mAP": round(found["map"], 4), "mAP, further": "", "95 % interval": ""}
        if name != base:
            gap = metrics.difference(measured(name), measured(base), len(truth), repeats=100)
            value, low, high = gap.loc["map"]
            row |= {"mAP, further": f"{value:+.4f}", "95 % interval": f"{low:+.4f} to {high:+.4f}"}
        rows.append(row)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
