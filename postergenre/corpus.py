"""From any source of films to one catalogue: poster files that were checked, and a table with one row a film."""

import fcntl
import hashlib
import io
import itertools
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import imagehash
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from postergenre import paths, pictures, web
from postergenre.errors import SourceError

# The system's allocator gives back what is freed, where Arrow's own would keep it.
pa.set_memory_pool(pa.system_memory_pool())

Triple = tuple[dict[str, Any], bytes | None, str | None]

GENRE_COLUMNS = ("tmdb_genres", "imdb_genres", "other_genres")
SCHEMA = pa.schema(
    [
        ("film_id", pa.string()),
        ("tmdb_id", pa.int64()),
        ("imdb_id", pa.string()),
        ("title", pa.string()),
        ("year", pa.int64()),
        ("language", pa.string()),
        *((column, pa.list_(pa.string())) for column in GENRE_COLUMNS),
        ("franchise", pa.string()),
        ("image_family", pa.string()),
        ("poster", pa.string()),
        ("problem", pa.string()),
        ("sha256", pa.string()),
        ("phash", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("collected_at", pa.string()),
        # What IMDb adds: told beside the films, but neither learned from nor in the fingerprint.
        ("imdb_match", pa.string()),
        ("imdb_matched_id", pa.string()),
        ("title_type", pa.string()),
        ("imdb_votes", pa.int64()),
    ]
)
ASIDE = ("imdb_match", "imdb_matched_id", "title_type", "imdb_votes")
JOURNAL = pa.schema([field for field in SCHEMA if field.name not in ASIDE])
PLACEHOLDER = 3  # names of films that the very same file stands for
PART = 2000  # films in memory at a time
GONE = "gone from TMDB"
TWICE = "its IMDb id is another film's"
HASHES = pd.StringDtype("pyarrow", na_value=np.nan)
LIBRARIES = ("postergenre", "requests", "pillow", "imagehash", "pyarrow", "duckdb")


def decode(data: bytes) -> Image.Image:
    """Decode a poster to RGB; raise `ValueError` with a short reason when it is none."""
    image = pictures.read(data)
    for fault in pictures.faults(image):
        raise ValueError(fault)
    return image


def poster_path(film_id: str) -> str:
    """Return where a film's poster stands inside a run: `posters/ab/<film_id>.jpg`."""
    if not film_id.replace("-", "").replace("_", "").isalnum():
        raise SourceError(
            f"A film id has letters, digits, '-' and '_' only; {film_id!r} came. Rename it."
        )
    return f"posters/{hashlib.sha256(film_id.encode()).hexdigest()[:2]}/{film_id}.jpg"


class Notes(dict[str, Any]):
    """A dictionary that is also a file, a line an entry, so that it outlives the process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(dict(entry for _, entry in _lines(path)))
        self._file = _append(path)
        self._lock = threading.Lock()

    def __setitem__(self, key: str, value: Any) -> None:
        with self._lock:
            super().__setitem__(key, value)
            _note(self._file, [key, value])

    def close(self) -> None:
        self._file.close()


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the whole lines of a journal, each with the place where it begins in the file.

    A process that was killed may have left half a line.
    """
    if path.exists():
        with path.open("rb") as file:
            end = 0
            for line in file:
                place, end = end, end + len(line)
                try:
                    if line.endswith(b"\n"):
                        yield place, json.loads(line)
                except ValueError:  # what a loss of power left: its film is fetched again
                    continue


def _append(path: Path) -> BinaryIO:
    """Open a journal for one process at a time, half a last line cut off."""
    file = path.open("ab+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SourceError(
            f"Another collection is at work in {path.parent.name}/{path.name}. Wait for it, or "
            "choose another run directory."
        ) from None
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 2**20))
    tail = file.read()
    if not tail.endswith(b"\n"):
        file.truncate(end - len(tail) + tail.rfind(b"\n") + 1)
    return file


def _note(file: BinaryIO, value: Any) -> None:
    """Write one line that is on the disk before anything else happens."""
    file.write((json.dumps(value, ensure_ascii=False, default=int) + "\n").encode())
    file.flush()
    os.fsync(file.fileno())


def journal(run: str | Path, columns: Sequence[str] = JOURNAL.names) -> pd.DataFrame:
    """Return what an earlier, perhaps interrupted, collection of this run has already stored.

    Of several lines on one film the last counts, also where it had no IMDb id in the one and has in
    the other; `place` is where it begins. Fewer columns take less memory.
    """
    named = [JOURNAL.field(name) for name in dict.fromkeys(("film_id", "tmdb_id", *columns))]
    schema = pa.schema([*named, ("place", pa.int64())])
    lines = _lines(paths.run_directory(run) / "collection.jsonl")
    parts = []
    while part := list(itertools.islice(lines, PART)):  # dictionaries are large, tables small
        told = [film | {"place": place} for place, film in part]
        parts.append(pa.Table.from_pylist(told, schema=schema))
    table = pa.concat_tables(parts or [schema.empty_table()])
    rows = pd.DataFrame({name: _column(table[name], name) for name in schema.names}, copy=False)
    rows = rows.drop_duplicates("film_id", keep="last")
    unnamed = rows["film_id"] == "tmdb-" + rows["tmdb_id"].astype("string")
    renamed = rows["tmdb_id"].isin(rows.loc[unnamed.fillna(False), "tmdb_id"])
    return rows[~(renamed & rows["tmdb_id"].duplicated(keep="last"))].reset_index(drop=True)


def _at(run: str | Path, places: Iterable[int]) -> Iterator[bytes]:
    """Yield the lines of the journal that begin at these places."""
    with (paths.run_directory(run) / "collection.jsonl").open("rb") as file:
        for place in places:
            file.seek(place)
            yield file.readline()


def whole(run: str | Path, rows: pd.DataFrame) -> pd.Series:
    """Tell for each row whether its poster file is on the disk, byte for byte as it came."""
    folder = paths.run_directory(run)

    def same(poster: Any, sha256: Any) -> bool:
        if not isinstance(poster, str):
            return False
        try:
            return hashlib.sha256((folder / poster).read_bytes()).hexdigest() == sha256
        except OSError:
            return False

    found = [same(*row) for row in zip(rows["poster"], rows["sha256"], strict=True)]
    return pd.Series(found, index=rows.index, dtype=bool)


def begin(run: str | Path, query: Mapping[str, Any]) -> None:
    """Bind a run directory to one query; refuse it when it already holds another corpus."""
    path = paths.run_directory(run) / "query.json"
    wanted = json.loads(json.dumps(dict(query)))
    if path.exists():
        found = paths.read_json(path)
        if found != wanted:
            differs = [k for k in {*found, *wanted} if found.get(k) != wanted.get(k)]
            told = ", ".join(f"{k}: {found.get(k)!r} -> {wanted.get(k)!r}" for k in sorted(differs))
            raise SourceError(
                f"{run} holds another corpus ({told}). One run directory belongs to one corpus: "
                "choose another with the parameter `run`, or delete this one."
            )
        return
    with usable(run):
        paths.write_json(path, wanted)


@contextmanager
def usable(run: str | Path) -> Iterator[None]:
    """Tell of a folder that cannot be written, or a full disk, as what it is."""
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"{run} cannot be written: {error.strerror}. What came so far is kept: make room, or "
            "choose another run directory, then call again."
        ) from None


def collect(
    run: str | Path, triples: Iterable[Triple], *, done: Iterable[str] | None = None
) -> None:
    """Check and store films as they come, one line of the journal each.

    `triples` yields `(record, image, problem)`: the film's data, its poster's bytes or None, and
    the source's own reason why there is none. A film whose poster is stored is left as it is; one
    that came without a usable poster is looked at again, for the source may have been mended.
    `done` names the films whose posters are known to be whole; without it, the files are read.
    """
    folder = paths.run_directory(run)
    with usable(run):
        folder.mkdir(parents=True, exist_ok=True)
        file = _append(folder / "collection.jsonl")
    with closing(file):
        for left in folder.glob("posters/*/.*"):  # half a file of a process that was killed
            left.unlink(missing_ok=True)
        rows = journal(run, ("poster", "sha256") if done is None else ())
        stored = rows.loc[whole(run, rows), "film_id"] if done is None else done
        numbers = dict(zip(rows["film_id"], rows["tmdb_id"], strict=True))
        again = numbers.keys() - set(stored)
        del rows, stored
        for film in triples:
            for record, image, problem in _settled(film, again, numbers):
                with usable(run):
                    kept = record | _store(folder, record["film_id"], image, problem)
                    _note(file, dict.fromkeys(JOURNAL.names) | kept)


def _settled(film: Triple, again: set[str], numbers: dict[str, Any]) -> Iterator[Triple]:
    """Yield what is to be stored of a film: nothing when it is there, and its own row otherwise.

    Where two films of TMDB claim one IMDb id, the one with the lower number has it, in whatever
    order they come.
    """
    name, number = film[0]["film_id"], film[0].get("tmdb_id")
    other = numbers.get(name)
    if number is not None and other is not None and not pd.isna(other) and number != other:
        first, second = sorted([number, int(other)])
        yield {"film_id": f"tmdb-{second}", "tmdb_id": second}, None, TWICE
        if first != number:
            return
    elif name in numbers and name not in again:
        return
    again.discard(name)
    numbers[name] = number
    yield film


def keep_only(run: str | Path) -> None:
    """Write the journal anew, each film's last line alone, and delete posters that are no film's.

    A film may have got another id since: of TMDB's numbers, too, the last line counts. Of films
    that are gone from their source, nothing but the number stays.
    """
    folder = paths.run_directory(run)
    rows = journal(run, ("poster",))
    rows = rows[rows["tmdb_id"].isna() | ~rows["tmdb_id"].duplicated(keep="last")]
    with usable(run):
        paths.write_bytes(folder / "collection.jsonl", _at(run, rows["place"]))
        wanted = set(rows["poster"].dropna())
        for path in folder.glob("posters/*/*.jpg"):
            if path.relative_to(folder).as_posix() not in wanted:
                path.unlink()


def _store(folder: Path, film_id: str, image: bytes | None, problem: str | None) -> dict[str, Any]:
    stamp = {"collected_at": datetime.now(UTC).isoformat(timespec="seconds")}
    if image is None:
        return stamp | {"problem": problem or "no poster"}
    try:
        picture = decode(image)
    except ValueError as reason:
        return stamp | {"problem": str(reason)}
    if not image.startswith(b"\xff\xd8"):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=95, subsampling=0)
        image = buffer.getvalue()
    path = poster_path(film_id)
    paths.write_bytes(folder / path, image)
    return stamp | {
        "poster": path,
        "sha256": hashlib.sha256(image).hexdigest(),
        "phash": str(imagehash.phash(picture)),
        "width": picture.width,
        "height": picture.height,
    }


def shared(rows: pd.DataFrame) -> tuple[set[str], int]:
    """Return the films whose very same file stands for films of other names, and how many others share.

    Two films may be one film entered twice, and the films of a collection may share a picture:
    those stay, and `films.groups` puts them together.
    """
    # Numbers are small; films without a poster get one each.
    codes = [int(c[:15], 16) if isinstance(c, str) else -n for n, c in enumerate(rows["sha256"])]
    rows = rows[pd.Series(codes).duplicated(keep=False) & rows["sha256"].notna()]
    titles = rows["title"].fillna("").str.casefold()
    unlike = titles.groupby(rows["sha256"]).transform("nunique") >= PLACEHOLDER
    unfit = unlike & rows["franchise"].isna()
    same = rows.loc[~unfit, "sha256"].duplicated(keep=False).sum()
    return set(rows.loc[unfit, "film_id"]), int(same)


def finish(
    run: str | Path, provenance: Mapping[str, Any], *, beside: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Write `catalogue.parquet` and `provenance.json`; return the catalogue, ordered by film id.

    `beside` holds what IMDb says of all films, by film id, in columns of the catalogue. Films go
    from the journal to the catalogue in parts, so that many take little more memory than few.
    """
    rows = journal(run, ("title", "franchise", "sha256")).sort_values("film_id", ignore_index=True)
    if rows["sha256"].isna().all():
        reasons = journal(run, ("problem",))["problem"].value_counts().to_dict() or "none in all"
        raise SourceError(
            f"No film with a usable poster came from {provenance.get('source')!r}; of the films that "
            f"it named: {reasons}. Look at the source, or widen the query."
        )
    unfit, same = shared(rows)
    places = rows["place"].tolist()
    del rows
    digest, sink = hashlib.sha256(), io.BytesIO()
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        for start in range(0, len(places), PART):
            films = [json.loads(line) for line in _at(run, places[start : start + PART])]
            if beside is not None:
                told = beside.loc[[film["film_id"] for film in films]].to_dict("records")
                films = [film | said for film, said in zip(films, told, strict=True)]
            for film in films:
                if film["film_id"] in unfit:
                    film |= {"poster": None, "problem": "placeholder artwork"}
                digest.update(_fixed(film))
            writer.write_table(pa.Table.from_pylist(films, schema=SCHEMA))
    folder = paths.run_directory(run)
    with usable(run):
        paths.write_bytes(folder / "catalogue.parquet", [sink.getbuffer()])
    del sink, places
    catalogue = load(run)
    counts = catalogue["problem"].value_counts().sort_index()
    with usable(run):
        paths.write_json(
            folder / "provenance.json",
            {
                **provenance,
                "found": len(catalogue),
                "kept": int(catalogue["poster"].notna().sum()),
                "dropped": counts.to_dict(),
                "with_another_films_file": same,
                "collected": [catalogue["collected_at"].min(), catalogue["collected_at"].max()],
                "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "versions": {name: version(name) for name in LIBRARIES},
                "fingerprint": digest.hexdigest()[:16],
            },
        )
    return catalogue


def _fixed(film: Mapping[str, Any]) -> bytes:
    """Return what the fingerprint holds of a film; times of collection do not count."""
    told = {name: film.get(name) for name in JOURNAL.names if name != "collected_at"}
    return json.dumps(told, sort_keys=True, ensure_ascii=False).encode()


def load(run: str | Path) -> pd.DataFrame:
    """Read the catalogue of a run; ids and years are nullable integers."""
    columns = dict.fromkeys(SCHEMA.names)  # a catalogue of an earlier version has fewer
    with pq.ParquetFile(paths.need(run, "catalogue.parquet")) as file:
        for name in file.schema_arrow.names:
            columns[name] = _column(file.read([name], use_threads=False)[0], name)
    return pd.DataFrame(columns, copy=False)


def _column(values: pa.ChunkedArray, name: str) -> pd.Series:
    """Return a column as pandas has it, many films in little memory.

    Films with the same genres share one list, and hashes stay in Arrow's form.
    """
    if name in GENRE_COLUMNS:
        lists: dict[str, Any] = {}
        told = (value.as_py() for value in values)
        return pd.Series([lists.setdefault(repr(words), words) for words in told], dtype=object)
    kinds = {pa.int64(): pd.Int64Dtype()}
    kinds |= {pa.string(): HASHES} if name in ("sha256", "phash") else {}
    return values.to_pandas(types_mapper=kinds.get)


def provenance(run: str | Path) -> dict[str, Any]:
    """Read where the films of a run come from, and whether their posters may be shown."""
    found: dict[str, Any] = paths.read_json(paths.need(run, "provenance.json"))
    return found


def mapping(source: Path) -> dict[str, str]:
    """Read `columns.yml` beside a source: under which name there each of our columns stands."""
    path = (source if source.is_dir() else source.parent) / "columns.yml"
    if not path.exists():
        return {}
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SourceError(f"{path} is not YAML: {error}") from None
    known = {*SCHEMA.names[:11], "genres", "poster", "image"}
    if not isinstance(told, dict) or not set(told) <= known:
        raise SourceError(
            f"{path} holds lines like `title: name of the column`, for the columns "
            f"{', '.join(sorted(known))}; {told!r} came."
        )
    return {str(ours): str(theirs) for ours, theirs in told.items()}


def _renamed(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {**row, **{ours: row.get(theirs) for ours, theirs in names.items()}}


def funnel(told: Mapping[str, Any]) -> pd.Series:
    """Return the films of each step from discovered to kept, from what `provenance` tells."""
    steps = {}
    if "discovered" in told:
        steps["shown in TMDB's lists"] = told["discovered"]
        steps["counted there, but never shown"] = told["never_shown"]
        steps["beyond the limit"] = max(0, told["discovered"] - told["query"]["limit"])
    steps["asked for"] = told["found"]
    steps |= told["dropped"]
    steps["with a usable poster"] = told["kept"]
    return pd.Series(steps, name="films")


def from_parquet(source: Path, *, limit: int | None = None) -> Iterator[Triple]:
    """Yield films from Parquet files with an `image` column of `{bytes, path}`, or of bytes.

    Needed beside it: `film_id`, `title`, and `genres` or `imdb_genres` or `tmdb_genres` (lists, or
    words separated by `|` or commas). Used when there: `year`, `imdb_id`, `tmdb_id`, `language`,
    `franchise`, `image_family`. Columns of other names are told by `columns.yml` (`mapping`).
    """
    files = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
    if not files:
        raise SourceError(
            f"Expected Parquet files in {source}, found none. Name their folder, one such "
            "file, or a CSV beside its pictures."
        )
    names = mapping(source)
    ids: list[Any] = []
    for path in files:
        try:
            file = pq.ParquetFile(path)
            _need_columns(path, file.schema_arrow.names, ("film_id", "title", "image"), names)
            ids += pq.read_table(path, columns=[names.get("film_id", "film_id")])[0].to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is not a readable Parquet file: {error}") from None
    _need_own_rows(source, ids)
    rows = (
        _renamed(row, names)
        for path in files
        for batch in pq.ParquetFile(path).iter_batches(batch_size=256)
        for row in batch.to_pylist()
    )
    for row in itertools.islice(rows, limit):
        image = row.pop("image")
        data = image.get("bytes") if isinstance(image, dict) else image
        yield _record(row), data, None


def from_csv(
    source: Path,
    *,
    limit: int | None = None,
    done: Collection[str] = (),
    fetcher: web.Fetcher | None = None,
) -> Iterator[Triple]:
    """Yield films from a CSV file whose `poster` column names pictures beside it, or their addresses.

    Needed: `film_id`, `title`, `poster`, and `genres` (or one of the sources' columns), the genres
    of a film separated by `|`. Paths count from the CSV's folder and may not leave it; addresses
    begin with http. Films that are `done` are not fetched again.
    """
    names = mapping(source)
    try:
        table = pd.read_csv(source, dtype=str, keep_default_na=False, nrows=limit)
    except (OSError, ValueError) as error:
        raise SourceError(f"{source} is not a readable CSV file in UTF-8: {error}") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too much for row names
        raise SourceError(
            f"Rows of {source} have more fields than its first line has names. Put a title that "
            "holds a comma in quotes, and end no row with one."
        )
    _need_columns(source, table.columns, ("film_id", "title", "poster"), names)
    rows = [_renamed(row, names) for row in table.to_dict("records")]
    _need_own_rows(source, [row["film_id"] for row in rows])
    home = source.resolve().parent
    distant = [row for row in rows if _address(row)]
    pictures = {row["film_id"]: _beside(home, row["poster"]) for row in rows if not _address(row)}
    if not distant and not any(isinstance(found, Path) for found in pictures.values()):
        raise SourceError(
            f"{source} names {len(pictures)} pictures, and none of them is a file under {home} "
            f"({', '.join(sorted({str(problem) for problem in pictures.values()}))}). "
            "The column `poster` holds paths that count from the CSV's own folder and stay in it, "
            "or addresses."
        )
    for row in rows:
        if (found := pictures.get(row["film_id"])) is not None:
            data = found.read_bytes() if isinstance(found, Path) else None
            yield _record(row), data, None if data is not None else str(found)
    wanted = [row for row in distant if row["film_id"] not in done]
    fetcher = fetcher or web.Fetcher(requests_per_second=10, workers=4)
    yield from web.as_they_come(lambda row: _fetched(row, fetcher), wanted, workers=4)


def _address(row: Mapping[str, Any]) -> bool:
    return row["poster"].startswith(("http://", "https://"))


def _fetched(row: Mapping[str, Any], fetcher: web.Fetcher) -> Triple:
    try:
        answer = fetcher.get(row["poster"])
    except web.Unreachable:
        return _record(row), None, "poster out of reach"
    if other := web.instead(answer):
        return _record(row), None, f"poster answers {other}"
    return _record(row), answer.content, None


def _beside(home: Path, name: str) -> Path | str:
    """Return a picture of the CSV's own folder, or the reason why there is none."""
    if not name:
        return "no poster"
    picture = (home / name).resolve()
    if not picture.is_relative_to(home):
        return "outside the CSV's folder"
    return picture if picture.is_file() else "no such file"


def _need_own_rows(source: Path, ids: Collection[Any]) -> None:
    """Raise when a film has no id, or one stands twice: the second would be lost without a word."""
    lacking = sum(name is None or name == "" for name in ids)
    if lacking or not ids:
        raise SourceError(
            f"{source} has {len(ids)} rows, {lacking} of them without a film_id. One row is one film: "
            "give each an id of its own."
        )
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise SourceError(
            f"{source} has {len(twice)} values of film_id in several rows, such as {twice[0]!r}. "
            "One row is one film: give each an id of its own."
        )


def _need_columns(
    path: Path, found: Iterable[str], wanted: Iterable[str], names: Mapping[str, str]
) -> None:
    found = list(found)
    have = {*found, *names} - {ours for ours, theirs in names.items() if theirs not in found}
    lacking = [names.get(name, name) for name in wanted if name not in have]
    if lacking or not {"genres", *GENRE_COLUMNS} & have:
        lacking = lacking or ["genres (or imdb_genres, tmdb_genres)"]
        raise SourceError(
            f"{path} lacks the columns {', '.join(lacking)}; it has {', '.join(found)}. "
            "Rename its columns, tell their names in a file columns.yml beside it (with lines "
            "like `title: name of the column`), or choose another source."
        )


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    def refused(column: str, expected: str) -> SourceError:
        film = row.get("film_id") or row.get("id") or row.get("title")
        return SourceError(
            f"Film {str(film)[:60]}: {column} is {str(row.get(column))[:60]!r}, and {expected} was "
            "expected. Mend the source and collect again; what came before is kept."
        )

    def whole(column: str, most: int) -> int | None:
        try:
            number = int(float(row.get(column)))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None
        except OverflowError:
            number = most + 1
        if abs(number) > most:
            raise refused(column, f"a number up to {most}")
        return number

    def words(column: str) -> list[str] | None:
        value = row.get(column)
        if isinstance(value, str):
            value = [word.strip() for word in re.split(r"[|,]", value)]
        if value is None or (isinstance(value, float) and value != value):
            return None
        if not isinstance(value, Iterable) or not all(isinstance(word, str) for word in value):
            raise refused(column, "a list of words such as Drama|Horror")
        return [word for word in value if word] or None

    def text(column: str) -> str | None:
        value = row.get(column)
        if isinstance(value, (list, tuple, dict, np.ndarray)):
            raise refused(column, "one value")
        return str(value) if value or value == 0 else None

    record: dict[str, Any] = {
        name: None if name in GENRE_COLUMNS else text(name) for name in SCHEMA.names[:11]
    }
    if (record["imdb_id"] or "").isdigit():  # as many public sets tell it
        record["imdb_id"] = f"tt{record['imdb_id']:0>7}"
    record |= {"year": whole("year", 9999), "tmdb_id": whole("tmdb_id", 2**53)}
    record |= {name: words(name) for name in GENRE_COLUMNS}
    if not (record["imdb_genres"] or record["tmdb_genres"]):
        record["other_genres"] = words("genres")
    return record
