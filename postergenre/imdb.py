"""IMDb's own lists of titles: the second source of genres, read in place from their gzipped files."""

import gzip
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import requests

from postergenre.errors import SourceError
from postergenre.web import BROKEN, PATIENCE

ADDRESS = "https://datasets.imdbws.com"
TERMS = (
    "Information courtesy of IMDb (imdb.com). Used with permission, from its non-commercial "
    "datasets: for personal and non-commercial use only."
)
BASICS, RATINGS = "title.basics.tsv.gz", "title.ratings.tsv.gz"
COLUMNS = {
    BASICS: [
        "tconst",
        "titleType",
        "primaryTitle",
        "originalTitle",
        "isAdult",
        "startYear",
        "endYear",
        "runtimeMinutes",
        "genres",
    ],
    RATINGS: ["tconst", "averageRating", "numVotes"],
}
KINDS = ("movie", "tvMovie", "video", "short", "tvSpecial")  # what a film without an IMDb id may be
FOUND = ["film_id", "imdb_match", "imdb_matched_id", "title_type", "imdb_genres", "imdb_votes"]
MEMORY = "1GB"

# Titles meet without case, accents, blanks and punctuation.
_KEY = r"lower(regexp_replace(strip_accents({}), '[^\p{{L}}\p{{N}}]+', '', 'g'))"


def join(films: pd.DataFrame, title_basics: Path) -> pd.DataFrame:
    """Return what IMDb says of each film (`film_id`, `imdb_id`, `title`, `year`), in their order.

    `imdb_match` tells how a film was found: "id"; "title and year" or "title, a year off" where it
    has no IMDb id and one title fits; "several titles" where more do, and "none": these two have no
    genres. Votes come from `title.ratings.tsv.gz` where that lies beside the file. DuckDB reads the
    files as streams; titles that are not asked for never reach memory.
    """
    if not title_basics.is_file():
        raise SourceError(
            f"Expected IMDb's {BASICS} in {title_basics}, and there is no such file. It is one of "
            'IMDb\'s non-commercial datasets; give its path or folder, "download", or none.'
        )
    asked = films[["film_id", "imdb_id", "title", "year"]].astype(
        {"film_id": str, "imdb_id": "string", "title": "string", "year": "Int64"}
    )
    with duckdb.connect(config={"memory_limit": MEMORY}) as database:
        database.register("asked", asked)
        database.execute(
            f"CREATE TEMP TABLE untitled AS SELECT film_id, year, {_KEY.format('title')} AS key "
            "FROM asked WHERE imdb_id IS NULL AND year IS NOT NULL AND key <> ''"
        )
        by_title = ""
        if database.execute("SELECT count(*) FROM untitled").fetchall()[0][0]:
            named = " OR ".join(
                f"{_KEY.format(name)} IN (SELECT key FROM untitled)"
                for name in ("primaryTitle", "originalTitle")
            )
            by_title = f"OR (titleType IN {KINDS} AND ({named}))"
        condition = f"tconst IN (SELECT imdb_id FROM asked) {by_title}"
        _read(database, title_basics, BASICS, condition)
        ratings = title_basics.with_name(RATINGS)
        if ratings.is_file():
            _read(
                database, ratings, RATINGS, 'tconst IN (SELECT tconst FROM "title.basics.tsv.gz")'
            )
        else:
            database.execute(f'CREATE TEMP TABLE "{RATINGS}" (tconst VARCHAR, numVotes VARCHAR)')
        rows = database.execute(_MATCH).fetchall()
    return pd.DataFrame(rows, columns=FOUND, dtype=object)


def _read(database: Any, path: Path, name: str, condition: str) -> None:
    kinds = ", ".join(f"'{column}': 'VARCHAR'" for column in COLUMNS[name])
    try:
        database.execute(
            f"""
            CREATE TEMP TABLE "{name}" AS
            FROM read_csv($file, delim='\t', quote='', escape='', nullstr='\\N', header=true,
                          columns={{{kinds}}}, compression='gzip', auto_detect=false)
            WHERE {condition}
            """,
            {"file": str(path)},
        )
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise SourceError(
            f"{path.name} cannot be read as IMDb's {name}: tab-separated, gzipped, with the "
            f"columns {', '.join(COLUMNS[name])}. It may be cut off: fetch it again. ({reason})"
        ) from None


_MATCH = f"""
WITH titles AS (
    SELECT tconst, titleType, genres, TRY_CAST(startYear AS INTEGER) AS year,
           {_KEY.format("primaryTitle")} AS first, {_KEY.format("originalTitle")} AS second
    FROM "{BASICS}"
), ranked AS (
    SELECT film_id, tconst, abs(titles.year - untitled.year) AS years,
           rank() OVER (PARTITION BY film_id
                        ORDER BY abs(titles.year - untitled.year), titleType <> 'movie') AS place
    FROM untitled JOIN titles ON key IN (first, second) AND abs(titles.year - untitled.year) <= 1
    WHERE titleType IN {KINDS} AND tconst NOT IN (SELECT imdb_id FROM asked WHERE imdb_id IS NOT NULL)
), best AS (
    SELECT film_id, count(*) AS fitting, min(tconst) AS tconst, min(years) AS years
    FROM ranked WHERE place = 1 GROUP BY film_id
), claimed AS (
    SELECT *, count(*) OVER (PARTITION BY CASE WHEN fitting = 1 THEN tconst ELSE film_id END) AS claims
    FROM best
), matched AS (
    SELECT film_id, imdb_id AS tconst, 'id' AS match FROM asked
    WHERE imdb_id IN (SELECT tconst FROM titles)
    UNION ALL
    SELECT film_id, CASE WHEN fitting = 1 AND claims = 1 THEN tconst END,
           CASE WHEN fitting > 1 OR claims > 1 THEN 'several titles'
                WHEN years = 0 THEN 'title and year' ELSE 'title, a year off' END
    FROM claimed
)
SELECT asked.film_id, coalesce(match, 'none'), matched.tconst, titleType,
       string_split(genres, ','), TRY_CAST(numVotes AS BIGINT)
FROM asked LEFT JOIN matched ON asked.film_id = matched.film_id
LEFT JOIN titles ON titles.tconst = matched.tconst
LEFT JOIN "{RATINGS}" AS votes ON votes.tconst = matched.tconst
ORDER BY asked.film_id
"""


def download(
    folder: Path, *, names: tuple[str, ...] = (BASICS, RATINGS), address: str = ADDRESS
) -> Path:
    """Fetch IMDb's files into a folder, going on where an earlier call was cut off; return the first.

    A file appears under its name when it has come whole: of the length that the server tells, and
    with the check sum that gzip keeps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (folder / name).is_file():
            _download(f"{address}/{name}", folder / name)
    return folder / names[0]


def _download(url: str, path: Path, tries: int = 6) -> None:
    part, mark = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.etag")
    reason = "nothing came"
    for _ in range(tries):
        same = mark.read_text() if mark.exists() and part.exists() else ""
        going_on = {"Range": f"bytes={part.stat().st_size}-", "If-Range": same} if same else {}
        plain = {"Accept-Encoding": "identity"}
        try:
            with requests.get(
                url, headers=plain | going_on, stream=True, timeout=PATIENCE
            ) as answer:
                reason = f"it answers {answer.status_code}"
                if answer.status_code in (200, 206):
                    mark.write_text(answer.headers.get("ETag", ""))
                    with part.open("ab" if answer.status_code == 206 else "wb") as file:
                        for piece in answer.iter_content(2**16):
                            file.write(piece)
                    reason = "it is cut off, or its check sum is wrong"
                    if _whole(part):
                        part.replace(path)
                        mark.unlink()
                        return
                    part.unlink()
                elif answer.status_code < 500 and answer.status_code not in (416, 429):
                    break
                elif answer.status_code == 416:
                    part.unlink()
        except BROKEN as error:
            reason = f"the line broke ({type(error).__name__})"
    raise SourceError(
        f"{path.name} could not be fetched whole from {url}: {reason}. What came so far is kept: "
        "call again, or fetch it by other means and give its path."
    )


def _whole(path: Path) -> bool:
    try:
        with gzip.open(path) as file:
            while file.read(2**22):
                pass
    except (OSError, EOFError):
        return False
    return True
