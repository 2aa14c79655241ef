"""IMDb's own list of titles: the second source of genres, read in place from its gzipped file."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd

from postergenre.errors import SourceError

TERMS = (
    "Information courtesy of IMDb. Used with permission, from its non-commercial datasets: for "
    "personal and non-commercial use only."
)
COLUMNS = [
    "tconst",
    "titleType",
    "primaryTitle",
    "originalTitle",
    "isAdult",
    "startYear",
    "endYear",
    "runtimeMinutes",
    "genres",
]


def genres(title_basics: Path, imdb_ids: Sequence[str]) -> pd.DataFrame:
    """Return `imdb_id`, `title_type` and `imdb_genres` (a list) of these ids from `title.basics.tsv.gz`.

    DuckDB reads the gzipped file as a stream; titles that are not asked for never reach memory.
    """
    if not title_basics.is_file():
        raise SourceError(
            f"Expected IMDb's title.basics.tsv.gz in {title_basics}, and there is no such file. "
            "It is one of IMDb's non-commercial datasets; give its path, or none."
        )
    wanted = pd.DataFrame({"imdb_id": pd.Series(list(imdb_ids), dtype=str)})
    kinds = ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS)
    with duckdb.connect() as database:
        database.register("wanted", wanted)
        try:
            found = database.execute(
                f"""
                SELECT tconst AS imdb_id, titleType AS title_type,
                       string_split(genres, ',') AS imdb_genres
                FROM read_csv($file, delim='\t', quote='', escape='', nullstr='\\N', header=true,
                              columns={{{kinds}}}, compression='gzip', auto_detect=false)
                JOIN wanted ON tconst = wanted.imdb_id ORDER BY imdb_id
                """,
                {"file": str(title_basics)},
            ).fetchall()
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise SourceError(
                f"{title_basics.name} cannot be read as IMDb's title.basics.tsv.gz: tab-separated, "
                f"gzipped, with the columns {', '.join(COLUMNS)}. Fetch it again. ({reason})"
            ) from None
    return pd.DataFrame(found, columns=["imdb_id", "title_type", "imdb_genres"], dtype=object)
