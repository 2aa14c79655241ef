"""From poster files to batches: decoded once into a compact array, shuffled and augmented as they are read."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from postergenre import paths
from postergenre.errors import SourceError, StudyError
from postergenre.films import Part, of
from postergenre.pictures import Size, resize


def images(run: str | Path, films: pd.DataFrame, size: Size) -> NDArray[np.uint8]:
    """Return the posters of `films` as one (films, height, width, 3) array, kept on disk and mapped.

    The array is made once a run and size, under `cache/`, and belongs to the films' poster hashes.
    """
    folder = paths.run_directory(run)
    path = folder / "cache" / f"posters_{size[0]}x{size[1]}.npy"
    stamp = path.with_suffix(".json")
    belongs = {"posters": films["sha256"].tolist()}
    if not (path.exists() and stamp.exists() and paths.read_json(stamp) == belongs):
        path.parent.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        _decode(folder, films, size, path)
        paths.write_json(stamp, belongs)
    array: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return array


def mapped(path: Path, kind: type[np.generic], shape: tuple[int, ...]) -> "np.memmap[Any, Any]":
    """Make an array of zeros that is kept on disk, with its room taken at once.

    Without room, writing to a mapped file would end the process without a word.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
    take: Any = getattr(os, "posix_fallocate", lambda *_: None)  # macOS has none
    try:
        with path.open("r+b") as file:
            take(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink()
        raise StudyError(
            f"{path} takes {array.nbytes / 1e9:.2f} GB of disk: {error.strerror}. Make room, and "
            "call again: what is finished is kept."
        ) from None
    return array


def _decode(folder: Path, films: pd.DataFrame, size: Size, path: Path) -> None:
    array = mapped(path, np.uint8, (len(films), *size, 3))

    def read(position: int, name: str) -> None:
        try:
            with Image.open(folder / name) as image:
                array[position] = resize(image, size)
        except OSError as error:
            raise SourceError(
                f"The poster {name} of {folder.name} cannot be read ({error}). "
                "Run 01_collect_posters again: it collects what is missing or broken, and keeps the rest."
            ) from None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = pool.map(read, range(len(films)), films["poster"])
        for _ in tqdm(jobs, total=len(films), desc="decoding posters"):
            pass
    array.flush()


def epoch_of(
    train: Part,
    read: Callable[[NDArray[np.int64]], list[NDArray[np.generic]]],
    truth: NDArray[np.generic],
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    augmented: bool = False,
) -> tf.data.Dataset:
    """Return one epoch of training batches: inputs and (batch, genres) truth, in an order fixed by seed and epoch.

    `read(positions)` returns the network's inputs for some films, one array an input; truth is all
    films', (films, genres). With `augmented`, the first input is posters: flipped, shifted, relit.
    """
    rows = of("train", train).rows
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    sample = read(order[:1])
    kinds = [tf.as_dtype(part.dtype) for part in sample]

    def fetch(positions: NDArray[np.int64]) -> list[NDArray[np.generic]]:
        return [*read(positions), truth[positions].astype(np.float32)]

    def load(positions: tf.Tensor, number: tf.Tensor) -> tuple[Any, tf.Tensor]:
        *inputs, target = tf.numpy_function(fetch, [positions], [*kinds, tf.float32])
        for tensor, part in zip(inputs, sample, strict=True):
            tensor.set_shape([None, *part.shape[1:]])
        target.set_shape([None, truth.shape[1]])
        if augmented:
            key = tf.stack([tf.constant(seed * 10_000 + epoch, tf.int64), number])
            inputs[0] = augment(inputs[0], key)
        return (tuple(inputs) if len(inputs) > 1 else inputs[0]), target

    positions = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
    numbered = tf.data.Dataset.zip((positions, tf.data.Dataset.range(len(rows))))
    return numbered.map(load, num_parallel_calls=1).prefetch(2)


def augment(posters: tf.Tensor, key: tf.Tensor, *, shift: float = 0.06) -> tf.Tensor:
    """Flip, shift and relight a batch of posters (batch, height, width, 3), 0-255; `key` fixes the draw.

    Lettering is mirrored by the flip; measured on validation films that costs less than it brings.
    """
    size = tf.shape(posters)
    flipped = tf.reverse(posters, axis=[2])
    coins = tf.random.stateless_uniform([size[0], 1, 1, 1], key) < 0.5
    posters = tf.cast(tf.where(coins, flipped, posters), tf.float32)
    down, right = (tf.cast(tf.cast(n, tf.float32) * shift, tf.int32) for n in (size[1], size[2]))
    wide = tf.pad(posters, [[0, 0], [down, down], [right, right], [0, 0]], mode="REFLECT")
    posters = tf.image.stateless_random_crop(wide, size, key + 1)
    light = tf.random.stateless_uniform([size[0], 1, 1, 1], key + 2, 0.85, 1.15)
    contrast = tf.random.stateless_uniform([size[0], 1, 1, 1], key + 3, 0.85, 1.15)
    middle = tf.reduce_mean(posters, axis=[1, 2, 3], keepdims=True)
    return tf.clip_by_value((posters - middle) * contrast + middle * light, 0.0, 255.0)
