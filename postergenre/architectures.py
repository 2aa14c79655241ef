"""The two networks: posters in, as raw 0-255 RGB; one sigmoid per genre out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from postergenre import paths
from postergenre.errors import StudyError
from postergenre.films import Part, of
from postergenre.parameters import CHOICES

BLOCKS = (2, 3, 4, 5)  # the blocks of VGG16 whose outputs are pooled for the head
# Standard deviations at which a feature is cut off. The cut also keeps LiteRT from folding the
# standardisation into the head's weights, whose 8 bits then lose the features of large scale.
OUTLIER = 10
PRECISIONS = CHOICES["precision"]


def custom_cnn(
    size: tuple[int, int],
    genres: int,
    *,
    width: int = 24,
    dropout: float = 0.4,
    kernel: int = 5,
    fields: tuple[int, int] = (3, 1),
    peak: bool = True,
) -> keras.Model:
    """Build the network made for posters: five convolutions, then one pooling a third of the frame.

    `size` is (height, width) in pixels; `width` and `kernel` are the number of channels and the size
    of the first convolution, `fields` the rows and columns of the frame that are pooled apart.
    """
    posters = keras.Input((*size, 3), name="posters")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(posters)
    # A wide first kernel with stride 2: flat grounds and large letters need no fine grid.
    x = _convolution(x, width, kernel=kernel, strides=2, name="conv1")
    for number, channels in enumerate((2 * width, 4 * width, 6 * width, 8 * width), start=2):
        x = _convolution(x, channels, name=f"conv{number}")
        if number < 5:
            x = layers.MaxPooling2D(name=f"pool{number}")(x)
    # Posters are read from top to bottom: head, middle and foot are pooled apart, so that a title
    # at the foot differs from one at the head; left and right are pooled together.
    part = (x.shape[1] // fields[0], x.shape[2] // fields[1])
    seen = [layers.Flatten()(layers.AveragePooling2D(part, name="thirds")(x))]
    if peak:
        seen.append(layers.GlobalMaxPooling2D(name="peak")(x))
    x = layers.Concatenate(name="features")(seen)
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(posters, _genres(x, genres), name="custom_cnn")


def _convolution(
    x: keras.KerasTensor, channels: int, *, name: str, kernel: int = 3, strides: int = 1
) -> keras.KerasTensor:
    x = layers.Conv2D(channels, kernel, strides=strides, padding="same", use_bias=False, name=name)(
        x
    )
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def widened(
    model: keras.Model, size: tuple[int, int], *, precision: str = "float32"
) -> keras.Model:
    """Return `custom_cnn` for posters of `size`, twice as wide as `model` and answering as it does.

    Every channel stands there twice, and what follows shares its weight between the two at random,
    so that they go apart in training (Chen, Goodfellow and Shlens, arXiv:1511.05641).
    """
    width, genres = model.get_layer("conv1").filters, model.output_shape[1]
    with _computing(precision):
        wide = custom_cnn(size, genres, width=2 * width)
    dice = np.random.default_rng(width)
    for layer in model.layers:
        if not (weights := layer.get_weights()):
            continue
        if layer.name == "logits":
            # Thirds of the frame and strongest answers, one after the other, each of all channels.
            parts = weights[0].reshape(-1, 8 * width, genres)
            weights[0] = _halved(parts, dice).reshape(-1, genres)
        else:
            if isinstance(layer, layers.Conv2D) and layer.name != "conv1":
                weights[0] = _halved(weights[0], dice)
            weights = [np.concatenate([part, part], axis=-1) for part in weights]
        wide.get_layer(layer.name).set_weights(weights)
    return wide


def both_ways(model: keras.Model) -> keras.Model:
    """Return a network that looks at a poster and at its mirror image, and gives their mean log odds.

    `model` is a `custom_cnn`; weights are shared, and the work is twice as much.
    """
    posters = keras.Input(model.input_shape[1:], name="posters")
    views = ops.concatenate([posters, ops.flip(posters, axis=2)], axis=0)
    logits = keras.Model(model.input, model.get_layer("logits").output, name="one_way")(views)
    logits = ops.mean(ops.reshape(logits, (2, -1, model.output_shape[1])), axis=0)
    return keras.Model(posters, _sigmoid(logits), name=model.name)


def one_way(model: keras.Model) -> keras.Model:
    """Return the network inside `both_ways`, layer by layer and for one view; any other as it is."""
    if "one_way" not in [layer.name for layer in model.layers]:
        return model
    inner = model.get_layer("one_way")
    return keras.Model(inner.input, _sigmoid(inner.output), name=model.name)


def _halved(weights: NDArray[np.float32], dice: np.random.Generator) -> NDArray[np.float32]:
    share = dice.uniform(0.25, 0.75, weights.shape)
    return np.concatenate([weights * share, weights * (1 - share)], axis=-2)


def vgg16(
    size: tuple[int, int],
    genres: int,
    *,
    weights: str,
    hidden: int = 1024,
    dropout: float = 0.6,
    precision: str = "float32",
) -> keras.Model:
    """Build VGG16 without its top, pooled after blocks 2 to 5, with one hidden layer as its head.

    Network: Simonyan and Zisserman, arXiv:1409.1556. `weights` is a file, "imagenet" or "random".
    `hidden` is the width of that layer; 0 makes the head linear. In training, `dropout` of it is
    left out, and half as large a share of the features. `precision` is that of the convolutions,
    "float32" or "mixed_bfloat16"; weights and head are in single precision either way.
    Flat, so that `model.get_layer("block5_conv3")` works.
    """
    posters = keras.Input((*size, 3), name="posters")
    x = keras.applications.vgg16.preprocess_input(posters)
    with _computing(precision):
        base = _vgg16_base(x, weights)
    base.trainable = False
    pooled = [base.get_layer(f"block{block}_pool").output for block in BLOCKS]
    pooled = [
        layers.GlobalAveragePooling2D(name=f"pooled{b}")(p)
        for b, p in zip(BLOCKS, pooled, strict=True)
    ]
    x = layers.Concatenate(name="features")(pooled)
    x = layers.BatchNormalization(
        center=False, scale=False, epsilon=1e-3, trainable=False, name="standardise"
    )(x)
    x = ops.clip(x, -OUTLIER, OUTLIER)
    x = layers.Dropout(dropout / 2, name="feature_dropout")(x)
    if hidden:
        x = layers.Dense(hidden, activation="relu", name="hidden")(x)
        x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(posters, _genres(x, genres), name="vgg16")


@contextmanager
def _computing(precision: str) -> Iterator[None]:
    if precision not in PRECISIONS:
        raise ValueError(f"The precision is one of {', '.join(PRECISIONS)}; {precision!r} came.")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _genres(x: keras.KerasTensor, genres: int) -> keras.KerasTensor:
    return _sigmoid(layers.Dense(genres, name="logits")(x))


def _sigmoid(logits: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Activation("sigmoid", dtype="float32", name="genres")(logits)


def _vgg16_base(x: keras.KerasTensor, weights: str) -> keras.Model:
    known = {"imagenet": "imagenet", "random": None}
    path = paths.project() / Path(weights).expanduser()
    if weights not in known and not path.is_file():
        raise StudyError(
            f"Expected the weights of VGG16 in {weights}, and there is no such file. Give a path, "
            '"imagenet" (downloaded) or "random".'
        )
    try:
        if weights not in known:
            with h5py.File(path) as file:
                if "block5_conv3" not in file:
                    raise ValueError(f"its layers are {', '.join(file)}")
        return keras.applications.VGG16(
            include_top=False, weights=known.get(weights, str(path)), input_tensor=x
        )
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise StudyError(
            f"{weights} does not hold the 13 convolutional layers of VGG16 ({reason}). Expected "
            "the layout of keras.applications.VGG16(include_top=False)."
        ) from None


def recast(model: keras.Model, **shape: Any) -> keras.Model:
    """Return `vgg16(**shape)` with the weights of `model`, which may compute in another precision."""
    same = vgg16(**shape)
    same.set_weights(model.get_weights())
    return same


def head(model: keras.Model) -> keras.Model:
    """Return the head of `vgg16` as a network of its own on pooled features; weights are shared."""
    features = keras.Input(model.get_layer("features").output.shape[1:], name="pooled")
    return keras.Model(features, _after_features(model, features), name="head")


def tail(model: keras.Model, *, block: int = 5) -> keras.Model:
    """Return `vgg16` from `block` onwards (3 to 5), to be trained; weights are shared.

    Inputs: the output of the block below (height, width, channels), and the pooled features of
    block 2 to that one.
    """
    below = model.get_layer(_below(block)).output
    middle = keras.Input(below.shape[1:], name="middle")
    pooled = keras.Input((shallow_features(model, block=block),), name="pooled")
    x, seen = middle, [pooled]
    for number in range(block, BLOCKS[-1] + 1):
        for layer in model.layers:
            if layer.name.startswith(f"block{number}_"):
                layer.trainable = True
                x = layer(x)
        seen.append(model.get_layer(f"pooled{number}")(x))
    features = layers.Concatenate(name="features")(seen)
    return keras.Model([middle, pooled], _after_features(model, features), name="tail")


def lowest(tuned_blocks: int) -> int:
    """Return the number of VGG16's lowest block that learns when this many of the uppermost do."""
    return BLOCKS[-1] + 1 - tuned_blocks


def _below(block: int) -> str:
    if block not in BLOCKS[1:]:
        raise ValueError(
            f"VGG16 is trained from block 3, 4 or 5 onwards (the uppermost 3, 2 or 1); {block} came."
        )
    return f"block{block - 1}_pool"


def shallow_features(model: keras.Model, *, block: int = 5) -> int:
    """Return how many of the pooled features of `vgg16` come from the blocks below `block`."""
    return sum(model.get_layer(f"pooled{b}").output.shape[1] for b in BLOCKS if b < block)


def _after_features(model: keras.Model, x: keras.KerasTensor) -> keras.KerasTensor:
    names = [layer.name for layer in model.layers]
    for name in names[names.index("standardise") :]:
        x = model.get_layer(name)(x)
        if name == "standardise":
            x = ops.clip(x, -OUTLIER, OUTLIER)
    return x


def frozen(model: keras.Model, *, block: int | None = 5) -> keras.Model:
    """Return the part of `vgg16` that is computed once: pooled features, and what `block` is handed."""
    names = ["features"] + ([] if block is None else [_below(block)])
    return keras.Model(model.input, [model.get_layer(name).output for name in names])


def standardise(model: keras.Model, train: Part, features: NDArray[np.floating]) -> None:
    """Set the head's input scale from the training films' features, of all films' (films, channels)."""
    features = features[of("train", train).rows]
    layer = model.get_layer("standardise")
    layer.moving_mean.assign(features.mean(axis=0))
    layer.moving_variance.assign(features.var(axis=0))
