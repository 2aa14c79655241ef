"""What was tried to lift VGG16, on what its frozen blocks saw, measured on validation films alone.

    .venv/bin/python benchmarks/tuning.py runs/published

The run's chapter of VGG16 has to be there. Which blocks are worth pooling is asked of a linear
reading (ridge regression); heads with a hidden layer learn in other ways, and from posters of
other sizes, where the run's cache has VGG16's features of them. Each row tells how far its mAP is
from that of the first of its kind, with an interval over films drawn again. Heads are kept under
`--keep`: a stopped benchmark goes on where it was. `retuning.py` goes on with the upper blocks.
"""

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers, ops
from sklearn.linear_model import Ridge

from postergenre import architectures, batches, films, metrics, paths, reading, training

BATCH, STRENGTH, SEED = 64, 1e4, 7
HIDDEN, DROPOUT = 1024, 0.6  # of the head, as in the chapter
WIDTHS = {2: 128, 3: 256, 4: 512, 5: 512}  # channels of the pooled blocks, in their order
BLOCKS = {
    "linear reading of blocks 2 to 5": (2, 3, 4, 5),
    "of blocks 3 to 5": (3, 4, 5),
    "of blocks 4 and 5": (4, 5),
    "of block 5 alone": (5,),
    "of block 4 alone": (4,),
}
HEADS: dict[str, dict[str, Any]] = {
    "hidden layer, as the run has it": {},
    "rare genres weigh no more (plain cross-entropy)": {"loss": "plain"},
    "asymmetric loss": {"loss": "asymmetric"},
    "films mixed in pairs": {"mixed": True},
    "thirds of the frame pooled apart, too": {"thirds": True},
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
    linearly = {name: linear(features, train, chosen, blocks) for name, blocks in BLOCKS.items()}
    parts = (train, chosen)
    heads = {
        name: headed(asked.keep, card, cache, features, parts, name, **how)
        for name, how in HEADS.items()
    }
    for other in sorted(cache.parent.glob("vgg16_[0-9]*x*")):
        if other != cache and paths.read_json(other / "outputs.json")["done"] == len(features):
            size = other.name.removeprefix("vgg16_")
            seen = np.load(other / "output0.npy", mmap_mode="r").astype(np.float32)
            name = f"posters of {size.replace('x', ' x ')} pixels"
            heads[name] = headed(asked.keep, card | {"size": size}, other, seen, parts, name)
    told = pd.concat([table(group, chosen.truth) for group in (linearly, heads)], ignore_index=True)
    told.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(told.to_string(index=False))


def linear(
    features: np.ndarray,
    train: films.Part,
    chosen: films.Part,
    blocks: tuple[int, ...] = architectures.BLOCKS,
) -> np.ndarray:
    """Return the validation films' scores of a linear reading of some blocks' pooled features."""
    of_block = np.repeat(list(WIDTHS), list(WIDTHS.values()))
    columns = np.isin(np.tile(of_block, features.shape[1] // len(of_block)), blocks)
    seen = standardised(features[:, columns], train)
    reader = Ridge(alpha=STRENGTH).fit(seen[train.rows], train.truth.astype(np.float32))
    return np.asarray(reader.predict(seen[chosen.rows]))


def standardised(features: np.ndarray, train: films.Part) -> np.ndarray:
    """Return features in standard deviations over the training films, outliers cut off."""
    known = features[train.rows]
    middle, width = known.mean(axis=0), np.sqrt(known.var(axis=0) + 1e-3)
    return np.clip((features - middle) / width, -architectures.OUTLIER, architectures.OUTLIER)


def headed(
    keep: Path,
    card: dict[str, Any],
    cache: Path,
    features: np.ndarray,
    parts: tuple[films.Part, films.Part],
    name: str,
    *,
    loss: str = "balanced",
    mixed: bool = False,
    thirds: bool = False,
) -> np.ndarray:
    """Return the validation films' scores of a head with one hidden layer, trained in one way."""
    train, chosen = parts
    if thirds:
        features = np.concatenate([features, in_thirds(keep, card, cache)], axis=1)
    features = standardised(features, train)
    folder = f"head_{list(HEADS).index(name)}" if name in HEADS else cache.name
    training.seeded(SEED)
    x = seen = keras.Input(features.shape[1:])
    x = layers.Dropout(DROPOUT / 2)(x)
    x = layers.Dense(HIDDEN, activation="relu")(x)
    x = layers.Dropout(DROPOUT)(x)
    head = keras.Model(seen, layers.Dense(train.truth.shape[1], activation="sigmoid")(x))
    truth = np.zeros((len(features), train.truth.shape[1]), dtype=bool)
    truth[train.rows] = train.truth

    def epoch_of(epoch: int) -> tf.data.Dataset:
        ordered = batches.epoch_of(
            train, lambda at: [features[at]], truth, batch_size=BATCH, seed=SEED, epoch=epoch
        )
        return ordered.enumerate().map(in_pairs) if mixed else ordered

    losses = {
        "balanced": training.balanced_crossentropy(train),
        "plain": keras.losses.binary_crossentropy,
        "asymmetric": asymmetric,
    }
    training.fit(
        head, epoch_of, (chosen, lambda at: features[at]),
        loss=losses[loss], epochs=card["epochs"], steps=-(-len(train.rows) // BATCH),
        learning_rate=0.001, folder=keep / folder,
        stamp={"run": card["run"], "size": card["size"], "films": len(train.rows), "head": name},
    )  # fmt: skip
    return np.asarray(head.predict(features[chosen.rows], batch_size=BATCH, verbose=0))


def in_thirds(keep: Path, card: dict[str, Any], cache: Path) -> np.ndarray:
    """Return what blocks 4 and 5 answer in the upper, middle and lower third of every film's poster."""
    base = architectures.vgg16(
        tuple(card["size"]), 2, weights=card["weights"], precision=card["precision"]
    )
    lowest = architectures.lowest(card["tuned_blocks"])
    x = middle = keras.Input(base.get_layer(f"block{lowest - 1}_pool").output.shape[1:])
    ends = {f"block{lowest - 1}_pool": x}
    for layer in base.layers:
        if layer.name.startswith(tuple(f"block{number}_" for number in range(lowest, 6))):
            ends[layer.name] = x = layer(x)
    bands = [
        layers.Flatten()(layers.AveragePooling2D((shape[1] // 3, shape[2]))(ends[name]))
        for name in ("block4_pool", "block5_pool")
        for shape in [ends[name].shape]
    ]
    apart = keras.Model(middle, layers.Concatenate()(bands))
    below = np.load(cache / "output1.npy", mmap_mode="r")
    stamp = {"run": card["run"], "size": card["size"], "films": len(below)}
    return training.outputs_once(apart, below, keep / "thirds", stamp=stamp)[0].astype(np.float32)


def in_pairs(number: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix a batch with itself in reverse, one share a film ("mixup": Zhang et al., arXiv:1710.09412)."""
    features, truth = batch
    key = tf.stack([tf.constant(SEED, tf.int64), number])
    one, other = (
        tf.random.stateless_gamma([tf.shape(truth)[0], 1], key + k, 0.4) + 1e-6 for k in (0, 1)
    )
    share = one / (one + other)
    share = tf.maximum(share, 1 - share)
    pairs = [share * part + (1 - share) * tf.reverse(part, [0]) for part in (features, truth)]
    return pairs[0], pairs[1]


def asymmetric(expected: Any, scores: Any) -> Any:
    """Return the loss of Ridnik et al. (arXiv:2009.14119): easy negatives count little."""
    scores = ops.clip(scores, 1e-6, 1 - 1e-6)
    shifted = ops.maximum(scores - 0.05, 0.0)
    negative = (1 - expected) * shifted**2 * ops.log(1 - shifted)
    return -ops.mean(expected * ops.log(scores) + negative, axis=-1)


def predicted(run: str, file: str, population: pd.DataFrame, vocabulary: list[str]) -> np.ndarray:
    """Return the scores (films, genres) that a file of a run holds, in the population's order."""
    found = pd.read_parquet(paths.need(run, file)).set_index("film_id")
    return np.asarray(found.loc[population["film_id"], vocabulary])


def chances(run: str, network: str, population: pd.DataFrame, vocabulary: list[str]) -> np.ndarray:
    """Return the calibrated chances (films, genres) that a run's network gives its films."""
    scores = predicted(run, f"{network}/predictions.parquet", population, vocabulary)
    told = paths.read_json(paths.need(run, f"{network}/bundle.json"))
    return reading.calibrate(scores, np.array(told["calibration"]))


def table(scores: dict[str, np.ndarray], truth: np.ndarray) -> pd.DataFrame:
    """Return a row for each thing tried: its measures, and its distance from the first, which it changes."""
    half = np.full(truth.shape[1], 0.5)

    def measured(name: str) -> Any:
        return lambda at: metrics.multilabel(truth[at], scores[name][at], half)

    rows = []
    base = next(iter(scores))
    for name in scores:
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
