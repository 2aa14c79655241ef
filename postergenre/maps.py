"""Where a network looks for a genre: heat maps over a poster, and whether they can be believed."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray
from scipy.stats import binomtest, spearmanr

from postergenre import alterations, layers, paths, reading
from postergenre.reading import mean_interval

Posters = NDArray[np.uint8]  # (posters, height, width, 3)
STEPS = 10  # of deletion and insertion
RIVALS = ("at random", "from the centre")  # the orders that stand beside a map's
DIFFERENCE = ["difference", "difference low", "difference high"]
STAYS = {  # by the sign of the difference
    1: "some likeness stays, which cannot come from these weights",
    0: "no likeness beyond that of two posters' maps is shown",
    -1: "less likeness is left than two posters' maps have",
}
SIDES = ["box_left", "box_top", "box_right", "box_bottom"]


def grad_cam(
    model: keras.Model,
    posters: Posters,
    genres: Sequence[int],
    *,
    layer: str | None = None,
    batch_size: int = 32,
) -> NDArray[np.float32]:
    """Return a heat map (posters, height, width) between 0 and 1 for one genre a poster.

    Grad-CAM (Selvaraju et al., ICCV 2017) on the genre's logit, at the last convolution unless
    `layer` names another. `genres` holds a position in the vocabulary for each poster.
    """
    _check_genres(model, posters, genres)
    return _scaled(_attended(_attention(model, layer), posters, genres, batch_size)[0])


@lru_cache(maxsize=4)  # a network is asked again and again, and is compiled once
def _attention(model: keras.Model, layer: str | None) -> Any:
    """Return what maps posters and genres to raw maps and to what each channel adds to the logit."""
    name = layer or layers.convolutions(model)[-1]
    outputs = [layers.passed_on(model, name), model.get_layer("logits").output]
    part = keras.Model(model.inputs, outputs)

    @tf.function(reduce_retracing=True)
    def attention(batch: tf.Tensor, wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            features, logits = part([batch], training=False)
            tape.watch(features)
            chosen = tf.reduce_sum(tf.gather(logits, wanted, batch_dims=1))
        slopes, features = (
            tf.cast(each, tf.float32) for each in (tape.gradient(chosen, features), features)
        )
        weighed = tf.reduce_mean(slopes, axis=[1, 2], keepdims=True) * features
        return tf.nn.relu(tf.reduce_sum(weighed, axis=-1)), tf.reduce_sum(weighed, axis=[1, 2])

    return attention


def _attended(
    attention: Any, posters: Posters, genres: Sequence[int], batch_size: int = 32
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return raw maps (posters, height, width), and what each channel adds: (posters, channels)."""
    parts = []
    for start in range(0, len(posters), batch_size):
        rows = slice(start, start + batch_size)
        batch = tf.constant(np.asarray(posters[rows]), tf.float32)
        parts.append(attention(batch, tf.constant(genres[rows], tf.int32)))
    maps, added = (
        np.concatenate([part.numpy() for part in each]) for each in zip(*parts, strict=True)
    )
    return maps, added


def _scaled(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12))


def _check_genres(model: keras.Model, posters: Posters, genres: Sequence[int]) -> None:
    count = model.output_shape[-1]
    if len(genres) != len(posters):
        raise ValueError(
            f"Expected one genre a poster: {len(posters)} posters, {len(genres)} came."
        )
    if not all(0 <= genre < count for genre in genres):
        raise ValueError(f"Genres are positions from 0 to {count - 1}; {list(genres)} came.")
    layers.check_posters(model, posters)


def occlusion(model: keras.Model, posters: Posters) -> NDArray[np.float64]:
    """Return how much each genre's log odds fall where a poster is covered: (posters, 8, 6, genres).

    Occlusion (Zeiler and Fergus, ECCV 2014) with the poster's mean colour: no gradient is asked.
    """
    layers.check_posters(model, posters)
    maps = []
    for poster in posters:
        seen = np.stack([poster, *alterations.covered(np.asarray(poster))])
        odds = reading.logit(model.predict(seen, batch_size=32, verbose=0))
        maps.append(alterations.cells(odds[0] - odds[1:]))
    return np.stack(maps) if maps else np.empty((0, alterations.ROWS, alterations.COLUMNS, 0))


def agreement(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the rank correlation of two stacks of maps (posters, height, width), poster by poster.

    The second is brought to the size of the first. A map without any difference agrees with nothing.
    """
    resized = np.asarray(tf.image.resize(other[..., None], one.shape[1:], method="area"))[..., 0]
    pairs = zip(one.reshape(len(one), -1), resized.reshape(len(one), -1), strict=True)
    return np.array([spearmanr(a, b)[0] if np.ptp(a) and np.ptp(b) else 0.0 for a, b in pairs])


def mean_maps(
    model: keras.Model,
    posters: Posters,
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
    model: keras.Model, posters: Posters, *, layer: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each poster's highest genre, as a position in the vocabulary, and its heat map."""
    if len(posters) == 0:
        return np.empty(0, dtype=np.int64), np.empty((0, 1, 1), dtype=np.float32)
    top = model.predict(np.asarray(posters), batch_size=32, verbose=0).argmax(axis=1)
    return top, grad_cam(model, posters, top.tolist(), layer=layer)


def explain(
    model: keras.Model,
    poster: NDArray[np.uint8],
    vocabulary: Sequence[str],
    *,
    genres: Sequence[str] | None = None,
    layer: str | None = None,
    top: int = 3,
) -> dict[str, Any]:
    """Say what a network reads off one poster (height, width, 3), and what it reads it from.

    `scores` by genre, as the network gives them (not calibrated). Then for each of `genres`, or of
    the `top` highest, in `reasons`: its heat map `map`; in `channels` the five channels of `layer`
    that add most to its logit (Grad-CAM's weights times the channel's activation); and in `cues`
    how far its log odds fall without colour, detail, layout or a third of the frame.
    """
    unknown = [genre for genre in genres or () if genre not in vocabulary]
    if unknown or len(vocabulary) != model.output_shape[-1]:
        raise ValueError(
            f"{model.name} knows {model.output_shape[-1]} genres, and {len(vocabulary)} were named: "
            f"{', '.join(vocabulary)}. Asked was for {', '.join(genres or ['the highest'])}."
        )
    layers.check_posters(model, np.asarray(poster)[None])
    altered = alterations.without(np.asarray(poster)[None])
    seen = np.concatenate([np.asarray(poster)[None], *altered.values()])
    scores = model.predict(seen, batch_size=32, verbose=0)
    highest = [vocabulary[place] for place in np.argsort(-scores[0])[:top]]
    asked = [list(vocabulary).index(genre) for genre in genres or highest]
    same = np.repeat(seen[:1], len(asked), axis=0)
    maps, added = _attended(_attention(model, layer), same, asked)
    lost = reading.logit(scores[0]) - reading.logit(scores[1:])
    return {
        "scores": dict(zip(vocabulary, scores[0].astype(float).tolist(), strict=True)),
        "reasons": {
            vocabulary[genre]: {
                "map": one,
                "channels": {int(c): float(each[c]) for c in np.argsort(-each)[:5]},
                "cues": dict(zip(altered, lost[:, genre].tolist(), strict=True)),
            }
            for genre, one, each in zip(asked, _scaled(maps), added, strict=True)
        },
    }


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


def energy_inside(maps: NDArray[np.floating], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the share of each map's sum that lies in its box; a cell counts by its part in the box."""
    height, width = maps.shape[1:]
    left, top, right, bottom = boxes.T[:, :, None]
    across, down = np.arange(width), np.arange(height)
    wide = np.clip(np.minimum(right * width, across + 1) - np.maximum(left * width, across), 0, 1)
    high = np.clip(np.minimum(bottom * height, down + 1) - np.maximum(top * height, down), 0, 1)
    inside = np.einsum("nhw,nh,nw->n", maps, high, wide)
    return np.asarray(inside / np.maximum(maps.sum(axis=(1, 2)), 1e-12))


def pointing_table(
    run: str,
    model: keras.Model,
    film_ids: Sequence[str],
    posters: Posters,
    vocabulary: Sequence[str],
    *,
    layer: str | None = None,
) -> pd.DataFrame:
    """Return how often heat maps hit the motif's box, beside the frame's centre and chance.

    `energy` is the mean share of a map's sum inside the box; the centre's is that of a Gaussian
    bell, a quarter of the frame wide. Asked of posters whose motif was drawn for the network's
    highest genre; the boxes come with the demo's posters. Of a run without them the table has no
    rows.
    """
    columns = ["hits", "low", "high", "energy", "posters"]
    path = paths.run_directory(run) / "studio" / "truth.parquet"
    if not Path(path).exists():
        return pd.DataFrame(columns=columns)
    drawn = pd.read_parquet(path).set_index("film_id").loc[list(film_ids)]
    top, maps = top_maps(model, posters, layer=layer)
    motif = drawn["cue_motif"].to_numpy(dtype=str)
    asked = (motif == np.array(vocabulary)[top]) & drawn["box_left"].notna().to_numpy()
    boxes = drawn[SIDES].to_numpy(dtype=float)[asked]
    centre = np.repeat(_bell(49, 33)[None], len(boxes), axis=0)
    table = {}
    for name, one in {"Grad-CAM": maps[asked], "centre of the frame": centre}.items():
        hits, area = pointing_game(one, boxes)
        energy = energy_inside(one, boxes).mean()
        table[name] = (hits.mean(), *_wilson(hits), energy, len(hits))
    table["chance (area of the boxes)"] = (area.mean(), np.nan, np.nan, area.mean(), len(area))
    return pd.DataFrame.from_dict(table, orient="index", columns=columns)


def _bell(height: int, width: int) -> NDArray[np.float64]:
    """Return a Gaussian bell about the centre of the frame, a quarter of it wide."""
    down, across = (np.exp(-8 * ((np.arange(n) + 0.5) / n - 0.5) ** 2) for n in (height, width))
    return np.asarray(down[:, None] * across)


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


def randomised(
    model: keras.Model,
    posters: Posters,
    genres: Sequence[int],
    *,
    layer: str | None = None,
    seed: int = 7,
) -> pd.DataFrame:
    """Return how like the trained network's maps are those of a network that forgets, layer by layer.

    From the last layer to the first, each one's weights are shuffled and stay so (the cascading
    test of Adebayo et al., NeurIPS 2018). Rows: the layer shuffled last; columns `likeness` (mean
    rank correlation with the trained network's map, its sign aside: weights at random may turn a
    map round), `low` and `high` (95 %), and `blank`, the share of maps without any difference,
    which are left out of it. The last row is the likeness of the trained network's maps of two
    different posters: what a map owes to no poster. `difference` is how far a likeness is above
    that one, paired by poster where neither map is blank, with `difference low` and `difference
    high` (95 %).
    """
    trained = grad_cam(model, posters, genres, layer=layer)
    bare = keras.Model(model.inputs, model.outputs, name=model.name)  # a loss cannot be cloned
    forgetful = keras.models.clone_model(bare)
    forgetful.set_weights(model.get_weights())
    attention = _attention(forgetful, layer)
    drawn = np.random.default_rng(seed)
    alike = {}
    for part in reversed([one for one in forgetful.layers if hasattr(one, "kernel")]):
        kernel = np.asarray(part.kernel)
        part.kernel.assign(drawn.permutation(kernel.ravel()).reshape(kernel.shape))
        alike[part.name] = _likeness(trained, _attended(attention, posters, genres)[0])
    other = alike["another poster's map"] = _likeness(trained, np.roll(trained, 1, axis=0))
    rows = {
        name: (*layers.effect(one), np.isnan(one).mean(), *layers.effect(one - other))
        for name, one in alike.items()
    }
    columns = ["likeness", "low", "high", "blank", *DIFFERENCE]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how like each other two stacks of maps are, poster by poster; nan where one is blank."""
    drawn = (np.ptp(one, axis=(1, 2)) > 0) & (np.ptp(other, axis=(1, 2)) > 0)
    return np.where(drawn, np.abs(agreement(one, other)), np.nan)


def faithfulness(
    model: keras.Model,
    posters: Posters,
    genres: Sequence[int],
    maps: NDArray[np.floating],
    *,
    seed: int = 7,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Blur posters cell by cell, or bring them back, in the order of a map and in two others.

    Deletion and insertion (Petsiuk et al., BMVC 2018). Returned are the curves, mean scores of
    `genres` by share of the frame (rows), and the area under each poster's curve (posters by
    curve). A map that tells what matters lowers the score fast in deletion, and raises it fast in
    insertion. Columns: `deletion`, `deletion at random`, `deletion from the centre` outwards, and
    the same of `insertion`.
    """
    _check_genres(model, posters, genres)
    soft = alterations.without_detail(posters)
    height, width = posters.shape[1:3]
    down = np.arange(height) * maps.shape[1] // height
    across = np.arange(width) * maps.shape[2] // width
    chance = np.random.default_rng(seed).random(maps.shape)
    shares = np.linspace(0, 1, STEPS + 1)
    curves = {}
    centre = np.broadcast_to(_bell(*maps.shape[1:]), maps.shape)
    orders = {"": maps, f" {RIVALS[0]}": chance, f" {RIVALS[1]}": centre}
    for ending, values in orders.items():
        flat = values.reshape(len(maps), -1)
        ranks = np.argsort(np.argsort(-flat, axis=1), axis=1).reshape(maps.shape)
        wide = ranks[:, down][:, :, across, None]
        for kind, out, into in (("deletion", posters, soft), ("insertion", soft, posters)):
            curve = []
            for share in shares:
                seen = np.where(wide < share * flat.shape[1], into, out)
                scores = model.predict(seen, batch_size=32, verbose=0)
                curve.append(scores[np.arange(len(genres)), genres])
            curves[kind + ending] = np.stack(curve, axis=1)
    names = sorted(curves)
    means = pd.DataFrame({name: curves[name].mean(axis=0) for name in names}, index=shares)
    areas = {name: np.trapezoid(curves[name], shares, axis=1) for name in names}
    return means.rename_axis("share of the frame"), pd.DataFrame(areas)


def faithfulness_table(areas: pd.DataFrame) -> pd.DataFrame:
    """Return the area under each curve beside those of its rivals, and their difference, paired.

    `low` and `high` are wider than 95 %: corrected (Bonferroni) for the four comparisons, so that
    all four together miss once in twenty.
    """
    rows = {}
    for kind in ("deletion", "insertion"):
        for rival in RIVALS:
            beside = areas[f"{kind} {rival}"]
            apart = layers.effect((areas[kind] - beside).to_numpy(), tests=2 * len(RIVALS))
            rows[f"{kind}, beside {rival}"] = (areas[kind].mean(), beside.mean(), *apart)
    columns = ["in the map's order", "in the other", "difference", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def planted(
    model: keras.Model,
    posters: Posters,
    truth: NDArray[np.bool_],
    painted: Mapping[str, Posters],
    vocabulary: Sequence[str],
) -> pd.DataFrame:
    """Return how log odds move when a genre's motif is painted into posters of other genres.

    `painted` holds for a genre the posters with its motif. Rows: that genre; columns: `own` (the
    move of its own log odds, mean over the posters that do not carry it) with `low` and `high`
    (95 %), `others` (the mean move of the other genres that these posters do not carry either) and
    `raised` (the share of posters on which its log odds rise).
    """
    before = reading.logit(model.predict(np.asarray(posters), batch_size=32, verbose=0))
    rows = {}
    for genre, after in painted.items():
        place = list(vocabulary).index(genre)
        moved = reading.logit(model.predict(after, batch_size=32, verbose=0)) - before
        absent = ~truth[:, place]
        own, others = moved[absent, place], np.delete(moved[absent], place, axis=1)
        absent_too = others[~np.delete(truth[absent], place, axis=1)]
        apart = absent_too.mean() if absent_too.size else np.nan
        rows[genre] = (*mean_interval(own), apart, (own > 0).mean(), int(absent.sum()))
    columns = ["own", "low", "high", "others", "raised", "posters"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _ahead(faithful: pd.DataFrame) -> list[int]:
    """Return for each rival whether the map's order is surely ahead of it (1), behind (-1), or neither.

    Ahead is what lowers the score more in deletion, and raises it more in insertion.
    """
    signs = []
    for rival in RIVALS:
        out, into = (faithful.loc[f"{kind}, beside {rival}"] for kind in ("deletion", "insertion"))
        ahead, behind = out["high"] < 0 < into["low"], into["high"] < 0 < out["low"]
        signs.append(int(ahead) - int(behind))
    return signs


def _beside(
    faithful: pd.DataFrame, verdicts: tuple[str, str, str], chance: str, centre: str
) -> str:
    """Set the maps beside places at random and beside the middle; `verdicts` are for 0, 1 and -1."""
    one, other = _ahead(faithful)
    link = "and" if one == other else "but"
    return f"{verdicts[one]} {chance}, {link} {verdicts[other]} {centre}"


def trust_sentence(faithful: pd.DataFrame) -> str:
    """Tell in plain words whether what the maps mark matters: deletion and insertion."""
    told = _beside(
        faithful,
        ("not surely more", "more", "less"),
        "on the places that its heat maps mark than on places at random",
        "than on the middle of the poster",
    )
    return f"When posters are blurred bit by bit, its score depends {told}."


def forgetting_sentence(forgotten: pd.DataFrame) -> str:
    """Tell what is left of the maps when all weights are shuffled, and at how many stages before."""
    last, other = forgotten.iloc[-2], forgotten.iloc[-1]
    value, low, high = last[DIFFERENCE]
    blank = f"{last['blank']:.0%} of its maps are blank, and of these nothing can be compared"
    if np.isnan(value):
        return f"With all its weights shuffled {blank}."
    stays = (forgotten["difference low"].iloc[:-2] > 0).sum()
    return (
        f"With all its weights shuffled, its maps' likeness to the trained network's is "
        f"{last['likeness']:.3f}, that of two posters' maps {other['likeness']:.3f}: poster by poster "
        f"a difference of {value:+.3f} ({low:+.3f} to {high:+.3f}), so {_kept(last)}. "
        f"{f'But {blank}. ' if last['blank'] else ''}With fewer layers shuffled, the likeness is "
        f"surely above that of two posters' maps at {stays} of {len(forgotten) - 2} stages."
    )


def _kept(last: pd.Series) -> str:
    """Tell in words what the difference of the row in which all weights are shuffled says."""
    value, low, high = last[DIFFERENCE]
    if np.isnan(value):
        return "too few maps are left to compare"
    return STAYS[int(low > 0) - int(high < 0)]


def learned_sentence(faithful: pd.DataFrame, forgotten: pd.DataFrame) -> str:
    """Tell in plain words what both tests say of the maps."""
    told = _beside(
        faithful,
        ("not surely better", "better", "worse"),
        "than chance which places matter to it",
        "than the middle of the poster does",
    )
    return f"Its heat maps tell {told}; with its weights shuffled, {_kept(forgotten.iloc[-2])}."


def planted_sentence(table: pd.DataFrame) -> str:
    """Tell in one sentence what painting motifs into posters did."""
    if table.empty:
        return "No motif is known that could be painted into these posters."
    rising = table.index[table["low"] > table["others"].clip(lower=0)]
    others = table.index.difference(rising)
    named = f" ({', '.join(others)} it does not surely)" if len(others) else ""
    return (
        f"A genre's motif, painted into posters without it, raises that genre's log odds by "
        f"{table['own'].mean():+.1f} on average and on {table['raised'].mean():.0%} of the posters, "
        f"other absent genres' by {table['others'].mean():+.1f}; for {len(rising)} of {len(table)} "
        f"genres the move is surely more than theirs{named}."
    )


def plain(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """Return a table of numbers as plain values by row, None where there is no number."""
    return {
        str(name): {
            str(key): None if np.isnan(value) else float(value) for key, value in row.items()
        }
        for name, row in table.iterrows()
    }
