"""Opening a network: its filters, what its channels answer to, and where it looks for a genre."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray
from scipy.stats import binomtest, false_discovery_control, norm, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from postergenre import paths


def convolutions(model: keras.Model) -> list[str]:
    """Return the names of the convolutional layers, from the poster inwards."""
    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def _convolution(model: keras.Model, name: str) -> keras.layers.Layer:
    if name not in convolutions(model):
        raise ValueError(
            f"{name!r} is no convolutional layer of {model.name}; those are "
            f"{', '.join(convolutions(model))}."
        )
    return model.get_layer(name)


def _passed_on(model: keras.Model, name: str) -> Any:
    """Return what a convolution passes on: its output, or that of its own rectifier where it has one."""
    convolution = _convolution(model, name)
    rectified = f"{name}_relu"
    names = {layer.name for layer in model.layers}
    return (model.get_layer(rectified) if rectified in names else convolution).output


def filters(model: keras.Model, layer: str) -> NDArray[np.float32]:
    """Return the kernels of a layer on RGB as (filters, height, width, 3) pictures between 0 and 1."""
    kernel = np.asarray(_convolution(model, layer).kernel)
    if kernel.shape[2] != 3:
        raise ValueError(
            f"{layer!r} sees {kernel.shape[2]} channels, not the three colours of a poster: "
            "only a network's first convolution can be shown as coloured pictures."
        )
    pictures = np.moveaxis(kernel, 3, 0)
    strongest = np.abs(pictures).max(axis=(1, 2, 3), keepdims=True)
    return np.asarray(0.5 + 0.5 * pictures / np.maximum(strongest, 1e-12), dtype=np.float32)


def activations(model: keras.Model, layer: str, posters: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a layer's rectified output (posters, height, width, channels)."""
    part = keras.Model(model.input, _passed_on(model, layer))
    return np.maximum(part.predict(np.asarray(posters), batch_size=32, verbose=0), 0)


def pooled(
    model: keras.Model, names: Sequence[str], posters: NDArray[np.uint8]
) -> dict[str, NDArray[np.float32]]:
    """Return each layer's mean rectified activation, (posters, channels), in one pass over the posters."""
    outputs = [_passed_on(model, name) for name in names]
    means = [
        keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(output)) for output in outputs
    ]
    part = keras.Model(model.input, means)
    values = part.predict(np.asarray(posters), batch_size=32, verbose=0)
    return dict(zip(names, values if isinstance(values, list) else [values], strict=True))


def selectivity(
    means: NDArray[np.floating], truth: NDArray[np.bool_], genres: Sequence[str]
) -> pd.DataFrame:
    """Return how well each channel alone tells each genre: AUROC (channels, genres), 0.5 is chance."""
    ranks = rankdata(means, axis=0)
    carry = truth.sum(axis=0)[:, None]
    wins = truth.T.astype(float) @ ranks - carry * (carry + 1) / 2
    auroc = wins / np.maximum(carry * (len(truth) - carry), 1)
    return pd.DataFrame(auroc.T, columns=list(genres)).rename_axis("channel")


def significant(
    auroc: pd.DataFrame, truth: NDArray[np.bool_], *, rate: float = 0.01
) -> NDArray[np.bool_]:
    """Mark channel-genre pairs that differ from chance, with the false discovery rate held at `rate`.

    Mann-Whitney's test in its normal approximation, corrected after Benjamini and Hochberg.
    """
    carry = truth.sum(axis=0)
    others = len(truth) - carry
    spread = np.sqrt((len(truth) + 1) / (12 * np.maximum(carry * others, 1)))
    p_values = 2 * norm.sf(np.abs(auroc.to_numpy() - 0.5) / spread)
    corrected = false_discovery_control(p_values.ravel())
    return np.asarray(corrected.reshape(p_values.shape) <= rate)


def probe(
    train: NDArray[np.floating],
    train_truth: NDArray[np.bool_],
    held_out: NDArray[np.floating],
    held_out_truth: NDArray[np.bool_],
) -> float:
    """Return the macro AUROC on held-out films of a linear reading of one layer's pooled activations."""
    reader = make_pipeline(
        StandardScaler(), OneVsRestClassifier(LogisticRegression(C=0.01, max_iter=300))
    )
    reader.fit(train, train_truth.astype(int))
    return float(roc_auc_score(held_out_truth, reader.predict_proba(held_out)))


def grad_cam(
    model: keras.Model,
    posters: NDArray[np.uint8],
    genres: Sequence[int],
    *,
    layer: str | None = None,
    batch_size: int = 32,
) -> NDArray[np.float32]:
    """Return a heat map (posters, height, width) between 0 and 1 for one genre a poster.

    Grad-CAM (Selvaraju et al., ICCV 2017) on the genre's logit, at the last convolution unless
    `layer` names another. `genres` holds a position in the vocabulary for each poster.
    """
    count = model.output_shape[-1]
    if len(genres) != len(posters):
        raise ValueError(
            f"Expected one genre a poster: {len(posters)} posters, {len(genres)} came."
        )
    if not all(0 <= genre < count for genre in genres):
        raise ValueError(f"Genres are positions from 0 to {count - 1}; {list(genres)} came.")
    if posters.shape[1:] != model.input_shape[1:]:
        raise ValueError(
            f"{model.name} takes posters of {model.input_shape[1:]}; {posters.shape[1:]} came."
        )
    name = layer or convolutions(model)[-1]
    outputs = [_passed_on(model, name), model.get_layer("logits").output]
    part = keras.Model(model.input, outputs)

    @tf.function(reduce_retracing=True)
    def maps_of(batch: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            features, logits = part(batch, training=False)
            tape.watch(features)
            chosen = tf.reduce_sum(tf.gather(logits, wanted, batch_dims=1))
        slopes = tape.gradient(chosen, features)
        weights = tf.reduce_mean(slopes, axis=[1, 2], keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * features, axis=-1))

    parts = []
    for start in range(0, len(posters), batch_size):
        rows = slice(start, start + batch_size)
        batch = tf.constant(np.asarray(posters[rows]), tf.float32)
        parts.append(maps_of(batch, tf.constant(genres[rows], tf.int32)).numpy())
    maps = np.concatenate(parts)
    return np.asarray(maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12))


def pointing_game(
    maps: NDArray[np.floating], boxes: NDArray[np.floating]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return whether each map's peak lies in its box, and the share of the frame that box covers.

    `boxes` are (n, 4): left, top, right, bottom as fractions of the frame (Zhang et al., 2018).
    """
    height, width = maps.shape[1:]
    peaks = maps.reshape(len(maps), -1).argmax(axis=1)
    y, x = (peaks // width + 0.5) / height, (peaks % width + 0.5) / width
    left, top, right, bottom = boxes.T
    inside = (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
    return inside, (right - left) * (bottom - top)


def mean_maps(
    model: keras.Model,
    posters: NDArray[np.uint8],
    truth: NDArray[np.bool_],
    *,
    layer: str | None = None,
    at_most: int = 60,
) -> NDArray[np.float32]:
    """Return the mean heat map (genres, height, width) of each genre over films that carry it."""
    carriers = [np.flatnonzero(carry)[:at_most] for carry in truth.T]
    genres = np.repeat(np.arange(len(carriers)), [len(rows) for rows in carriers])
    maps = grad_cam(model, posters[np.concatenate(carriers)], genres.tolist(), layer=layer)
    return np.stack([maps[genres == genre].mean(axis=0) for genre in range(len(carriers))])


def top_maps(
    model: keras.Model, posters: NDArray[np.uint8], *, layer: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each poster's highest genre, as a position in the vocabulary, and its heat map."""
    if len(posters) == 0:
        return np.empty(0, dtype=np.int64), np.empty((0, 1, 1), dtype=np.float32)
    top = model.predict(np.asarray(posters), batch_size=32, verbose=0).argmax(axis=1)
    return top, grad_cam(model, posters, top.tolist(), layer=layer)


def pointing_table(
    run: str,
    model: keras.Model,
    film_ids: Sequence[str],
    posters: NDArray[np.uint8],
    vocabulary: Sequence[str],
    *,
    layer: str | None = None,
) -> pd.DataFrame:
    """Return how often heat maps hit the motif's box, beside the frame's centre and chance.

    Asked of posters whose motif was drawn for the network's highest genre; the boxes come with the
    demo's posters. Of a run without them the table has no rows.
    """
    path = paths.run_directory(run) / "studio" / "truth.parquet"
    if not Path(path).exists():
        return pd.DataFrame(columns=["hits", "low", "high", "posters"])
    drawn = pd.read_parquet(path).set_index("film_id").loc[list(film_ids)]
    top, maps = top_maps(model, posters, layer=layer)
    motif = drawn["cue_motif"].to_numpy(dtype=str)
    asked = (motif == np.array(vocabulary)[top]) & drawn["box_left"].notna().to_numpy()
    sides = ["box_left", "box_top", "box_right", "box_bottom"]
    boxes = drawn[sides].to_numpy(dtype=float)[asked]
    hits, area = pointing_game(maps[asked], boxes)
    centre = np.ones((len(boxes), 1, 1))  # one cell, whose middle is the frame's
    rows = {"Grad-CAM": hits, "centre of the frame": pointing_game(centre, boxes)[0]}
    table = {name: (row.mean(), *_wilson(row), len(row)) for name, row in rows.items()}
    table["chance (area of the boxes)"] = (area.mean(), np.nan, np.nan, len(area))
    columns = ["hits", "low", "high", "posters"]
    return pd.DataFrame.from_dict(table, orient="index", columns=columns)


def _wilson(hits: NDArray[np.bool_]) -> tuple[float, float]:
    found = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def pointing_sentence(table: pd.DataFrame) -> str:
    """Tell a pointing table in one sentence."""
    if table.empty:
        return "Whether its heat maps point at the truth cannot be asked of these posters."
    cam, centre, chance = table["hits"]
    return (
        f"Its heat maps hit the drawn motif on {cam:.0%} of {table['posters'].iloc[0]:.0f} posters "
        "whose motif belongs to the genre that it scored highest; the frame's centre hits "
        f"{centre:.0%}, chance {chance:.0%}."
    )
