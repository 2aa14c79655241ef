"""Opening a network: its filters, what its channels answer to, and how much genre each layer holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, norm, rankdata, t
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FREQUENCY = 1.0  # the power by which fine waves are held down in maximised pictures


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


def passed_on(model: keras.Model, name: str) -> Any:
    """Return what a convolution passes on: its output, or that of its own rectifier where it has one."""
    return (_rectifier(model, name) or _convolution(model, name)).output


def _rectifier(model: keras.Model, name: str) -> keras.layers.Layer | None:
    _convolution(model, name)
    return next((layer for layer in model.layers if layer.name == f"{name}_relu"), None)


def check_posters(model: keras.Model, posters: NDArray[np.generic]) -> None:
    """Raise when these are not posters (n, height, width, 3) of the network's size, in bytes."""
    if posters.shape[1:] != model.input_shape[1:] or posters.dtype != np.uint8:
        raise ValueError(
            f"{model.name} takes posters of {model.input_shape[1:]}, as bytes from 0 to 255; "
            f"{posters.shape[1:]} of {posters.dtype} came. `pictures.resize` makes them."
        )


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
    """Return a layer's rectified output (posters, height, width, channels) for a few posters."""
    check_posters(model, posters)
    output = passed_on(model, layer)
    if len(posters) == 0:
        return np.empty((0, *output.shape[1:]), dtype=np.float32)
    part = keras.Model(model.inputs, output)
    return np.maximum(part([np.asarray(posters)], training=False).numpy().astype(np.float32), 0)


def pooled(
    model: keras.Model, names: Sequence[str], posters: NDArray[np.uint8]
) -> dict[str, NDArray[np.float32]]:
    """Return each layer's mean rectified activation, (posters, channels), in one pass over the posters."""
    check_posters(model, posters)
    outputs = [passed_on(model, name) for name in names]
    means = [
        keras.layers.GlobalAveragePooling2D()(
            keras.layers.ReLU()(keras.ops.cast(output, "float32"))
        )
        for output in outputs
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

    Mann-Whitney's test in its normal approximation, corrected in two steps, so that no genre is
    lifted by another one's channels: which genres any channel goes with (Simes's test), and which
    of its channels these are (Benjamini and Bogomolov, J. R. Stat. Soc. B, 2014).
    """
    carry = truth.sum(axis=0)
    others = len(truth) - carry
    spread = np.sqrt((len(truth) + 1) / (12 * np.maximum(carry * others, 1)))
    p_values = 2 * norm.sf(np.abs(auroc.to_numpy() - 0.5) / spread)
    within = false_discovery_control(p_values, axis=0)
    genres = false_discovery_control(within.min(axis=0)) <= rate
    return np.asarray((within <= rate * genres.mean()) & genres)


def probe(
    train: NDArray[np.floating],
    train_truth: NDArray[np.bool_],
    held_out: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Return the scores (films, genres) that a linear reading of a layer gives held-out films.

    `train` and `held_out` are the layer's pooled activations, (films, channels).
    """
    reader = make_pipeline(
        StandardScaler(), OneVsRestClassifier(LogisticRegression(C=0.01, max_iter=300))
    )
    reader.fit(train, train_truth.astype(int))
    return np.asarray(reader.predict_proba(held_out))


def effect(values: NDArray[np.floating], *, tests: int = 1) -> tuple[float, float, float]:
    """Return the mean of those values that are numbers, and its 95 % interval by Student's t.

    Of several `tests` the interval is so wide that all together miss once in twenty (Bonferroni).
    """
    known = values[~np.isnan(values)]
    if len(known) < 2:
        return np.nan, np.nan, np.nan
    mean, error = float(known.mean()), float(known.std(ddof=1)) / np.sqrt(len(known))
    reach = float(t.ppf(1 - 0.05 / 2 / tests, len(known) - 1)) * error
    return mean, mean - reach, mean + reach


def auroc_parts(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return each film's part in the macro AUROC of scores (films, genres): its mean over the films.

    The spread of the parts is the measure's error, and their difference between two readings of the
    same films is a paired one (DeLong, DeLong and Clarke-Pearson, Biometrics, 1988). A genre that no
    film carries, or every film, is left out.
    """
    parts = []
    for carry, given in zip(truth.T, scores.T, strict=True):
        if carry.any() and not carry.all():
            ranks, beaten = rankdata(given), np.empty(len(given))
            for side in (carry, ~carry):
                beaten[side] = (ranks[side] - rankdata(given[side])) / (~side).sum()
            beaten[~carry] = 1 - beaten[~carry]
            auroc = beaten[carry].mean()
            parts.append(auroc + (beaten - auroc) / np.where(carry, carry.mean(), (~carry).mean()))
    return np.asarray(np.mean(parts, axis=0))


def readable(scores: Mapping[str, NDArray[np.floating]], truth: NDArray[np.bool_]) -> pd.DataFrame:
    """Return how well each layer's `scores` (films, genres) tell the genres, beside the best layer's.

    Rows: layers; `linear reading` is the macro AUROC, with `low` and `high` (95 %), `behind` how far
    it is below the best layer's on the same films, with `behind low` and `behind high`, corrected
    for the number of layers. The best is picked on these films, which flatters it a little.
    """
    parts = {name: auroc_parts(truth, one) for name, one in scores.items()}
    best = max(parts.values(), key=np.mean)
    tests = max(len(parts) - 1, 1)
    rows = {name: (*effect(one), *effect(best - one, tests=tests)) for name, one in parts.items()}
    columns = ["linear reading", "low", "high", "behind", "behind low", "behind high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("layer")


def readable_sentence(table: pd.DataFrame) -> str:
    """Tell in one sentence at which layer genres are read best, and which others may be as good."""
    best = table["linear reading"].idxmax()
    value, low, high = table.loc[best, ["linear reading", "low", "high"]]
    level = [str(name) for name in table.index[table["behind low"] <= 0] if name != best]
    named = " and ".join([", ".join(level[:-1]), level[-1]] if level[1:] else level)
    others = f"{named} cannot be told apart from it" if level else "all others are surely behind"
    return f"The genres are read best at {best} ({value:.3f}, {low:.3f} to {high:.3f}); {others}."


def best_of_each(auroc: pd.DataFrame, *, count: int = 2) -> list[int]:
    """Return the channels that tell each genre best, for or against, genre by genre, none twice."""
    apart = (auroc - 0.5).abs()
    return list(dict.fromkeys(c for genre in apart for c in apart[genre].nlargest(count).index))


def colour_spread(posters: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean colour (3) of posters, and the root (3, 3) of their colours' covariance, 0-1."""
    colours = np.asarray(posters[:, ::4, ::4], dtype=np.float64).reshape(-1, 3) / 255
    values, vectors = np.linalg.eigh(np.cov(colours.T))
    root = vectors * np.sqrt(np.maximum(values, 1e-9))
    return colours.mean(axis=0).astype(np.float32), root.T.astype(np.float32)


def maximised(
    model: keras.Model,
    layer: str,
    channels: Sequence[int],
    posters: NDArray[np.uint8],
    *,
    size: tuple[int, int] = (72, 48),
    steps: int = 64,
    seed: int = 7,
) -> NDArray[np.float32]:
    """Return for each channel the picture (height, width, 3), between 0 and 1, that it answers to most.

    Activation maximisation in Fourier space with shifted copies (Olah et al., Feature
    Visualization, Distill 2017): fine waves are held down, and colours vary as those of `posters`
    do, of which nothing else enters.
    """
    output = passed_on(model, layer)
    wrong = [channel for channel in channels if not 0 <= channel < output.shape[-1]]
    if wrong:
        raise ValueError(f"{layer} has the channels 0 to {output.shape[-1] - 1}; {wrong} came.")
    # A rectifier that is silent has no slope to climb: what it is given is made large instead.
    rectifier = _rectifier(model, layer)
    part = keras.Model(model.inputs, rectifier.input if rectifier else output)
    small = keras.models.clone_model(part, input_tensors=[keras.Input((*size, 3))])
    small.set_weights(part.get_weights())
    small.get_layer(layer).activation = keras.activations.linear
    mean, root = colour_spread(posters)
    height, width = size
    far = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    scale = (1 / np.maximum(far, 1 / max(size)) ** FREQUENCY).astype(np.float32)
    scale *= np.sqrt(height * width) / np.linalg.norm(scale)
    drawn = np.random.default_rng(seed)
    start = drawn.normal(0, 0.1, (2, len(channels), 3, *scale.shape)).astype(np.float32)
    waves = tf.Variable(start)
    optimizer = keras.optimizers.Adam(0.05)

    def picture() -> tf.Tensor:
        plain = tf.signal.irfft2d(tf.complex(waves[0], waves[1]) * tf.complex(scale, 0.0), size)
        plain = tf.transpose(plain, [0, 2, 3, 1]) * np.sqrt(height * width)
        return tf.sigmoid(4 * (tf.tensordot(plain, root, 1) + mean - 0.5))

    @tf.function
    def step(shift: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            answers = small([255 * tf.roll(picture(), shift, axis=[1, 2])], training=False)
            means = tf.reduce_mean(tf.cast(answers, tf.float32), axis=[1, 2])
            loss = -tf.reduce_sum(tf.gather(means, list(channels), axis=1, batch_dims=0) * eye)
        optimizer.apply_gradients([(tape.gradient(loss, waves), waves)])

    eye = tf.eye(len(channels))
    for shift in drawn.integers(-8, 9, (steps, 2)):
        step(tf.constant(shift, tf.int32))
    return np.asarray(picture().numpy())


def receptive_fields(
    model: keras.Model, names: Sequence[str], posters: NDArray[np.uint8], *, share: float = 0.9
) -> pd.DataFrame:
    """Return how much of a poster one place of each layer sees, in pixels of the network's input.

    `reach` is what it can see, from kernels and strides; `effective` the side of the square about
    the middle place that holds `share` of its slope (Luo et al., NeurIPS 2016), a mean over
    posters; `of the width` the latter as a share of the frame.
    """
    check_posters(model, posters)
    rows, reach, stride = {}, 1, 1
    for one in model.layers:
        if isinstance(one, keras.layers.GlobalAveragePooling2D | keras.layers.AveragePooling2D):
            continue
        kernel = getattr(one, "kernel_size", None) or getattr(one, "pool_size", None)
        if kernel:
            reach += (kernel[0] - 1) * stride
            stride *= one.strides[0]
        if one.name in names:
            rows[one.name] = {
                "reach": reach,
                "effective": _effective(model, one.name, posters, share),
            }
    table = pd.DataFrame.from_dict(rows, orient="index").loc[list(names)]
    table["of the width"] = table["effective"] / model.input_shape[2]
    return table.rename_axis("layer")


def _effective(model: keras.Model, name: str, posters: NDArray[np.uint8], share: float) -> float:
    part = keras.Model(model.inputs, passed_on(model, name))
    batch = tf.constant(np.asarray(posters), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(batch)
        answers = part([batch], training=False)
        middle = tf.reduce_sum(answers[:, answers.shape[1] // 2, answers.shape[2] // 2])
    slope = np.abs(tape.gradient(middle, batch)).sum(axis=3)
    mass = slope.mean(axis=0) / max(float(slope.mean(axis=0).sum()), 1e-12)
    y, x = (round(float((mass * at).sum())) for at in np.indices(mass.shape))
    held = [
        mass[max(y - r, 0) : y + r + 1, max(x - r, 0) : x + r + 1].sum()
        for r in range(max(mass.shape))
    ]
    return 2.0 * int(np.argmax(np.array(held) >= share * held[-1])) + 1
