"""How often the test films have been asked: what each published run had measured on them.

    .venv/bin/python benchmarks/revisions.py

Reads every version of the published numbers in git's history, and the present ones; needs a clone
with its history. A run whose numbers are those of the one before has no row.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd

from postergenre import paths

FILE = "book/executed/results.json"
MEASURES = {
    "AUROC": "macro_auroc",
    "mAP": "map",
    "top-1": "top1",
    "balanced top-1": "balanced_top1",
    "at 85 %, of seven": "coverage_at_85",
}


def main() -> None:
    versions = [(when, json.loads(git("show", f"{commit}:{FILE}"))) for commit, when in history()]
    versions.append(("present", paths.read_json(paths.project() / FILE)))
    films = versions[-1][1]["films"]["test"]
    found = pd.DataFrame([{"published": when, **measured(told)} for when, told in versions])
    columns = found.columns[1:].tolist()
    filled = found[columns].fillna(-1)
    found = found[filled.ne(filled.shift()).any(axis=1)]
    found.to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.3f")
    print(f"{films} test films")
    print(found.to_string(index=False))


def history() -> list[tuple[str, str]]:
    """Return commit and date of every version of the published numbers, the first one first."""
    log = git(
        "log", "--reverse", "--format=%H %ad", "--date=format:%-d %b", "--", FILE
    ).splitlines()
    return [(line.split()[0], line.partition(" ")[2]) for line in log]


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=paths.project(), capture_output=True, check=True)
    return done.stdout.decode()


def measured(told: dict[str, Any]) -> dict[str, float | None]:
    """Return one version's row: measures of VGG16, and some of the other networks."""
    networks = {name.lower().replace(" ", "_"): row for name, row in told["networks"].items()}
    vgg16, taught = networks["vgg16"], networks.get("custom_cnn_distilled")
    row = {name: vgg16[key]["value"] for name, key in MEASURES.items()}
    row["of four"] = vgg16["distinct"]["coverage_at_85"]["value"]
    row["AUROC, custom"] = networks["custom_cnn"]["macro_auroc"]["value"]
    row["AUROC, distilled"] = taught["macro_auroc"]["value"] if taught else None
    return {name: None if one is None else round(float(one), 3) for name, one in row.items()}


if __name__ == "__main__":
    main()
