"""How the posters of a genre look: palette, light, composition, and how these changed by decade."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageCms
from scipy.stats import false_discovery_control, norm
from sklearn.cluster import MiniBatchKMeans

Posters = NDArray[np.uint8]  # (posters, height, width, 3)

MEASURES = {
    "brightness": "mean lightness (L*), 0 black to 100 white",
    "contrast": "standard deviation of L* over the whole poster",
    "colour": "mean chroma",
    "warmth": "mean b*, blue below 0, yellow above",
    "redness": "mean a*, green below 0, red above",
    "detail": "mean step of L* from pixel to pixel",
    "detail below": "share of the detail in the lower third",
    "symmetry": "correlation of L* with its mirror image",
}
# What lies below and above the mean of the other films is called, measure by measure.
WORDS = {
    "brightness": ("darker", "brighter"),
    "contrast": ("lower in contrast", "higher in contrast"),
    "colour": ("greyer", "more colourful"),
    "warmth": ("bluer", "yellower"),
    "redness": ("greener", "redder"),
    "detail": ("calmer", "busier"),
    "detail below": ("calmer at the foot", "busier at the foot"),
    "symmetry": ("less symmetric", "more symmetric"),
}
SMALL = 0.2  # standard deviations: what Cohen (1988) calls a small effect
RARE = 0.005  # share of the pixels below which a colour says little
FEWEST = 20  # films on each side of a comparison


def lab(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return sRGB pixels (..., 3) as CIE L*a*b*: L* from 0 to 100, a* and b* about 0 (D50)."""
    shape = pixels.shape
    rows = np.ascontiguousarray(pixels.reshape(-1, shape[-2], 3))
    spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    change = ImageCms.buildTransform(*spaces, "RGB", "LAB")
    found = ImageCms.applyTransform(Image.fromarray(rows), change)
    coded = np.asarray(found, dtype=np.uint8).reshape(shape).astype(np.float32)
    signed = np.where(coded > 127, coded - 256, coded)
    return np.stack([coded[..., 0] / 2.55, signed[..., 1], signed[..., 2]], axis=-1)


def measures(posters: Posters) -> pd.DataFrame:
    """Return one row a poster with the columns of `MEASURES`."""
    parts = []
    for start in range(0, len(posters), 512):
        colours = lab(np.asarray(posters[start : start + 512]))
        light, chroma = colours[..., 0], np.hypot(colours[..., 1], colours[..., 2])
        steps = np.abs(np.diff(light, axis=1))[:, :, :-1] + np.abs(np.diff(light, axis=2))[:, :-1]
        lower = steps[:, 2 * steps.shape[1] // 3 :].sum(axis=(1, 2))
        flat = light.reshape(len(light), -1)
        flat = (flat - flat.mean(axis=1, keepdims=True)) / (flat.std(axis=1, keepdims=True) + 1e-3)
        mirrored = flat.reshape(light.shape)[:, :, ::-1].reshape(len(light), -1)
        columns = [
            light.mean(axis=(1, 2)),
            light.std(axis=(1, 2)),
            chroma.mean(axis=(1, 2)),
            colours[..., 2].mean(axis=(1, 2)),
            colours[..., 1].mean(axis=(1, 2)),
            steps.mean(axis=(1, 2)),
            lower / np.maximum(steps.sum(axis=(1, 2)), 1e-6),
            (flat * mirrored).mean(axis=1),
        ]
        parts.append(np.stack(columns, axis=1))
    return pd.DataFrame(np.concatenate(parts), columns=list(MEASURES)).astype(float)


def differences(
    values: pd.DataFrame, truth: NDArray[np.bool_], genres: Sequence[str], *, rate: float = 0.01
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return by genre how far the mean of its films lies from that of the others, and which to believe.

    Both are (genres, measures): differences in standard deviations over all films, and booleans
    (two-sided z-test of the two means, false discovery rate held at `rate`).
    """
    table, chances = {}, {}
    spread = values.std()
    for genre, carry in zip(genres, truth.T, strict=True):
        one, other = values[carry], values[~carry]
        error = np.sqrt(one.var() / len(one) + other.var() / len(other))
        table[genre] = (one.mean() - other.mean()) / spread
        chances[genre] = 2 * norm.sf(np.abs(one.mean() - other.mean()) / error)
    found = np.stack(list(chances.values()))
    sure = false_discovery_control(found.ravel()).reshape(found.shape) <= rate
    apart = pd.DataFrame(table).T
    return apart, pd.DataFrame(sure, index=apart.index, columns=apart.columns)


def in_words(apart: pd.DataFrame, sure: pd.DataFrame, *, most: int = 3) -> pd.Series:
    """Return for each genre the words for its largest differences that are sure and not below `SMALL`.

    A dash where there is none: that is no proof that the genre looks as the others do.
    """
    told = {}
    for genre, row in apart.where(sure & (apart.abs() >= SMALL)).iterrows():
        found = row.abs().nlargest(most).dropna().index
        told[genre] = ", ".join(WORDS[str(name)][int(row[name] > 0)] for name in found) or "-"
    return pd.Series(told, name="its posters are")


def palette(
    posters: Posters,
    truth: NDArray[np.bool_],
    genres: Sequence[str],
    *,
    colours: int = 24,
    seed: int,
) -> pd.DataFrame:
    """Return how much of each genre's posters each colour covers: one row a genre and colour.

    The colours are the middles of clusters of all posters' pixels in CIE L*a*b* (k-means), each
    shown as the mean of its pixels (`red`, `green`, `blue`, 0-255). `share` is that of the genre's
    pixels, `lift` how many times that of the other films (both with half a per cent added, so that
    a colour that others hardly have counts no more than it can show).
    """
    small = np.asarray(posters)[:, 2::8, 2::8]
    pixels = lab(small).reshape(-1, 3)
    drawn = np.random.default_rng(seed).permutation(len(pixels))[:200_000]
    clusters = MiniBatchKMeans(colours, random_state=seed, n_init=3).fit(pixels[drawn])
    which = clusters.predict(pixels)
    plain = pd.DataFrame(small.reshape(-1, 3), columns=["red", "green", "blue"])
    plain = plain.groupby(which).mean().reindex(range(colours), fill_value=0.0)
    per_poster = which.reshape(len(posters), -1)
    shares = np.stack([(per_poster == colour).mean(axis=1) for colour in range(colours)], axis=1)
    rows = []
    for genre, carry in zip(genres, truth.T, strict=True):
        own, others = shares[carry].mean(axis=0), shares[~carry].mean(axis=0)
        told = plain.assign(genre=genre, share=own, lift=(own + RARE) / (others + RARE))
        rows.append(told.rename_axis("colour").reset_index())
    return pd.concat(rows, ignore_index=True)


def light_maps(
    posters: Posters, truth: NDArray[np.bool_], decades: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return where each genre's posters are lighter than the others', (genres, height, width) in L*.

    Each poster's own mean is taken off first, and then the mean map of its decade: what is left is
    how light is laid out on it, beside the posters of its time.
    """
    among = np.unique(decades)[:, None] == decades
    total = np.zeros((truth.shape[1], *posters.shape[1:3]))
    mean = np.zeros((len(among), *posters.shape[1:3]))
    for start in range(0, len(posters), 512):
        part = slice(start, start + 512)
        light = lab(np.asarray(posters[part]))[..., 0]
        light = light - light.mean(axis=(1, 2), keepdims=True)
        total += np.tensordot(truth[part].T.astype(float), light, 1)
        mean += np.tensordot(among[:, part].astype(float), light, 1)
    mean /= among.sum(axis=1)[:, None, None]
    beside = total - np.tensordot(truth.T.astype(float) @ among.T, mean, 1)
    carry = truth.sum(axis=0)[:, None, None]
    # Beside their decades, all films add up to nothing: what a genre has, the others lack.
    each = 1 / np.maximum(carry, 1) + 1 / np.maximum(len(posters) - carry, 1)
    return np.asarray(beside * each, dtype=np.float32)


def by_decade(
    values: pd.Series, years: pd.Series, carry: NDArray[np.bool_], *, fewest: int = FEWEST
) -> pd.DataFrame:
    """Return the mean of a measure by decade, with its 95 % interval, of a genre's films and of others.

    Columns: `decade`, `films` ("the genre's" or "other"), `mean`, `low`, `high`, `number`. Decades
    with fewer than `fewest` films of either kind are left out.
    """
    table = pd.DataFrame({"value": values.to_numpy(), "decade": (years // 10 * 10).to_numpy()})
    table["films"] = np.where(carry, "the genre's", "other")
    found = table.dropna().groupby(["decade", "films"])["value"].agg(["mean", "std", "size"])
    reach = 1.96 * found["std"] / np.sqrt(found["size"])
    found = found.assign(low=found["mean"] - reach, high=found["mean"] + reach)
    found = found.rename(columns={"size": "number"}).drop(columns="std").reset_index()
    enough = found.groupby("decade")["number"].transform("min") >= fewest
    both = found.groupby("decade")["films"].transform("size") == 2
    return found[enough & both].reset_index(drop=True)


def change(
    values: pd.Series,
    years: pd.Series,
    carry: NDArray[np.bool_],
    early: tuple[int, int],
    late: tuple[int, int],
) -> dict[str, float]:
    """Return how far a measure moved from `early` to `late` years, in the genre more than in other films.

    `genre` and `others` are the moves of the means, `more` their difference, with the 95 % interval
    `low` to `high` (independent films, normal approximation) and `films`, those of the genre.
    """
    moments = {}
    for name, chosen in {"genre": carry, "others": ~carry}.items():
        for time, (first, last) in {"early": early, "late": late}.items():
            rows = values[chosen & years.between(first, last).fillna(False).to_numpy(dtype=bool)]
            if len(rows) < FEWEST:
                return dict.fromkeys(("genre", "others", "more", "low", "high"), np.nan) | {
                    "films": float(len(rows))
                }
            moments[name, time] = (rows.mean(), rows.var() / len(rows), len(rows))
    moved = {
        name: moments[name, "late"][0] - moments[name, "early"][0] for name in ("genre", "others")
    }
    reach = 1.96 * float(np.sqrt(sum(one[1] for one in moments.values())))
    more = moved["genre"] - moved["others"]
    films = float(moments["genre", "early"][2] + moments["genre", "late"][2])
    return moved | {"more": more, "low": more - reach, "high": more + reach, "films": films}


def changes(
    values: pd.DataFrame,
    years: pd.Series,
    truth: NDArray[np.bool_],
    genres: Sequence[str],
    *,
    early: tuple[int, int],
    late: tuple[int, int],
) -> pd.DataFrame:
    """Return `change` of every genre and measure, and `sure`: 1 % false discoveries over the table."""
    rows = [
        {
            "genre_name": genre,
            "measure": measure,
            **change(values[measure], years, carry, early, late),
        }
        for genre, carry in zip(genres, truth.T, strict=True)
        for measure in values.columns
    ]
    table = pd.DataFrame(rows).dropna().reset_index(drop=True)
    error = (table["high"] - table["low"]) / (2 * 1.96)
    chances = 2 * norm.sf(np.abs(table["more"]) / np.maximum(error, 1e-12))
    table["sure"] = false_discovery_control(chances) <= 0.01 if len(table) else False
    return table


def alike(profiles: pd.DataFrame) -> pd.DataFrame:
    """Return how alike genres are (genres, genres): the correlation of their profiles (features, genres)."""
    return profiles.corr()


def neighbours(likeness: pd.DataFrame, *, count: int = 3) -> pd.Series:
    """Return each genre's most alike genres, in words, the nearest first."""
    named = {
        genre: ", ".join(row.drop(genre).nlargest(count).index)
        for genre, row in likeness.iterrows()
    }
    return pd.Series(named, name="nearest")
