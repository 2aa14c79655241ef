"""What a network's layers hold: filters, channels, their pictures, and how much each place sees."""

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from toys import SIZE, patches

from postergenre import layers


def test_channels_are_measured_as_a_classifier_would_be() -> None:
    truth = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=bool)
    means = np.array([[3.0, 1], [2, 1], [1, 1], [0, 1]])
    table = layers.selectivity(means, truth, ["A", "B"])
    assert table.to_numpy().tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_chance_makes_few_channels_significant() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((300, 5)) < 0.3
    noise = layers.selectivity(rng.random((300, 200)), truth, list("ABCDE"))
    assert layers.significant(noise, truth).mean() < 0.01
    signal = rng.random((300, 200)) + 0.5 * truth[:, :1]
    table = layers.selectivity(signal, truth, list("ABCDE"))
    found = layers.significant(table, truth)
    assert found[:, 0].all()
    # Hundreds of channels that go with one genre do not lift those that chance gives another.
    assert not found[:, 1:].any()


def test_a_linear_probe_reads_what_is_there() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((400, 3)) < 0.4
    signal, noise = truth + rng.normal(0, 0.5, (400, 3)), rng.normal(0, 1, (400, 3))
    read = {
        name: layers.probe(means[:200], truth[:200], means[200:])
        for name, means in {"first": noise, "last": signal}.items()
    }
    assert read["last"].shape == (200, 3)
    table = layers.readable(read, truth[200:])
    assert table.loc["last", "linear reading"] > 0.85
    assert table.loc["first", "linear reading"] < 0.62
    assert table.loc["first", "behind low"] > 0.1
    assert table.loc["last", ["behind", "behind low", "behind high"]].tolist() == [0, 0, 0]


def test_the_parts_of_films_are_those_of_the_macro_auroc_and_spread_as_its_bootstrap_does() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((300, 5)) < [0.3, 0.5, 0.2, 0, 1]
    scores = (truth + rng.normal(0, 1, truth.shape)).round(1)  # with ties
    other = scores + rng.normal(0, 0.5, truth.shape)
    told = range(3)  # of the other two nobody can be told apart
    parts = layers.auroc_parts(truth, scores)
    assert parts.mean() == pytest.approx(roc_auc_score(truth[:, told], scores[:, told]))
    apart = parts - layers.auroc_parts(truth, other)
    samples = []
    for _ in range(400):
        at = rng.integers(0, 300, 300)
        one, two = (
            roc_auc_score(truth[at][:, told], each[at][:, told]) for each in (scores, other)
        )
        samples.append((one, one - two))
    spread = np.std(samples, axis=0)
    error = np.array([parts.std(ddof=1), apart.std(ddof=1)]) / np.sqrt(300)
    np.testing.assert_allclose(spread, error, rtol=0.12)
    assert error[1] < 0.8 * error[0]  # paired


def test_an_effect_is_a_mean_with_students_interval_wider_for_more_tests() -> None:
    values = np.array([0.0, 0.1, 0.2, np.nan])
    error = 0.1 / np.sqrt(3)
    mean, low, high = layers.effect(values)
    assert mean == pytest.approx(0.1)
    assert [mean - low, high - mean] == pytest.approx([4.3027 * error] * 2, rel=1e-4)
    wide = layers.effect(values, tests=4)
    assert wide[2] - wide[0] == pytest.approx(8.8602 * error, rel=1e-4)
    assert np.isnan(layers.effect(np.array([0.3, np.nan]))).all()


def test_the_sentence_of_the_best_layer_names_those_that_may_be_as_good() -> None:
    table = pd.DataFrame(
        {
            "linear reading": [0.6, 0.7, 0.75, 0.74],
            "low": [0.58, 0.68, 0.73, 0.72],
            "high": [0.62, 0.72, 0.77, 0.76],
            "behind low": [0.1, -0.01, 0, 0],
        },
        index=["conv1", "conv2", "conv3", "conv4"],
    )
    told = layers.readable_sentence(table)
    assert told.startswith("The genres are read best at conv3 (0.750, 0.730 to 0.770); ")
    assert told.endswith("; conv2 and conv4 cannot be told apart from it.")
    table["behind low"] = [0.1, -0.01, 0, 0.001]
    assert layers.readable_sentence(table).endswith("; conv2 cannot be told apart from it.")
    table["behind low"] = [0.1, 0.01, 0, 0.001]
    assert layers.readable_sentence(table).endswith("; all others are surely behind.")


def test_every_genre_is_drawn_with_its_best_channels_and_none_twice() -> None:
    auroc = pd.DataFrame(
        {"A": [0.9, 0.5, 0.2, 0.6], "B": [0.5, 0.55, 0.6, 0.5], "C": [0.5, 0.5, 0.5, 0.52]},
        index=[10, 11, 12, 13],
    )
    assert layers.best_of_each(auroc) == [10, 12, 11, 13]
    assert layers.best_of_each(auroc, count=1) == [10, 12, 13]


def test_first_filters_are_pictures_and_later_ones_are_refused(network: keras.Model) -> None:
    pictures = layers.filters(network, "conv1")
    assert pictures.shape == (8, 5, 5, 3)
    assert pictures.min() >= 0
    with pytest.raises(ValueError, match="not the three colours"):
        layers.filters(network, "conv2")


def test_activations_have_the_shape_of_their_layer(network: keras.Model) -> None:
    found = layers.activations(network, "conv2", patches(3)[0])
    assert found.shape == (3, 24, 16, 16)
    assert found.min() >= 0


@pytest.mark.parametrize(
    "posters",
    [
        np.zeros((2, 30, 20, 3), np.uint8),
        np.zeros((2, *SIZE, 4), np.uint8),
        np.zeros((2, *SIZE, 3), np.float32),
        np.zeros((*SIZE, 3), np.uint8),
    ],
)
def test_posters_of_another_size_kind_or_number_are_refused(
    network: keras.Model, posters: np.ndarray
) -> None:
    told = r"takes posters of \(48, 32, 3\), as bytes from 0 to 255; .* came"
    with pytest.raises(ValueError, match=told):
        layers.check_posters(network, posters)
    with pytest.raises(ValueError, match=told):
        layers.activations(network, "conv1", posters)
    layers.check_posters(network, patches(2)[0])


def test_mean_activations_are_the_means_of_the_activations(network: keras.Model) -> None:
    posters, _ = patches(3)
    means = layers.pooled(network, ["conv2", "conv4"], posters)
    assert list(means) == ["conv2", "conv4"]
    for name, values in means.items():
        whole = layers.activations(network, name, posters).mean(axis=(1, 2))
        np.testing.assert_allclose(values, whole, rtol=1e-4, atol=1e-5)
    (alone,) = layers.pooled(network, ["conv2"], posters).values()
    np.testing.assert_allclose(alone, means["conv2"], rtol=1e-4, atol=1e-5)


def test_the_spread_of_colours_is_that_of_the_posters() -> None:
    posters = np.zeros((2, 8, 8, 3), np.uint8)
    posters[0] = (255, 0, 51)
    mean, root = layers.colour_spread(posters)
    np.testing.assert_allclose(mean, [0.5, 0, 0.1], atol=1e-6)
    colours = posters[:, ::4, ::4].reshape(-1, 3) / 255
    np.testing.assert_allclose(root.T @ root, np.cov(colours.T), atol=1e-4)


@pytest.fixture(scope="module")
def answered(network: keras.Model) -> np.ndarray:
    """Return the pictures of four channels of conv3."""
    return layers.maximised(network, "conv3", [0, 1, 2, 3], patches(16)[0], steps=32)


def answers(network: keras.Model, layer: str, pictures: np.ndarray) -> np.ndarray:
    """Return what the first four channels of a layer pass on of pictures of any size, (pictures, 4)."""
    part = keras.Model(network.inputs, network.get_layer(f"{layer}_relu").output)
    free = keras.models.clone_model(part, input_tensors=[keras.Input(pictures.shape[1:])])
    free.set_weights(part.get_weights())
    means = free.predict(255 * pictures, verbose=0).mean(axis=(1, 2))
    return np.asarray(means[:, :4])


def test_a_channel_answers_most_to_the_picture_made_for_it(
    network: keras.Model, answered: np.ndarray
) -> None:
    assert answered.shape == (4, 72, 48, 3)
    assert answered.min() >= 0
    assert answered.max() <= 1
    own = answers(network, "conv3", answered)
    assert own.argmax(axis=0).tolist() == [0, 1, 2, 3]
    noise = np.random.default_rng(0).random((8, 72, 48, 3), dtype=np.float32)
    assert (np.diag(own) > 1.5 * answers(network, "conv3", noise).max(axis=0)).all()
    posters = patches(16)[0].repeat(2, axis=1)[:, :72].repeat(2, axis=2)[:, :, :48] / 255
    assert (np.diag(own) > answers(network, "conv3", posters).mean(axis=0)).all()


def test_the_same_seed_makes_the_same_picture_and_another_does_not(network: keras.Model) -> None:
    posters, _ = patches(16)
    one, again, other = (
        layers.maximised(network, "conv1", [0], posters, size=(16, 24), steps=3, seed=seed)
        for seed in (7, 7, 8)
    )
    assert one.shape == (1, 16, 24, 3)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.01


def test_a_channel_that_is_silent_at_first_is_given_its_colour_all_the_same() -> None:
    posters = np.random.default_rng(0).integers(0, 255, (8, 16, 12, 3), dtype=np.uint8)
    entry = keras.Input((16, 12, 3))
    output = keras.layers.Conv2D(2, 1, activation="relu", name="conv")(entry)
    model = keras.Model(entry, output)
    # Red against green and blue, and the reverse, each silent unless its colour is very strong.
    kernel = np.array([[1, -1], [-1, 1], [-1, 1]], dtype=np.float32)[None, None]
    model.get_layer("conv").set_weights([kernel, np.full(2, -200, dtype=np.float32)])
    red, other = layers.maximised(model, "conv", [0, 1], posters, size=(16, 12)).mean(axis=(1, 2))
    assert red[0] > 0.75
    assert red[1:].max() < 0.25
    assert other[0] < 0.25
    assert other[1:].min() > 0.75


def test_pictures_are_made_for_channels_of_convolutions_only(network: keras.Model) -> None:
    posters, _ = patches(2)
    with pytest.raises(ValueError, match=r"conv1 has the channels 0 to 7; \[8\] came"):
        layers.maximised(network, "conv1", [0, 8], posters)
    with pytest.raises(ValueError, match=r"the channels 0 to 7; \[-1\] came"):
        layers.maximised(network, "conv1", [-1], posters)
    for wrong in ("logits", "conv1_relu", "conv9"):
        with pytest.raises(ValueError, match=r"no convolutional layer.*conv1, conv2"):
            layers.maximised(network, wrong, [0], posters)


def test_a_place_of_a_layer_sees_what_kernels_and_strides_let_it_see(
    network: keras.Model,
) -> None:
    names = layers.convolutions(network)
    table = layers.receptive_fields(network, names, patches(8)[0])
    assert table.index.tolist() == names
    # Kernels 5, 3, 3, 3, 3; strides 2, and 2 after each of the second to fourth.
    assert table["reach"].tolist() == [5, 9, 19, 39, 79]
    assert (table["effective"] <= table["reach"]).all()
    assert table["effective"].is_monotonic_increasing
    assert table["effective"].iloc[0] < table["effective"].iloc[-1]
    np.testing.assert_allclose(table["of the width"].head(3), table["effective"].head(3) / 32)
    half = layers.receptive_fields(network, names, patches(8)[0], share=0.5)
    assert (half["effective"].iloc[1:] < table["effective"].iloc[1:]).all()


def test_the_effective_field_is_where_the_slope_is() -> None:
    entry = keras.Input((31, 31, 3))
    output = keras.layers.Conv2D(1, 9, padding="same", name="conv")(entry)
    model = keras.Model(entry, output)
    kernel = np.zeros((9, 9, 3, 1), dtype=np.float32)
    kernel[3:6, 3:6] = 1  # a large kernel, of which only the middle three by three weigh
    model.get_layer("conv").set_weights([kernel, np.zeros(1, dtype=np.float32)])
    table = layers.receptive_fields(model, ["conv"], np.full((2, 31, 31, 3), 9, np.uint8))
    assert table.loc["conv"].tolist() == [9, 3, pytest.approx(3 / 31)]


def test_of_no_posters_a_layer_has_no_activations(network: keras.Model) -> None:
    assert layers.activations(network, "conv2", patches(3)[0][:0]).shape == (0, 24, 16, 16)
