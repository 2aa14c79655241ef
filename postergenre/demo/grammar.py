"""The visual grammar of the drawn posters: what each genre's cues look like, and how often they are drawn."""

from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

GENRES = (
    "Action",
    "Animation",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Horror",
    "Romance",
    "Sci-Fi",
    "Western",
)
SLOTS = ("palette", "ground", "motif", "layout", "lettering")

# The probability that a slot shows the cue of one of the film's own genres. Otherwise it is, half
# the time, a neutral variant, and half the time the cue of a genre that the film does not have.
CUE = {"palette": 0.35, "ground": 0.30, "motif": 0.85, "layout": 0.40, "lettering": 0.50}
NEUTRAL = 0.5

SIZES = {1: 0.45, 2: 0.38, 3: 0.17}  # how many genres a film has
_WEIGHT = dict(zip(GENRES, (1.4, 1.1, 2.2, 1.0, 1.4, 3.0, 1.1, 1.3, 1.0, 0.9), strict=True))
# How much more (or less) of a genre there is in the 2020s than in the 1950s, as a power of two.
_TREND = {"Western": -2.0, "Sci-Fi": 1.0, "Documentary": 1.5, "Horror": 0.7, "Romance": -0.5}
_FRIENDS = {
    frozenset(pair)
    for pair in (
        ("Action", "Crime"),
        ("Action", "Sci-Fi"),
        ("Action", "Western"),
        ("Animation", "Comedy"),
        ("Comedy", "Romance"),
        ("Crime", "Drama"),
        ("Drama", "Romance"),
        ("Drama", "Western"),
        ("Horror", "Sci-Fi"),
    )
}

SETS = [frozenset(s) for size in SIZES for s in combinations(GENRES, size)]


@cache
def prior(decade: int) -> NDArray[np.float64]:
    """Return the probability of each genre set of `SETS` for a film of this decade (1950 to 2020)."""
    late = (decade - 1950) / 70
    weight = {g: w * 2 ** (_TREND.get(g, 0.0) * (late - 0.5)) for g, w in _WEIGHT.items()}
    chances = np.empty(len(SETS))
    for position, genres in enumerate(SETS):
        pairs = [frozenset(pair) for pair in combinations(genres, 2)]
        company = [1.6 if p in _FRIENDS else 0.1 if "Documentary" in p else 0.5 for p in pairs]
        chances[position] = np.prod([weight[g] for g in genres]) * np.prod(company)
    sizes = np.array([len(genres) for genres in SETS])
    for size, share in SIZES.items():
        chances[sizes == size] *= share / chances[sizes == size].sum()
    return chances


def draw_cues(genres: frozenset[str], rng: np.random.Generator) -> dict[str, str | None]:
    """Draw, slot by slot, whose cue a film's poster shows; None is the neutral variant."""
    others = [genre for genre in GENRES if genre not in genres]
    cues: dict[str, str | None] = {}
    for slot in SLOTS:
        if rng.random() < CUE[slot]:
            cues[slot] = str(rng.choice(sorted(genres)))
        else:
            cues[slot] = None if rng.random() < NEUTRAL else str(rng.choice(others))
    return cues


def likelihood(slot: str, cue: str | None) -> NDArray[np.float64]:
    """Return the probability of a slot's cue under each genre set of `SETS`."""
    shown = CUE[slot]
    return np.array(
        [
            (1 - shown) * NEUTRAL
            if cue is None
            else shown / len(genres)
            if cue in genres
            else (1 - shown) * (1 - NEUTRAL) / (len(GENRES) - len(genres))
            for genres in SETS
        ]
    )


def posterior(films: pd.DataFrame) -> NDArray[np.float64]:
    """Return the chance of each of `GENRES` (films, 10) for a reader who sees all cues and the decade.

    Exact, by Bayes' rule over all genre sets: no reader of these posters can score better on
    average. `films` has the columns `decade` and `cue_palette` to `cue_lettering`.
    """
    member = np.array([[genre in genres for genre in GENRES] for genres in SETS], dtype=float)
    priors = {decade: prior(decade) for decade in range(1950, 2030, 10)}
    tables = {(slot, cue): likelihood(slot, cue) for slot in SLOTS for cue in (*GENRES, None)}
    chances = np.empty((len(films), len(GENRES)))
    for row, film in enumerate(films.to_dict("records")):
        joint = priors[int(film["decade"])].copy()
        for slot in SLOTS:
            joint *= tables[slot, film[f"cue_{slot}"]]
        chances[row] = joint @ member / joint.sum()
    return chances


def probabilities() -> pd.DataFrame:
    """Return the stated probabilities: for each slot, an own genre's cue, a neutral one, a false one."""
    own = pd.Series(CUE)
    table = {"own genre": own, "neutral": (1 - own) * NEUTRAL, "another genre": (1 - own) / 2}
    return pd.DataFrame(table)
