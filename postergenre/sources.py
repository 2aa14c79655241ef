"""The doors through which films come in: the demo studio, TMDB, Parquet files, a CSV with pictures."""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from postergenre import corpus, imdb, paths, tmdb
from postergenre.demo import stand_in, studio
from postergenre.errors import SourceError

DEMO_TERMS = "Drawn by this project's demo studio; the films do not exist. CC BY 4.0."
OWN_TERMS = "Posters and data are their owners'; showing them is for you to clear."
STALE = timedelta(days=150)  # after which a refresh asks again; TMDB lets data be kept six months
LISTED = 86_400  # seconds for which what a refresh that was stopped has learned is as good as new
ANSWERS = "refresh.jsonl"  # which films a refresh has asked for, and whether they are gone


@dataclass
class Arrival:
    """Films on their way in, and what is to be told of where they come from."""

    triples: Iterable[corpus.Triple]
    told: dict[str, Any]
    total: int | None = None
    done: Collection[str] | None = None
    title_basics: Path | None = None


def collect(
    run: str,
    *,
    source: str,
    limit: int,
    first_year: int = 1950,
    last_year: int = 2025,
    minimum_votes: int = 0,
    languages: Sequence[str] = (),
    title_basics: str = "",
    show_posters: bool = False,
) -> pd.DataFrame:
    """Collect at most `limit` films into a run and return its catalogue; a stopped collection goes on.

    `source` is "demo", "tmdb", a folder of Parquet files, a Parquet file or a CSV file. IMDb's
    genres are joined where `title_basics` is given: its file, a folder that holds it, or "download".
    """
    if limit < 1:
        raise ValueError(f"`limit` is the number of films, at least 1; {limit} came.")
    query: dict[str, Any] = {"source": source, "limit": limit}
    asked: dict[str, Any] = {"first_year": first_year, "last_year": last_year}
    asked |= {"minimum_votes": minimum_votes, "languages": list(languages)}
    if source in ("demo", "tmdb"):
        tmdb.check(**asked)
        query |= {"years": [first_year, last_year], "minimum_votes": minimum_votes}
        query |= {"languages": list(languages)} if languages else {}
    films = _door(source)
    corpus.begin(run, query)
    with films(run, limit, asked) as arrival:
        bar = tqdm(arrival.triples, total=arrival.total, desc="films", unit=" films")
        corpus.collect(run, bar, done=arrival.done)
    told, basics = arrival.told, _title_basics(run, title_basics) or arrival.title_basics
    del arrival, bar
    beside = None
    if basics is not None:
        beside = beside_imdb(run, basics)
        told["terms"] = [*told["terms"], imdb.TERMS]
    told["may_show_posters"] = told.get("may_show_posters", False) or show_posters
    told["title_basics"] = title_basics
    return corpus.finish(run, {"source": source, "query": query, **told}, beside=beside)


def _title_basics(run: str, given: str) -> Path | None:
    if given == "download":
        with corpus.usable(run):
            return imdb.download(paths.run_directory(run) / "imdb")
    path = paths.project() / Path(given).expanduser() if given else None
    return path / imdb.BASICS if path and path.is_dir() else path


def beside_imdb(run: str, title_basics: Path) -> pd.DataFrame:
    """Return what IMDb's files say of a run's films, by film id: genres, type, votes, how each was found.

    Genres that the source itself has from IMDb stay where the files have no such title.
    """
    rows = corpus.journal(run, ("imdb_id", "title", "year", "imdb_genres")).set_index("film_id")
    found = imdb.join(rows.reset_index(), title_basics).set_index("film_id")
    own = rows["imdb_genres"].reindex(found.index)
    lists = [new or old or None for new, old in zip(found["imdb_genres"], own, strict=True)]
    return found.assign(imdb_genres=pd.Series(lists, index=found.index, dtype=object))


def refresh(run: str) -> dict[str, int]:
    """Ask TMDB again for what has changed, and take out what it no longer has; return the counts.

    Asked for are films that are new in its lists, that its lists tell differently now, that are no
    longer in them, or that were collected five months ago or before. A refresh that was stopped
    goes on where it was; films that were asked for in vain ("left") stay as they are for the next.
    """
    folder = paths.run_directory(run)
    known = corpus.provenance(run)
    query = known["query"]
    if query["source"] not in ("demo", "tmdb"):
        raise SourceError(
            f"{run} was not collected from TMDB but from {query['source']}; there is nothing to ask "
            "again. Collect it anew into another run directory."
        )
    asked = {
        "first_year": query["years"][0],
        "last_year": query["years"][1],
        "minimum_votes": query["minimum_votes"],
        "languages": query.get("languages", []),
    }
    before, now = folder / "discovery.jsonl", folder / "discovery.new.jsonl"
    client_of = {"demo": _demo_client, "tmdb": _tmdb_client}[query["source"]]
    for path in (now, folder / ANSWERS):
        if path.exists() and time.time() - path.stat().st_mtime > LISTED:
            path.unlink()  # of a refresh that was stopped long ago
    rows = corpus.journal(run, ("collected_at", "problem"))
    held = set(rows.loc[rows["problem"] != corpus.GONE, "tmdb_id"].dropna())
    with client_of(run, query["limit"]) as (client, _):
        with closing(corpus.Notes(before)) as old:
            listed = dict(film for page in old.values() for film in page["films"])
        found = _discover(client, asked, now).films
        wanted = dict.fromkeys(list(found)[: query["limit"]])
        since = (datetime.now(UTC) - STALE).isoformat(timespec="seconds")
        fresh = set(rows.loc[rows["collected_at"] > since, "tmdb_id"].dropna())
        same = {n for n in fresh if n in found and found[n] == listed.get(n)}
        with closing(corpus.Notes(folder / ANSWERS)) as answers:
            numbers = sorted((held | set(wanted)) - same - set(map(int, answers)))
            done = rows.loc[~rows["tmdb_id"].isin(numbers), "film_id"]
            bar = tqdm(client.films(numbers), total=len(numbers), desc="films", unit=" films")
            corpus.collect(run, _noted(bar, answers, held), done=done)
            left = sum(str(number) not in answers for number in numbers)
            gone = sum(answers.values())
            corpus.keep_only(run)
            if not left:
                now.replace(before)
                (folder / ANSWERS).unlink()
    collect(
        run,
        source=query["source"],
        limit=query["limit"],
        **asked,
        title_basics=known.get("title_basics", ""),
        show_posters=known["may_show_posters"],
    )
    return {"asked": len(numbers), "gone": gone, "left": left}


def _noted(
    films: Iterable[tmdb.Film], answers: corpus.Notes, held: Collection[int]
) -> Iterator[tmdb.Film]:
    """Yield the films that were answered, and note each when it is stored."""
    for film in films:
        if not tmdb.passing(film[2]):
            yield film
            number = film[0]["tmdb_id"]
            answers[str(number)] = film[2] == corpus.GONE and number in held


def _door(source: str) -> Any:
    if source in ("demo", "tmdb"):
        return _from_tmdb(_demo_client if source == "demo" else _tmdb_client)
    path = paths.project() / Path(source).expanduser()
    if path.suffix == ".csv" and path.is_file():
        return _from_csv(path)
    if path.is_dir() or (path.suffix == ".parquet" and path.is_file()):
        return _from_parquet(path)
    raise SourceError(
        f'Expected a source: "demo", "tmdb", or the path of a folder of Parquet files, a .parquet '
        f"or a .csv file. {source!r} is none of these (a relative path counts from the project)."
    )


@contextmanager
def _demo_client(run: str, limit: int) -> Iterator[tuple[tmdb.Client, dict[str, Any]]]:
    drawn = paths.run_directory(run) / "studio"
    with corpus.usable(run):
        studio.draw_all(drawn, films=limit)
    with stand_in.serve(drawn) as address:
        client = tmdb.Client(address=address, token="demo", requests_per_second=None)
        told = {"terms": [DEMO_TERMS], "may_show_posters": True, "asked_of": "local stand-in"}
        yield client, told


@contextmanager
def _tmdb_client(run: str, limit: int) -> Iterator[tuple[tmdb.Client, dict[str, Any]]]:
    keys = tmdb.credentials()
    print(f"{tmdb.ATTRIBUTION}\n{tmdb.TERMS}", flush=True)
    client = tmdb.Client(token=keys.get("token"), api_key=keys.get("api_key"))
    yield client, {"terms": [tmdb.ATTRIBUTION, tmdb.TERMS], "asked_of": "TMDB"}


def _discover(client: tmdb.Client, asked: dict[str, Any], notes: Path) -> tmdb.Found:
    with (
        tqdm(desc="discovered", unit=" films") as bar,
        corpus.usable("The run directory"),
        closing(corpus.Notes(notes)) as seen,
    ):

        def progress(films: int) -> None:
            bar.update(films - bar.n)

        return client.discover(**asked, seen=seen, progress=progress)


def _from_tmdb(client_of: Any) -> Any:
    @contextmanager
    def door(run: str, limit: int, asked: dict[str, Any]) -> Iterator[Arrival]:
        folder = paths.run_directory(run)
        with client_of(run, limit) as (client, told):
            found = _discover(client, asked, folder / "discovery.jsonl")
            if (folder / ANSWERS).exists():  # a refresh was stopped: a film may have two ids
                with closing(corpus.Notes(folder / ANSWERS)):
                    corpus.keep_only(run)
            rows = corpus.journal(run, ("poster", "sha256", "problem", "collected_at"))
            whole = corpus.whole(run, rows)
            settled = whole | (rows["poster"].isna() & ~rows["problem"].map(tmdb.passing))
            done = set(rows.loc[settled, "tmdb_id"].dropna())
            wanted = [number for number in list(found.films)[:limit] if number not in done]
            told |= {"discovered": len(found.films), "never_shown": found.unseen}
            names = rows.loc[whole, "film_id"].tolist()
            if told["asked_of"] == "TMDB":
                told["keep_until"] = _keep_until(rows)
                if told["keep_until"] < str(datetime.now(UTC).date()):
                    print(
                        f"Films of {run} are older than TMDB lets them be kept: refresh it first."
                    )
            del found, rows, whole, settled, done  # films are many, and now come the posters
            basics = folder / "studio" / imdb.BASICS
            yield Arrival(
                client.films(wanted),
                told,
                len(wanted),
                names,
                basics if basics.exists() else None,
            )

    return door


def _keep_until(rows: pd.DataFrame) -> str:
    """Return the day after which the oldest of these films may no longer be kept."""
    first = rows["collected_at"].min() if len(rows) else datetime.now(UTC).isoformat()
    return str((pd.Timestamp(first) + pd.DateOffset(months=tmdb.MONTHS)).date())


def _from_csv(path: Path) -> Any:
    @contextmanager
    def door(run: str, limit: int, asked: dict[str, Any]) -> Iterator[Arrival]:
        rows = corpus.journal(run, ("poster", "sha256"))
        done = rows.loc[corpus.whole(run, rows), "film_id"].tolist()
        films = corpus.from_csv(path, limit=limit, done=done)
        yield Arrival(films, {"terms": [OWN_TERMS], "asked_of": "local files"}, None, done)

    return door


def _from_parquet(path: Path) -> Any:
    @contextmanager
    def door(run: str, limit: int, asked: dict[str, Any]) -> Iterator[Arrival]:
        films = corpus.from_parquet(path, limit=limit)
        yield Arrival(films, {"terms": [OWN_TERMS], "asked_of": "local files"})

    return door
