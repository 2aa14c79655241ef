"""The doors through which films come in: the demo studio, TMDB, Parquet files, a CSV with pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from postergenre import corpus, imdb, paths, tmdb
from postergenre.demo import stand_in, studio
from postergenre.errors import SourceError

DEMO_TERMS = "Drawn by this project's demo studio; the films do not exist. CC BY 4.0."
OWN_TERMS = "Posters and data are their owners'; showing them is for you to clear."


def collect(
    run: str,
    *,
    source: str,
    limit: int,
    first_year: int = 1950,
    last_year: int = 2025,
    minimum_votes: int = 0,
    title_basics: str = "",
    show_posters: bool = False,
) -> pd.DataFrame:
    """Collect at most `limit` films into a run and return its catalogue; a stopped collection goes on.

    `source` is "demo", "tmdb", a folder of Parquet files, a Parquet file or a CSV file. IMDb's
    genres are joined from the file `title_basics` where one is given.
    """
    if limit < 1:
        raise ValueError(f"`limit` is the number of films, at least 1; {limit} came.")
    query: dict[str, Any] = {"source": source, "limit": limit}
    if source in ("demo", "tmdb"):
        query |= {"years": [first_year, last_year], "minimum_votes": minimum_votes}
    films = _door(source)
    corpus.begin(run, query)
    asked = {"first_year": first_year, "last_year": last_year, "minimum_votes": minimum_votes}
    with films(run, limit, asked) as (triples, basics, told):
        rows = corpus.collect(run, tqdm(triples, total=limit, desc="films"))
    basics = Path(title_basics).expanduser() if title_basics else basics
    if basics is not None:
        rows = with_imdb_genres(rows, paths.project() / basics)
        told["terms"] = [*told["terms"], imdb.TERMS]
    told["may_show_posters"] = told.get("may_show_posters", False) or show_posters
    return corpus.finish(run, rows, {"source": source, "query": query, **told})


def with_imdb_genres(rows: pd.DataFrame, title_basics: Path) -> pd.DataFrame:
    """Return the rows with the genres that IMDb's file gives to their IMDb ids."""
    known = imdb.genres(title_basics, rows["imdb_id"].dropna().unique().tolist())
    words = dict(zip(known["imdb_id"], known["imdb_genres"], strict=True))
    found = [words.get(name) for name in rows["imdb_id"]]
    lists = [list(row) if row is not None and len(row) else None for row in found]
    return rows.assign(imdb_genres=pd.Series(lists, index=rows.index, dtype=object))


def _door(source: str) -> Any:
    if source == "demo":
        return _demo
    if source == "tmdb":
        return _tmdb
    path = paths.project() / Path(source).expanduser()
    if path.suffix == ".csv" and path.is_file():
        return _files(corpus.from_csv, path)
    if path.is_dir() or (path.suffix == ".parquet" and path.is_file()):
        return _files(corpus.from_parquet, path)
    raise SourceError(
        f'Expected a source: "demo", "tmdb", or the path of a folder of Parquet files, a .parquet '
        f"or a .csv file. {source!r} is none of these (a relative path counts from the project)."
    )


@contextmanager
def _demo(run: str, limit: int, asked: dict[str, int]) -> Iterator[Any]:
    drawn = paths.run_directory(run) / "studio"
    studio.draw_all(drawn, films=limit)
    with stand_in.serve(drawn) as address:
        client = tmdb.Client(address=address, token="demo", requests_per_second=None)
        told = {"terms": [DEMO_TERMS], "may_show_posters": True, "asked_of": "local stand-in"}
        yield _from_tmdb(client, run, limit, asked), drawn / "title.basics.tsv.gz", told


@contextmanager
def _tmdb(run: str, limit: int, asked: dict[str, int]) -> Iterator[Any]:
    keys = tmdb.credentials()
    client = tmdb.Client(token=keys.get("token"), api_key=keys.get("api_key"))
    told = {"terms": [tmdb.ATTRIBUTION, tmdb.TERMS], "asked_of": "TMDB"}
    yield _from_tmdb(client, run, limit, asked), None, told


def _from_tmdb(
    client: tmdb.Client, run: str, limit: int, asked: dict[str, int]
) -> Iterator[corpus.Triple]:
    done = frozenset(int(number) for number in corpus.journal(run)["tmdb_id"].dropna())
    return client.films(**asked, limit=limit - len(done), poster_size="w185", skip=done)


def _files(read: Any, path: Path) -> Any:
    @contextmanager
    def door(run: str, limit: int, asked: dict[str, int]) -> Iterator[Any]:
        yield read(path, limit=limit), None, {"terms": [OWN_TERMS], "asked_of": "local files"}

    return door
