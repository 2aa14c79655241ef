"""The study's population: which films, under which genres, in which groups, on which side of the split."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import MultiLabelBinarizer

from postergenre import corpus, genres, paths
from postergenre.errors import ParameterError, StudyError

SPLITS = ("train", "validation", "test")
FOLDS = 25  # a split's share is rounded to a 25th
NEAR = 4  # bits of 64 in which the perceptual hashes of one artwork may differ

_SEQUEL = re.compile(
    r"(\s*[:\-\u2013\u2014(,].*|\s+(part|vol\.?|volume|chapter|episode|season)\b.*"
    r"|\s+(\d{1,2}|[ivx]+|ii+|two|three|four))+$"
)
_AND_THE = re.compile(r"^(\S+ \S.*?)\s+and the\s.+")  # two words or more before it
_ARTICLE = re.compile(r"^(the|a|an|le|la|les|el|der|die|das|il)\s+|,\s*(the|a|an)$")


def study_genres(catalogue: pd.DataFrame) -> pd.Series:
    """Return each film's genres in the common vocabulary: IMDb's where known, else TMDB's, else others'."""
    columns = [catalogue[name] for name in ("imdb_genres", "tmdb_genres", "other_genres")]
    lists = [
        next((words for found in row if found and (words := genres.common(found))), [])
        for row in zip(*columns, strict=True)
    ]
    return pd.Series(lists, index=catalogue.index, name="genres")


def vocabulary(lists: pd.Series, *, minimum_films: int) -> list[str]:
    """Return the genres that at least `minimum_films` films carry, in alphabetical order."""
    counts = lists.explode().value_counts()
    return sorted(counts.index[counts >= minimum_films])


def population(
    catalogue: pd.DataFrame, *, minimum_films: int, majors: Sequence[str] = genres.MAJORS
) -> tuple[pd.DataFrame, pd.Series]:
    """Choose the films of the study; return them, and the number of films left after each step.

    A film has a usable poster and at least one genre that `minimum_films` films carry. Added
    columns: `genres`, `major` (its one major genre, or None where it has none, several, or where
    the two sources disagree about it).
    """
    strange = [name for name in majors if genres.common([name]) != [name]]
    if strange:
        raise ParameterError(
            f"Expected genres of the common vocabulary as `majors`, such as "
            f"{', '.join(genres.MAJORS[:3])}; {', '.join(map(repr, strange))} came."
        )
    kept = catalogue.drop(columns=list(corpus.ASIDE), errors="ignore")
    kept = kept.assign(genres=study_genres(catalogue))
    funnel = {"found": len(kept)}
    kept = kept[kept["poster"].notna()]
    funnel["with a usable poster"] = len(kept)
    kept = kept[kept["genres"].str.len() > 0]
    funnel["with a genre"] = len(kept)
    words = set(vocabulary(kept["genres"], minimum_films=minimum_films))
    if not words:
        raise StudyError(
            f"No genre is on {minimum_films} films or more. Of {len(kept)} films with poster and genre, "
            f"the most frequent are {_counts(kept['genres'].explode().value_counts().head(3))}. "
            f"Lower `minimum_films`, or collect more.{_strangers(catalogue)}"
        )
    kept = kept.assign(genres=[[g for g in row if g in words] for row in kept["genres"]])
    kept = kept[kept["genres"].str.len() > 0].reset_index(drop=True)
    funnel["with a genre of the vocabulary"] = len(kept)
    kept["major"] = one_major(kept, majors)
    funnel["with one major genre"] = int(kept["major"].notna().sum())
    return kept, pd.Series(funnel, name="films")


def _strangers(catalogue: pd.DataFrame) -> str:
    """Say which genre words of a catalogue are not in the vocabulary of TMDB and IMDb, if any."""
    said = pd.concat([catalogue[name].explode() for name in corpus.GENRE_COLUMNS]).dropna()
    strange = [word for word in said.value_counts().index if not genres.known(word)]
    if not strange:
        return ""
    return (
        f" Not understood: {', '.join(strange[:8])}. Words are those of TMDB or IMDb, such as "
        f"{', '.join(genres.MAJORS[:3])}, with | between two."
    )


def _counts(films: pd.Series) -> str:
    return ", ".join(f"{genre} {count}" for genre, count in films.items()) or "none"


def one_major(films: pd.DataFrame, majors: Sequence[str]) -> list[str | None]:
    """Return each film's one major genre, or None: it has none, several, or the sources disagree."""
    return [_major(row, majors) for row in films.to_dict("records")]


def _major(film: dict[Any, Any], majors: Sequence[str]) -> str | None:
    found = genres.major(film["genres"], majors)
    told = [film[name] for name in ("tmdb_genres", "imdb_genres")]
    said = [words for words in told if words is not None and len(words)]
    agreed = all(genres.major(genres.common(words), majors) == found for words in said)
    return found if agreed else None


def title_stem(title: str) -> str:
    """Reduce a title to what the films of a series share.

    "The Ring Two" and "Ring" meet in "ring", "Saw" and "Saw II" in "saw", and the films of
    "Harry Potter and the ..." in "harry potter".
    """
    plain = _ARTICLE.sub("", title.casefold().strip())
    stem = _SEQUEL.sub("", plain).strip()
    named = _AND_THE.match(stem)
    stem = named[1] if named else stem
    return stem if len(stem) > 1 else plain


def series(titles: Sequence[str]) -> list[str]:
    """Return the name of each title's series: its stem, or the shortest stem of another that begins it.

    Only stems of two words or more begin others: "dark knight" takes in "dark knight rises", while
    "love" does not take in "love actually".
    """
    stems = [title_stem(title) for title in titles]
    known = {stem for stem in stems if " " in stem}
    found = []
    for stem in stems:
        words = stem.split()
        begins = (" ".join(words[:count]) for count in range(2, len(words)))
        found.append(next((begin for begin in begins if begin in known), stem))
    return found


def near_duplicates(hashes: Sequence[str], *, bits: int = NEAR) -> NDArray[np.int64]:
    """Return pairs (n, 2) of positions whose 64-bit perceptual hashes differ in at most `bits` bits."""
    codes = np.array([int(code, 16) for code in hashes], dtype=np.uint64)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(codes), 512):
        block = codes[start : start + 512, None] ^ codes[None, start:]
        rows, columns = np.nonzero(np.bitwise_count(block) <= bits)
        later = columns > rows
        found.append(np.stack([rows[later], columns[later]], axis=1) + start)
    return np.concatenate(found)


def groups(films: pd.DataFrame) -> pd.Series:
    """Return a group number per film: one for all films that share artwork, a franchise or a series."""
    films = films.reset_index(drop=True)
    links = [near_duplicates(films["phash"].tolist())]
    named_series = pd.Series(series(films["title"].fillna("").tolist()), dtype=str)
    for column in (films["franchise"], named_series, films["sha256"]):
        named = column[column.notna() & (column != "")]
        firsts = named.groupby(named).transform(lambda same: same.index[0])
        links.append(np.stack([firsts.to_numpy(dtype=np.int64), named.index.to_numpy()], axis=1))
    pairs = np.concatenate(links)
    size = len(films)
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), (size, size))
    return pd.Series(connected_components(graph, directed=False)[1], name="group")


def split(films: pd.DataFrame, *, validation: float, test: float, seed: int) -> pd.Series:
    """Return "train", "validation" or "test" for each film; a group stands on one side only.

    Stratified over each film's rarest genre (scikit-learn's `StratifiedGroupKFold`); shares are
    fractions of the films.
    """
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 0.9):
        raise ValueError(
            "The shares of validation and test films are above 0 and together below 0.9; "
            f"{validation} and {test} came."
        )
    counts = films["genres"].explode().value_counts()
    rarest = [min(row, key=lambda genre: (counts[genre], genre)) for row in films["genres"]]
    largest = films["group"].groupby(pd.Series(rarest, index=films.index)).nunique().max()
    if largest < FOLDS:
        raise StudyError(
            f"Too few films for a split without leaks: {len(films)} films in "
            f"{films['group'].nunique()} groups came, {FOLDS} groups of one genre are needed at "
            "least. Collect more."
        )
    folds = StratifiedGroupKFold(n_splits=FOLDS, shuffle=True, random_state=seed)
    sides = np.full(len(films), "train", dtype=object)
    of_test = round(test * FOLDS)
    of_validation = round(validation * FOLDS)
    for fold, (_, held) in enumerate(folds.split(films, rarest, films["group"])):
        if fold < of_test:
            sides[held] = "test"
        elif fold < of_test + of_validation:
            sides[held] = "validation"
    return pd.Series(sides, index=films.index, name="split")


def balanced(films: pd.DataFrame, majors: Sequence[str], *, seed: int) -> pd.Series:
    """Mark the test films of the major-genre reading: equally many of each genre, so that chance is 1/K."""
    asked = films[(films["split"] == "test") & films["major"].isin(list(majors))]
    fewest = asked["major"].value_counts().reindex(list(majors), fill_value=0).min()
    if len(majors) < 2 or fewest == 0:
        found = asked["major"].value_counts().reindex(list(majors), fill_value=0)
        raise StudyError(
            "The question of major genres needs two or more of them, with test films of their own; "
            f"{_counts(found)} came. Name other `majors`, raise `test`, or collect more."
        )
    chosen = asked.groupby("major").sample(n=int(fewest), random_state=seed).index
    return pd.Series(films.index.isin(chosen), index=films.index, name="balanced")


def check(films: pd.DataFrame) -> None:
    """Raise when a film is missing from the splits, a group stands on two sides, or a genre on too few."""
    if not films["film_id"].is_unique:
        raise ValueError("A film stands in the table twice.")
    if not films["split"].isin(SPLITS).all():
        raise ValueError(f"Every film is in one of {SPLITS}; others came.")
    sides = films.groupby("group")["split"].nunique()
    if (sides > 1).any():
        raise ValueError(f"{int((sides > 1).sum())} groups stand on both sides of the split.")
    carried = films.explode("genres").groupby("genres")["split"].nunique()
    if (carried < len(SPLITS)).any():
        raise StudyError(
            f"Every genre needs films in training, validation and test; too few carry "
            f"{', '.join(carried.index[carried < len(SPLITS)])}. Raise `minimum_films`, or collect more."
        )


def truth(lists: Collection[Collection[str]], vocabulary: Sequence[str]) -> NDArray[np.bool_]:
    """Return (films, genres) booleans in the order of the vocabulary."""
    binarizer = MultiLabelBinarizer(classes=list(vocabulary))
    return np.asarray(binarizer.fit_transform(lists), dtype=bool)


class Part:
    """The films of one part of the split: where they stand, and their truth; `among` leaves some out.

    What learns takes training films, what chooses takes validation films, and both take them as a
    `Part`, whose films the population's own `split` names: test films can be handed to neither.
    """

    def __init__(
        self,
        films: pd.DataFrame,
        truth: NDArray[np.bool_],
        side: str,
        *,
        among: NDArray[np.bool_] | None = None,
    ) -> None:
        at = (films["split"] == side).to_numpy()
        self.side = side
        self.rows = np.flatnonzero(at if among is None else at & among)
        self.truth = truth[self.rows]


def of(side: str, part: Part) -> Part:
    """Return the part, or refuse it when its films are not of this side of the split."""
    came = f"films of the {part.side} part" if isinstance(part, Part) else type(part).__name__
    if not isinstance(part, Part) or part.side != side:
        raise ValueError(
            f"Expected films of the {side} part, {came} came. Networks learn from training films, "
            "validation films make every choice, and test films are for the final measure alone: "
            f'pass films.Part(population, truth, "{side}").'
        )
    return part


def load(run: str | Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Read the population of a run, its vocabulary and its major genres."""
    table = pd.read_parquet(paths.need(run, "films.parquet"))
    table["genres"] = [list(row) for row in table["genres"]]
    words = paths.read_json(paths.need(run, "population.json"))
    return table, words["vocabulary"], words["majors"]
