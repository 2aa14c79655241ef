"""How fast the service answers, beside `keras.Model.predict` behind Flask, in one run.

    .venv/bin/python benchmarks/serving.py runs/demo/custom_cnn_distilled [more networks]
    .venv/bin/python benchmarks/serving.py runs/demo/custom_cnn_distilled --soak 20000

Needs `hey` (a load generator; Debian has it) and `pip install flask`. Each service runs in a process
of its own on this machine, is warmed up, and is asked for one drawn poster of 500 x 750 pixels.
With --soak the service alone is asked so many times, and its memory is read on the way: `soak.csv`.
"""

import argparse
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from postergenre.classifier import FORMATS
from postergenre.demo import studio

PLAIN = """
import io, sys
import keras, numpy as np
from flask import Flask, jsonify, request
from PIL import Image

model = keras.models.load_model(sys.argv[1] + "/model.keras", compile=False)
height, width = model.input_shape[1:3]
app = Flask("plain")

@app.post("/v1/classify")
def classify():
    image = Image.open(io.BytesIO(request.get_data())).convert("RGB").resize((width, height))
    scores = model.predict(np.asarray(image)[None], verbose=0)[0]
    return jsonify(scores.tolist())

@app.get("/readyz")
def ready():
    return "ready"

app.run(port=int(sys.argv[2]), threaded=True)
"""


@contextmanager
def service(command: list[str], port: int) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """Run a service; yield its process and the seconds from its start until it was ready."""
    began = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(command, env=environment, **quiet)  # type: ignore[call-overload]
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).read()
                break
            except OSError:
                if process.poll() is not None:
                    sys.exit(f"It did not start: {' '.join(command)[:200]}")
                time.sleep(0.01)
        yield process, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(30)


def load(port: int, poster: Path, requests: int, clients: int) -> dict[str, float]:
    """Return times in milliseconds, throughput and refusals, as `hey` measured them."""
    asked = ["hey", "-n", str(requests), "-c", str(clients), "-m", "POST", "-D", str(poster)]
    asked += ["-T", "image/jpeg", "-o", "csv", f"http://127.0.0.1:{port}/v1/classify"]
    began = time.perf_counter()
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    took = time.perf_counter() - began
    rows = list(csv.DictReader(io.StringIO(told)))
    status = [row["status-code"] for row in rows]
    times = [1000 * float(r["response-time"]) for r in rows if r["status-code"] == "200"]
    return {
        "clients": clients,
        "p50": float(np.percentile(times, 50)),
        "p95": float(np.percentile(times, 95)),
        "answers/s": len(times) / took,
        "503": status.count("503"),
        "other": len(status)
        - len(times)
        - status.count("503")
        + requests // clients * clients
        - len(rows),
    }


def memory(process: subprocess.Popen[bytes]) -> float:
    """Return a process's resident memory in MiB."""
    told = Path(f"/proc/{process.pid}/status").read_text()
    return int(told.split("VmRSS:")[1].split()[0]) / 1024


def times(network: Path, poster: Path, requests: int) -> list[dict[str, Any]]:
    """Return a row for each service and number of clients."""
    rows = []
    plain = [sys.executable, "-c", PLAIN, str(network), "8123"]
    form = json.loads((network / "bundle.json").read_text())["serves"]
    size = (network / FORMATS[form]).stat().st_size / 1e6
    for name, command in {f"ours ({form}, {size:.1f} MB)": ours(network), "plain": plain}.items():
        with service(command, 8123) as (_, start):
            load(8123, poster, 40, 2)
            told = {"network": named(network), "service": name, "start, s": start}
            rows += [told | load(8123, poster, requests, clients) for clients in (1, 8, 64)]
    return rows


def soak(network: Path, poster: Path, requests: int) -> list[dict[str, Any]]:
    """Return the service's memory before, during and after so many requests."""
    with service(ours(network), 8123) as (process, _):
        load(8123, poster, 400, 8)
        rows = [{"requests": 0, "memory, MiB": memory(process), "503": 0, "other": 0}]
        for part in range(1, 11):
            told = load(8123, poster, requests // 10, 8)
            rows.append(
                {"requests": part * (requests // 10), "memory, MiB": memory(process)}
                | {name: rows[-1][name] + told[name] for name in ("503", "other")}
            )
            print(rows[-1], flush=True)
    return [{"network": named(network)} | row for row in rows]


def named(network: Path) -> str:
    """Return what the table calls a network: its name, and the height and width that it sees."""
    height, width = json.loads((network / "bundle.json").read_text())["card"]["size"]
    name = "small" if network.name == "custom_cnn_distilled" else network.name
    return f"{name}, {height} x {width}"


def ours(network: Path) -> list[str]:
    """Return the command of the service."""
    return [
        sys.executable,
        "-m",
        "postergenre",
        "serve",
        "--network",
        str(network),
        "--port",
        "8123",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--soak", type=int, default=0, help="requests to watch memory over")
    asked = parser.parse_args()
    if not shutil.which("hey"):
        sys.exit("`hey` is needed, a load generator: apt-get install hey")
    poster = Path(tempfile.gettempdir()) / "postergenre_benchmark.jpg"
    poster.write_bytes(picture())
    rows: list[dict[str, Any]] = []
    for network in asked.networks:
        rows += (
            soak(network, poster, asked.soak)
            if asked.soak
            else times(network, poster, asked.requests)
        )
    table = pd.DataFrame(rows).round(1)
    table.to_csv(Path(__file__).with_name("soak.csv" if asked.soak else "serving.csv"), index=False)
    print(table.to_string(index=False))


def picture() -> bytes:
    """Return a drawn poster as a JPEG of 500 x 750 pixels."""
    from PIL import Image

    drawn = Image.open(io.BytesIO(studio.draw_poster(studio.invent(1).to_dict("records")[0])[0]))
    sink = io.BytesIO()
    drawn.convert("RGB").resize((500, 750)).save(sink, "JPEG", quality=88)
    return sink.getvalue()


if __name__ == "__main__":
    main()
