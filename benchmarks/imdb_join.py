"""How long 45,000 films take to be joined with IMDb's list of 11 million titles, beside pandas.

    .venv/bin/python benchmarks/imdb_join.py

The list is generated, in the form and about the size of IMDb's own. Our join also looks for the
films without an IMDb id by title and year, among all titles; pandas joins by id alone, which is
less. Each runs in a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pandas as pd

LIST = r"""
COPY (
    SELECT 'tt' || lpad(n::VARCHAR, 8, '0') AS tconst,
           CASE WHEN hash(n) % 100 < 7 THEN 'movie' WHEN hash(n) % 100 < 17 THEN 'short'
                WHEN hash(n) % 100 < 23 THEN 'video' WHEN hash(n) % 100 < 26 THEN 'tvSeries'
                ELSE 'tvEpisode' END AS titleType,
           'The ' || (hash(n) % 100003)::VARCHAR || ' Répliques of ' || (hash(n + 7) % 9973)::VARCHAR
               AS primaryTitle,
           primaryTitle AS originalTitle, '0' AS isAdult,
           (1900 + hash(n) % 126)::VARCHAR AS startYear, NULL AS endYear,
           CASE WHEN hash(n) % 3 = 0 THEN '90' END AS runtimeMinutes,
           CASE hash(n) % 4 WHEN 0 THEN 'Drama' WHEN 1 THEN 'Comedy,Drama,Romance'
                WHEN 2 THEN 'Action,Crime' END AS genres
    FROM range({titles}) AS titles(n)
) TO '{file}' (FORMAT csv, DELIMITER '\t', HEADER, NULLSTR '\N', QUOTE '', COMPRESSION gzip)
"""

OURS = """
import json, pathlib, sys, time
import pandas as pd
from postergenre import imdb
films = pd.read_parquet(sys.argv[2])
began = time.perf_counter()
found = imdb.join(films, pathlib.Path(sys.argv[1]))
kinds = found["imdb_match"].value_counts()
told = {"by id": int(kinds["id"]), "by title": int(kinds.filter(like="title").sum())}
"""
PLAIN = """
import json, sys, time
import pandas as pd
films = pd.read_parquet(sys.argv[2])
began = time.perf_counter()
columns = ["tconst", "titleType", "genres"]
titles = pd.read_csv(sys.argv[1], sep="\\t", quoting=3, na_values="\\\\N", usecols=columns, dtype=str)
found = films.dropna(subset=["imdb_id"]).merge(titles, left_on="imdb_id", right_on="tconst")
told = {"by id": len(found), "by title": 0}
"""
TOLD = """
told |= {"seconds": time.perf_counter() - began}
status = open("/proc/self/status").read()
told["peak memory (MB)"] = int(status.split("VmHWM:")[1].split()[0]) / 1000
print(json.dumps(told))
"""


def films(titles: Path, count: int) -> pd.DataFrame:
    """Return films of the list's movies; one in ten has no IMDb id, but its title and year."""
    told = duckdb.sql(
        f"""
        SELECT row_number() OVER () AS n, tconst, primaryTitle, startYear::INTEGER AS year
        FROM (FROM read_csv('{titles}', delim='\t', quote='', nullstr='\\N', all_varchar=true)
              WHERE titleType = 'movie') USING SAMPLE reservoir({count} ROWS) REPEATABLE (7)
        """
    ).df()
    known = told["n"] % 10 != 0
    return pd.DataFrame(
        {
            "film_id": told["tconst"].where(known, "tmdb-" + told["n"].astype(str)),
            "imdb_id": told["tconst"].where(known, None),
            "title": told["primaryTitle"],
            "year": told["year"],
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--titles", type=int, default=11_000_000)
    parser.add_argument("--films", type=int, default=45_000)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file, wanted = Path(folder) / "title.basics.tsv.gz", Path(folder) / "films.parquet"
        duckdb.sql(LIST.format(titles=asked.titles, file=file))
        films(file, asked.films).to_parquet(wanted)
        for name, program in (("ours", OURS), ("pandas, by id alone", PLAIN)):
            command = [sys.executable, "-c", program + TOLD, str(file), str(wanted)]
            told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            size = {"titles": asked.titles, "films": asked.films}
            rows.append({"join": name, **size, **json.loads(told.splitlines()[-1])})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).round({"seconds": 1, "peak memory (MB)": 0})
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
