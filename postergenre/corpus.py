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
from collections.abc import Collection, Iterable, Iterator, Mapping
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
GONE = "gone from TMDB"
TWICE = "its IMDb id is another film's"
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
        super().__init__(dict(_lines(path)))
        self._file = _append(path)
        self._lock = threading.Lock()

    def __setitem__(self, key: str, value: Any) -> None:
        with self._lock:
            super().__setitem__(key, value)
            _note(self._file, [key, value])

    def close(self) -> None:
        self._file.close()


def _lines(path: Path) -> Iterator[Any]:
    """Yield the whole lines of a journal; a process that was killed may have left half a line."""
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                try:
                    if line.endswith(b"\n"):
                        yield json.loads(line)
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


def journal(run: str | Path) -> pd.DataFrame:
    """Return what an earlier, perhaps interrupted, collection of this run has already stored.

    Of several lines on one film the last counts, also where it had no IMDb id in the one and has in
    the other.
    """
    lines = _lines(paths.run_directory(run) / "collection.jsonl")
    parts = []
    while part := list(itertools.islice(lines, 2000)):  # dictionaries are large, tables small
        parts.append(pa.Table.from_pylist(part, schema=JOURNAL))
    rows = _frame(pa.concat_tables(parts or [JOURNAL.empty_table()]))
    rows = rows.drop_duplicates("film_id", keep="last")
    unnamed = rows["film_id"] == "tmdb-" + rows["tmdb_id"].astype("string")
    renamed = rows["tmdb_id"].isin(rows.loc[unnamed.fillna(False), "tmdb_id"])
    return rows[~(renamed & rows["tmdb_id"].duplicated(keep="last"))].reset_index(drop=True)


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
) -> pd.DataFrame:
    """Check and store films as they come, one journal line each; return the journal.

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
        rows = journal(run)
        stored = set(rows.loc[whole(run, rows), "film_id"] if done is None else done)
        numbers = dict(zip(rows["film_id"], rows["tmdb_id"], strict=True))
        del rows
        for film in triples:
            for record, image, problem in _settled(film, stored, numbers):
                with usable(run):
                    kept = record | _store(folder, record["film_id"], image, problem)
                    _note(file, dict.fromkeys(JOURNAL.names) | kept)
    return journal(run)


def _settled(film: Triple, stored: set[str], numbers: dict[str, Any]) -> Iterator[Triple]:
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
    elif name in stored:
        return
    stored.add(name)
    numbers[name] = number
    yield film


def keep_only(run: str | Path, rows: pd.DataFrame) -> None:
    """Write the journal anew from these rows, and delete every poster that is none of theirs.

    A film may have got another id since; of its rows, the last is kept. Of films that are gone from
    their source, nothing but the number stays.
    """
    folder = paths.run_directory(run)
    numbered = rows["tmdb_id"].notna()
    rows = pd.concat([rows[~numbered], rows[numbered].drop_duplicates("tmdb_id", keep="last")])
    with usable(run):
        plain = rows[JOURNAL.names].astype(object)
        lines = plain.where(plain.notna(), None).to_dict("records")
        text = "".join(json.dumps(line, ensure_ascii=False, default=int) + "\n" for line in lines)
        paths.write_bytes(folder / "collection.jsonl", text.encode())
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


def without_placeholders(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows, with no poster where the very same file stands for films of other names.

    Two films may be one film entered twice, and the films of a collection may share a picture:
    those stay, and `films.groups` puts them together.
    """
    titles = rows["title"].fillna("").str.casefold().where(rows["poster"].notna())
    unlike = titles.groupby(rows["sha256"]).transform("nunique")
    placeholder = (unlike >= PLACEHOLDER) & rows["poster"].notna() & rows["franchise"].isna()
    return rows.assign(
        poster=rows["poster"].mask(placeholder, None),
        problem=rows["problem"].mask(placeholder, "placeholder artwork"),
    )


def finish(run: str | Path, rows: pd.DataFrame, provenance: Mapping[str, Any]) -> pd.DataFrame:
    """Write `catalogue.parquet` and `provenance.json`; return the catalogue, ordered by film id."""
    if rows.empty or rows["poster"].notna().sum() == 0:
        reasons = rows["problem"].value_counts().to_dict() or "none in all"
        raise SourceError(
            f"No film with a usable poster came from {provenance.get('source')!r}; of the films that "
            f"it named: {reasons}. Look at the source, or widen the query."
        )
    rows = without_placeholders(rows.sort_values("film_id", ignore_index=True))
    rows = rows.reindex(columns=SCHEMA.names).astype(object)
    rows = rows.where(rows.notna(), None)
    table = pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False)
    table = table.replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    folder = paths.run_directory(run)
    counts = rows["problem"].value_counts().sort_index()
    same = rows.loc[rows["poster"].notna(), "sha256"]
    with usable(run):
        paths.write_bytes(folder / "catalogue.parquet", sink.getvalue())
        paths.write_json(
            folder / "provenance.json",
            {
                **provenance,
                "found": len(rows),
                "kept": int(rows["poster"].notna().sum()),
                "dropped": {str(reason): int(n) for reason, n in counts.items()},
                "with_another_films_file": int(same.duplicated(keep=False).sum()),
                "collected": [rows["collected_at"].min(), rows["collected_at"].max()],
                "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "versions": {name: version(name) for name in LIBRARIES},
                "fingerprint": fingerprint(rows),
            },
        )
    return load(run)


def fingerprint(rows: pd.DataFrame) -> str:
    """Return a hash over all rows and posters of a catalogue; times of collection do not count."""
    digest = hashlib.sha256()
    columns = [name for name in JOURNAL.names if name != "collected_at"]
    for row in rows.sort_values("film_id")[columns].to_dict("records"):
        plain = {k: list(v) if isinstance(v, np.ndarray) else v for k, v in row.items()}
        plain = {k: None if _missing(v) else v for k, v in plain.items()}
        plain = {k: int(v) if isinstance(v, float) else v for k, v in plain.items()}
        digest.update(json.dumps(plain, sort_keys=True, ensure_ascii=False, default=int).encode())
    return digest.hexdigest()[:16]


def _missing(value: Any) -> bool:
    return not isinstance(value, list) and bool(pd.isna(value))


def load(run: str | Path) -> pd.DataFrame:
    """Read the catalogue of a run; ids and years are nullable integers."""
    table = pq.read_table(paths.need(run, "catalogue.parquet"))
    for column in SCHEMA:
        if column.name not in table.column_names:  # a catalogue of an earlier version
            table = table.append_column(column, pa.nulls(len(table), column.type))
    return _frame(table)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    for column in GENRE_COLUMNS:
        frame[column] = [None if v is None else list(v) for v in frame[column]]
    return frame


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
        raise SourceError(f"{source} is not a readable CSV file: {error}") from None
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
    found = answer.content if answer.status_code == 200 else None
    return _record(row), found, None if found else f"poster answers {answer.status_code}"


def _beside(home: Path, name: str) -> Path | str:
    """Return a picture of the CSV's own folder, or the reason why there is none."""
    if not name:
        return "no poster"
    picture = (home / name).resolve()
    if not picture.is_relative_to(home):
        return "outside the CSV's folder"
    return picture if picture.is_file() else "no such file"


def _need_own_rows(source: Path, ids: Iterable[Any]) -> None:
    """Raise when a film stands twice, for the second would be lost without a word."""
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
    def whole(value: Any) -> int | None:
        try:
            return int(float(value))
        except (TypeError, ValueError):
            return None

    def words(value: Any) -> Any:
        if isinstance(value, str):
            value = [word.strip() for word in re.split(r"[|,]", value)]
        return [word for word in value if word] or None if value else None

    record: dict[str, Any] = {name: row.get(name) or None for name in SCHEMA.names[:11]}
    record |= {"year": whole(row.get("year")), "tmdb_id": whole(row.get("tmdb_id"))}
    record |= {name: words(row.get(name)) for name in GENRE_COLUMNS}
    if not (record["imdb_genres"] or record["tmdb_genres"]):
        record["other_genres"] = words(row.get("genres"))
    return record
