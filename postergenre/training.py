"""Training by epochs that can be stopped at any of them, and features of the frozen base computed once."""

import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

from postergenre import batches, paths
from postergenre.films import Part, of

Loss = Callable[[Any, Any], Any]
HISTORY = ["epoch", "loss", "validation_loss", "validation_auroc", "validation_map", "seconds"]


def seeded(seed: int) -> None:
    """Fix every source of chance, and ask TensorFlow for the same result on the same machine.

    It no longer warns, either: several networks in one notebook look to it like one traced in vain.
    """
    tf.get_logger().setLevel("ERROR")
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def balanced_crossentropy(train: Part) -> Loss:
    """Return binary cross-entropy in which a rare genre's films weigh more.

    A positive weighs the square root of (films without) / (films with the genre), between 1 and 8,
    counted over the training films.
    """
    share = of("train", train).truth.mean(axis=0).clip(1e-6, 1 - 1e-6)
    weight = ops.convert_to_tensor(np.sqrt((1 - share) / share).clip(1, 8), dtype="float32")

    def loss(expected: Any, scores: Any) -> Any:
        scores = ops.clip(scores, 1e-6, 1 - 1e-6)
        positive = weight * expected * ops.log(scores)
        return -ops.mean(positive + (1 - expected) * ops.log(1 - scores), axis=-1)

    return loss


def fit(
    model: keras.Model,
    epoch_of: Callable[[int], tf.data.Dataset],
    validation: tuple[Part, Callable[[NDArray[np.int64]], Any]],
    *,
    loss: Loss,
    epochs: int,
    steps: int,
    learning_rate: float,
    folder: Path,
    stamp: dict[str, Any],
    name: str = "training",
    start: float = -1.0,
    weight_decay: float = 1e-4,
) -> pd.DataFrame:
    """Train, leave the network with the weights of its best epoch, and return the history.

    Best is the highest macro average precision on the validation films, and above `start`, which
    the network has before. `validation` are these films, and what reads the network's inputs for
    some positions. `epoch_of(epoch)` gives an epoch's batches, `steps` is their number.
    Checkpoints go to `folder`: a stopped training goes on from its last whole epoch, with the
    result of an unbroken one; one with another `stamp`, or other validation films, begins anew.
    """
    truth, inputs = of("validation", validation[0]).truth, validation[1](validation[0].rows)
    warm = min(steps, steps * epochs // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(steps * epochs - warm, 1), 0.02, warmup_target=learning_rate, warmup_steps=warm
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay, clipnorm=1.0)
    # XLA pays on a GPU only: on two cores it doubled the time of a step of the custom network.
    model.compile(optimizer, loss, jit_compile=bool(tf.config.list_physical_devices("GPU")))
    optimizer.build(model.trainable_variables)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = stamp | {"epochs": epochs, "steps": steps, "learning_rate": learning_rate}
    stamp |= {"validation": sha256(np.packbits(truth).tobytes()).hexdigest()[:16]}
    best = folder / f"{name}_best.weights.h5"
    history = _resume(model, folder, name, stamp)
    if not history:  # the best weights of another training may not stand beside its history
        (folder / f"{name}.json").unlink(missing_ok=True)
        _save(model, best)
    bar = tqdm(range(len(history), epochs), initial=len(history), total=epochs)
    for epoch in bar:
        started = time.perf_counter()
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dropout) and layer.rate:
                # Checkpoints do not hold the state of dropout's dice: each epoch begins with its own.
                layer.seed_generator.state.assign([epoch, 0])
        trained = model.fit(epoch_of(epoch), shuffle=False, verbose=0)
        row = {"epoch": epoch + 1, "loss": trained.history["loss"][0]}
        row |= _measure(model, inputs, truth, loss) | {"seconds": time.perf_counter() - started}
        bar.set_postfix(loss=f"{row['loss']:.3f}", validation_map=f"{row['validation_map']:.3f}")
        if row["validation_map"] > max([start, *(past["validation_map"] for past in history)]):
            _save(model, best)
        history.append(row)
        _save(model, folder / f"{name}_{epoch + 1}.weights.h5")
        paths.write_json(folder / f"{name}.json", {"stamp": stamp, "history": history})
        (folder / f"{name}_{epoch}.weights.h5").unlink(missing_ok=True)
    model.load_weights(best)
    return pd.DataFrame(history, columns=HISTORY)


def _resume(
    model: keras.Model, folder: Path, name: str, stamp: dict[str, Any]
) -> list[dict[str, float]]:
    log = folder / f"{name}.json"
    found = paths.read_json(log) if log.exists() else {}
    history: list[dict[str, float]] = found.get("history", [])
    last = folder / f"{name}_{len(history)}.weights.h5"
    if found.get("stamp") != stamp or not last.exists():
        return []
    model.load_weights(last)
    return history


def _save(model: keras.Model, path: Path) -> None:
    beside = path.with_name(f"part-{path.name}")
    model.save_weights(beside)
    beside.replace(path)


def _measure(
    model: keras.Model, inputs: Any, truth: NDArray[np.bool_], loss: Loss
) -> dict[str, float]:
    scores = model.predict(inputs, batch_size=64, verbose=0)
    seen = truth.any(axis=0) & ~truth.all(axis=0)
    value = loss(ops.convert_to_tensor(truth.astype(np.float32)), ops.convert_to_tensor(scores))
    return {
        "validation_loss": float(ops.mean(value)),
        "validation_auroc": float(roc_auc_score(truth[:, seen], scores[:, seen])),
        "validation_map": float(average_precision_score(truth[:, seen], scores[:, seen])),
    }


def outputs_once(
    network: keras.Model,
    posters: NDArray[np.uint8],
    folder: Path,
    *,
    stamp: dict[str, Any],
    batch_size: int = 32,
) -> list[NDArray[np.float16]]:
    """Compute a frozen network's outputs for all posters once, in half precision, and map them from disk.

    Progress is kept: a stopped computation goes on where it was. Outputs of another `stamp` (which
    films, which weights) are computed anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "outputs.json"
    files = [folder / f"output{number}.npy" for number in range(len(network.outputs))]
    state = paths.read_json(log) if log.exists() else {}
    if state.get("stamp") != stamp:
        log.unlink(missing_ok=True)
        state = {"stamp": stamp, "done": 0}
        for file, output in zip(files, network.outputs, strict=True):
            shape = (len(posters), *output.shape[1:])
            batches.mapped(file, np.float16, shape)
    maps: list[NDArray[np.float16]] = [np.load(file, mmap_mode="r+") for file in files]
    starts = range(state["done"], len(posters), batch_size)
    for count, start in enumerate(tqdm(starts, desc="frozen features"), start=1):
        seen = network.predict_on_batch(np.asarray(posters[start : start + batch_size]))
        outputs = keras.tree.flatten(seen)
        for array, output in zip(maps, outputs, strict=True):
            array[start : start + batch_size] = np.minimum(output.astype(np.float32), 65504)
        if count % 20 == 0 or start + batch_size >= len(posters):
            for array in maps:
                array.flush()  # type: ignore[attr-defined]
            paths.write_json(log, state | {"done": min(start + batch_size, len(posters))})
    return maps


def predict(
    model: keras.Model, read: Callable[[slice], Any], films: int, *, at_once: int = 256
) -> NDArray[np.float32]:
    """Return scores (films, genres) between 0 and 1; `read(rows)` gives the inputs of some films."""
    starts = range(0, films, at_once)
    inputs = (read(slice(start, start + at_once)) for start in starts)
    scores = [model.predict(part, batch_size=64, verbose=0) for part in inputs]
    return np.concatenate(scores).astype(np.float32)


def milliseconds_per_poster(
    model: keras.Model, posters: NDArray[np.uint8], *, runs: int = 30
) -> float:
    """Return the median time of one poster at a time through the network, after a warm-up."""
    one = tf.function(partial(model, training=False), autograph=False, reduce_retracing=True)
    times = []
    for number in range(runs + 5):
        poster = tf.constant(posters[number % len(posters)][None], tf.float32)
        started = time.perf_counter()
        one(poster).numpy()
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times[5:]))
