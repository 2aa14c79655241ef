"""How long a folder of Parquet files takes to become a catalogue, twice, into two empty runs.

    .venv/bin/python benchmarks/importing.py ../shared/posters

Each import runs in a process of its own, whose peak memory is told.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

IMPORT = """
import json, resource, sys, time
from postergenre import corpus, sources
began = time.perf_counter()
sources.collect(sys.argv[1], source=sys.argv[2], limit=int(sys.argv[3]))
told = corpus.provenance(sys.argv[1])
print(json.dumps({
    "films": told["found"],
    "kept": told["kept"],
    "dropped": sum(told["dropped"].values()),
    "seconds": time.perf_counter() - began,
    "peak memory (MB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    "fingerprint": told["fingerprint"],
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--limit", type=int, default=45_000)
    asked = parser.parse_args()
    rows = []
    for time in ("first", "second"):
        with tempfile.TemporaryDirectory() as run:
            command = [sys.executable, "-c", IMPORT, run, asked.source, str(asked.limit)]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows.append({"import": time} | json.loads(told.splitlines()[-1]))
    table = pd.DataFrame(rows).round(0)
    table = table.astype({"seconds": int, "peak memory (MB)": int})
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
