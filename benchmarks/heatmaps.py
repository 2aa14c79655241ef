"""Grad-CAM for 500 posters with VGG16: in batches, and one poster at a time, in one run.

    .venv/bin/python benchmarks/heatmaps.py

The posters are drawn ones of runs/demo, repeated where there are fewer; the network is the shipped
one, at its own size. One at a time is the loop of most examples: a tape a poster, nothing compiled.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from postergenre import batches, classifier, films, layers, maps, paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", default="runs/demo")
    parser.add_argument("--network", default="weights/vgg16")
    parser.add_argument("--layer", default="block4_conv3")
    parser.add_argument("--posters", type=int, default=500)
    asked = parser.parse_args()
    bundle = classifier.Classifier.load(paths.project() / asked.network, form="keras")
    population, _, _ = films.load(asked.run)
    known = batches.images(asked.run, population, bundle.size)
    posters = np.array(known[np.arange(asked.posters) % len(known)])
    genres = bundle.score(posters).argmax(axis=1).tolist()
    ways = {"in batches": maps.grad_cam, "one at a time": one_at_a_time}
    found, rows = {}, []
    for name, way in ways.items():
        way(bundle.model, posters[:33], genres[:33], layer=asked.layer)
        began = time.perf_counter()
        found[name] = way(bundle.model, posters, genres, layer=asked.layer)
        seconds = time.perf_counter() - began
        rows.append({"Grad-CAM": name, "posters": len(posters), "seconds": seconds})
    table = pd.DataFrame(rows)
    table["posters a second"] = table["posters"] / table["seconds"]
    apart = np.abs(found["in batches"] - found["one at a time"]).max()
    table["largest difference"] = [0.0, apart]
    table = table.round({"seconds": 1, "posters a second": 1, "largest difference": 4})
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(f"{bundle.model.name} at {bundle.size[0]} x {bundle.size[1]}")
    print(table.to_string(index=False))


def one_at_a_time(
    model: keras.Model, posters: np.ndarray, genres: list[int], *, layer: str
) -> np.ndarray:
    """Return the same maps, from a tape for each poster."""
    outputs = [layers.passed_on(model, layer), model.get_layer("logits").output]
    part = keras.Model(model.input, outputs)
    made = []
    for poster, genre in zip(posters, genres, strict=True):
        with tf.GradientTape() as tape:
            features, logits = part(tf.constant(poster[None], tf.float32), training=False)
            tape.watch(features)
            chosen = logits[0, genre]
        slopes = tape.gradient(chosen, features)
        weights = tf.reduce_mean(slopes, axis=[1, 2], keepdims=True)
        made.append(tf.nn.relu(tf.reduce_sum(weights * features, axis=-1))[0].numpy())
    found = np.stack(made)
    return np.asarray(found / np.maximum(found.max(axis=(1, 2), keepdims=True), 1e-12))


if __name__ == "__main__":
    main()
