"""From any source of films to one catalogue: poster files that were checked, and a table with one row a film."""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from postergenre import paths, pictures
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
    ]
)


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


def journal(run: str | Path) -> pd.DataFrame:
    """Return what an earlier, perhaps interrupted, collection of this run has already stored."""
    path = paths.run_directory(run) / "collection.jsonl"
    if not path.exists():
        return pd.DataFrame(columns=SCHEMA.names)
    # A run that was killed may have left half a line at the end.
    whole = path.read_bytes().rpartition(b"\n")[0]
    rows = [json.loads(line) for line in whole.splitlines()]
    return pd.DataFrame(rows, columns=SCHEMA.names).drop_duplicates("film_id", keep="last")


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
    paths.write_json(path, wanted)


def collect(run: str | Path, triples: Iterable[Triple]) -> pd.DataFrame:
    """Check and store films as they come, one journal line each; return the journal.

    `triples` yields `(record, image, problem)`: the film's data, its poster's bytes or None, and
    the source's own reason why there is none. A film whose poster is stored is left as it is; one
    that came without a usable poster is looked at again, for the source may have been mended.
    """
    folder = paths.run_directory(run)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "collection.jsonl"
    stored = journal(run)
    known = set(stored.loc[stored["poster"].notna(), "film_id"])
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        with path.open("rb+") as file:
            file.truncate(path.read_bytes().rfind(b"\n") + 1)
    with path.open("a", encoding="utf-8") as file:
        for record, image, problem in triples:
            if record["film_id"] in known:
                continue
            known.add(record["film_id"])
            row = dict.fromkeys(SCHEMA.names) | record
            row |= _store(folder, record["film_id"], image, problem)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
        os.fsync(file.fileno())
    return journal(run)


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


def finish(run: str | Path, rows: pd.DataFrame, provenance: Mapping[str, Any]) -> pd.DataFrame:
    """Write `catalogue.parquet` and `provenance.json`; return the catalogue, ordered by film id."""
    if rows.empty or rows["poster"].notna().sum() == 0:
        reasons = rows["problem"].value_counts().to_dict() or "none in all"
        raise SourceError(
            f"No film with a usable poster came from {provenance.get('source')!r}; of the films that "
            f"it named: {reasons}. Look at the source, or widen the query."
        )
    rows = rows.sort_values("film_id", ignore_index=True).astype(object)
    rows = rows.where(rows.notna(), None)
    table = pa.Table.from_pylist(rows.to_dict("records"), schema=SCHEMA)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    folder = paths.run_directory(run)
    paths.write_bytes(folder / "catalogue.parquet", sink.getvalue())
    counts = rows["problem"].value_counts().sort_index()
    paths.write_json(
        folder / "provenance.json",
        {
            **provenance,
            "found": len(rows),
            "kept": int(rows["poster"].notna().sum()),
            "dropped": {str(reason): int(n) for reason, n in counts.items()},
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "fingerprint": fingerprint(rows),
        },
    )
    return load(run)


def fingerprint(rows: pd.DataFrame) -> str:
    """Return a hash over all rows and posters of a catalogue; times of collection do not count."""
    digest = hashlib.sha256()
    columns = [name for name in SCHEMA.names if name != "collected_at"]
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
    frame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    for column in GENRE_COLUMNS:
        frame[column] = [None if v is None else list(v) for v in frame[column]]
    return frame


def provenance(run: str | Path) -> dict[str, Any]:
    """Read where the films of a run come from, and whether their posters may be shown."""
    found: dict[str, Any] = paths.read_json(paths.need(run, "provenance.json"))
    return found


def from_parquet(source: Path, *, limit: int | None = None) -> Iterator[Triple]:
    """Yield films from Parquet files with an `image` column of `{bytes, path}`.

    Needed beside it: `film_id`, `title`, and `genres` or `imdb_genres` or `tmdb_genres`. Used when
    there: `year`, `imdb_id`, `tmdb_id`, `language`, `franchise`, `image_family`.
    """
    files = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
    if not files:
        raise SourceError(
            f"Expected Parquet files in {source}, found none. Name their folder, one such "
            "file, or a CSV beside its pictures."
        )
    left = limit
    for path in files:
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is not a readable Parquet file: {error}") from None
        _need_columns(path, file.schema_arrow.names, ("film_id", "title", "image"))
        for batch in file.iter_batches(batch_size=256):
            for row in batch.to_pylist():
                if left is not None and left <= 0:
                    return
                left = None if left is None else left - 1
                image = row.pop("image")
                data = image.get("bytes") if isinstance(image, dict) else image
                yield _record(row), data, None


def from_csv(source: Path, *, limit: int | None = None) -> Iterator[Triple]:
    """Yield films from a CSV file whose `poster` column names pictures beside it.

    Needed: `film_id`, `title`, `poster`, and `genres` (or one of the sources' columns), the genres
    of a film separated by `|`. Poster paths count from the CSV's folder and may not leave it.
    """
    try:
        table = pd.read_csv(source, dtype=str, keep_default_na=False, nrows=limit)
    except (OSError, ValueError) as error:
        raise SourceError(f"{source} is not a readable CSV file: {error}") from None
    _need_columns(source, table.columns, ("film_id", "title", "poster"))
    home = source.resolve().parent
    pictures = [(home / name).resolve() if name else None for name in table["poster"]]
    problems = [_why_not(picture, home) for picture in pictures]
    if all(problems):
        raise SourceError(
            f"{source} names {len(pictures)} pictures, and none of them is a file under {home} "
            f"({', '.join(sorted({str(problem) for problem in problems}))}). "
            "The column `poster` holds paths that count from the CSV's own folder and stay in it."
        )
    for row, picture, problem in zip(table.to_dict("records"), pictures, problems, strict=True):
        for column in ("genres", *GENRE_COLUMNS):
            words = row.get(column)
            row[column] = [w.strip() for w in words.split("|") if w.strip()] if words else None
        yield _record(row), picture.read_bytes() if picture and not problem else None, problem


def _why_not(picture: Path | None, home: Path) -> str | None:
    if picture is None:
        return "no poster"
    if not picture.is_relative_to(home):
        return "outside the CSV's folder"
    return None if picture.is_file() else "no such file"


def _need_columns(path: Path, found: Iterable[str], wanted: Iterable[str]) -> None:
    found = list(found)
    lacking = [name for name in wanted if name not in found]
    if lacking or not {"genres", *GENRE_COLUMNS} & set(found):
        lacking = lacking or ["genres (or imdb_genres, tmdb_genres)"]
        raise SourceError(
            f"{path} lacks the columns {', '.join(lacking)}; it has {', '.join(found)}. "
            "Rename its columns, or choose another source."
        )


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    def whole(value: Any) -> int | None:
        try:
            return int(float(value))
        except (TypeError, ValueError):
            return None

    record: dict[str, Any] = {name: row.get(name) or None for name in SCHEMA.names[:11]}
    record |= {"year": whole(row.get("year")), "tmdb_id": whole(row.get("tmdb_id"))}
    if not (record["imdb_genres"] or record["tmdb_genres"]):
        record["other_genres"] = row.get("genres") or None
    return record
