"""How long a large collection takes beside what the rate limit alone allows, and what memory.

    .venv/bin/python benchmarks/collecting.py

The stand-in on this machine answers in TMDB's stead after 80 ms, and refuses more than 40 requests
within a second. Some posters are drawn and used again, each with a number of its own in it, so that
no two files are the same. Each client runs in a process of its own. The plain client asks for one
film after another, and for a part of them: its rate is what counts.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

from postergenre import paths
from postergenre.demo import stand_in, studio

LIMIT = 40  # requests a second
LATENCY = 0.08  # seconds before each answer
DRAWN = 200  # posters that are drawn; the others are these again

# The most that this process itself has held; what `getrusage` tells includes its parent's.
PEAK = 'int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1000'

OURS = """
import contextlib, json, sys, time
from postergenre import corpus, sources, tmdb
run, address, films = sys.argv[1], sys.argv[2], int(sys.argv[3])

@contextlib.contextmanager
def client_of(run, limit):
    yield tmdb.Client(address=address, token="demo"), {"terms": [], "asked_of": "local stand-in"}

sources._tmdb_client = client_of
began = time.perf_counter()
sources.collect(run, source="tmdb", limit=films)
seconds = time.perf_counter() - began
peak = PEAK
again = time.perf_counter()
sources.collect(run, source="tmdb", limit=films)
print(json.dumps({
    "films": corpus.provenance(run)["found"], "kept": corpus.provenance(run)["kept"],
    "seconds": seconds, "peak memory (MB)": peak, "again (s)": time.perf_counter() - again,
}))
"""

PLAIN = """
import io, json, pathlib, sys, time
import requests
from PIL import Image
run, address, films = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
bearer = {"Authorization": "Bearer demo"}

def ask(path, **asked):
    return requests.get(address + "/3/" + path, params=asked, headers=bearer, timeout=30).json()

began = time.perf_counter()
rows, page = [], 1
pictures = ask("configuration")["images"]["secure_base_url"] + "w185"
while len(rows) < films:
    for film in ask("discover/movie", page=page)["results"]:
        details = ask("movie/%d" % film["id"], append_to_response="external_ids")
        data = requests.get(pictures + details["poster_path"], timeout=30).content
        Image.open(io.BytesIO(data)).convert("RGB")
        (run / ("%d.jpg" % film["id"])).write_bytes(data)
        rows.append(details)
    page += 1
(run / "films.json").write_text(json.dumps(rows))
print(json.dumps({
    "films": len(rows), "kept": len(rows), "seconds": time.perf_counter() - began,
    "peak memory (MB)": PEAK,
}))
"""


def draw(folder: Path, films: int) -> None:
    """Fill a studio with films whose posters are a few drawn ones, each with its number inside."""
    table = studio.invent(films)
    table["poster_path"] = [f"/demo{number}.jpg" for number in table["tmdb_id"]]
    rows = table.head(DRAWN).to_dict("records")
    drawn = [studio.draw_poster(row)[0] for row in rows]
    (folder / "posters").mkdir(parents=True)
    for place, number in enumerate(table["tmdb_id"]):
        data, said = drawn[place % DRAWN], str(number).encode()
        comment = b"\xff\xfe" + (len(said) + 2).to_bytes(2) + said
        (folder / "posters" / f"demo{number}.jpg").write_bytes(data[:2] + comment + data[2:])
    Image.open(io.BytesIO((folder / "posters" / f"demo{number}.jpg").read_bytes())).load()
    paths.write_bytes(folder / "truth.parquet", table.to_parquet())


def asked_by(program: str, films: int, folder: Path) -> dict[str, float]:
    """Return what a client tells of its work, done in a process and a folder of its own."""
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as run:
            command = [
                sys.executable,
                "-c",
                program.replace("PEAK", PEAK),
                run,
                address,
                str(films),
            ]
            told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        return dict(json.loads(told.splitlines()[-1]))
    finally:
        server.terminate()
        server.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, nargs="+", default=[10_000, 45_000])
    parser.add_argument("--plain", type=int, default=500, help="films for the plain client")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serving = stand_in.serve(asked.serve, requests_per_second=LIMIT, latency=LATENCY)
        with serving as address, contextlib.suppress(KeyboardInterrupt):
            print(address, flush=True)
            sys.stdin.read()
        return
    rows = []
    for name, program, counts in (("plain", PLAIN, [asked.plain]), ("ours", OURS, asked.films)):
        for films in counts:
            with tempfile.TemporaryDirectory() as folder:
                draw(Path(folder), films)
                told = asked_by(program, films, Path(folder))
            # One request for the details of each film, one for each page of twenty.
            allowed = films * (1 + 1 / stand_in.FILMS_A_PAGE) / LIMIT
            row = {"client": name, **told, "the limit alone (s)": allowed}
            row["over it"] = f"{told['seconds'] / allowed - 1:.1%}"
            row["films a second"] = told["films"] / told["seconds"]
            rows.append(row)
            print(row, flush=True)
    table = pd.DataFrame(rows).round(1)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
