"""What the tests of the heat maps say where the truth is known: a table from a finished demo run.

    .venv/bin/python benchmarks/proof.py runs/demo

The numbers are those that chapters 05 and 06 of the run wrote; none is measured anew.
"""

import argparse
import csv
from pathlib import Path

from postergenre import paths

NETWORKS = {"custom CNN": "custom_cnn", "VGG16": "vgg16"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    asked = parser.parse_args()
    tables = {
        name: paths.read_json(paths.need(asked.run, folder) / "layers.json")["tables"]
        for name, folder in NETWORKS.items()
    }
    rows = [["test", *tables], *zip(*map(told, tables.values()), strict=True)]
    path = Path(__file__).with_suffix(".csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        for (test, first), (_, second) in rows[1:]:
            writer.writerow([test, first, second])
    print(path.read_text(encoding="utf-8"))


def told(tables: dict[str, dict[str, dict[str, float]]]) -> list[tuple[str, str]]:
    """Return the tests of one network, each with what came of it in words."""
    pointing, forgotten, faithful = (tables[n] for n in ("pointing", "forgotten", "faithful"))
    cam = pointing["Grad-CAM"]
    centre, chance = pointing["centre of the frame"], pointing["chance (area of the boxes)"]
    planted = list(tables["planted"].values())
    *_, last, other = forgotten.values()
    own, others = (sum(row[n] for row in planted) / len(planted) for n in ("own", "others"))
    return [
        (
            "the map's peak lies in the drawn motif's box",
            f"{cam['hits']:.0%} of {cam['posters']:.0f}",
        ),
        ("the frame's centre lies in it", f"{centre['hits']:.0%}"),
        ("a random place lies in it", f"{chance['hits']:.0%}"),
        ("share of the map's brightness in the box", f"{cam['energy']:.0%}"),
        ("the same of a bell about the frame's centre", f"{centre['energy']:.0%}"),
        ("likeness to the trained map, all weights shuffled", f"{last['likeness']:.2f}"),
        ("likeness of two posters' maps", f"{other['likeness']:.2f}"),
        *(
            (f"{name.replace(', beside', ': area under the curve, less that')}", _effect(row))
            for name, row in faithful.items()
        ),
        ("log odds of a genre when its motif is painted in", f"{own:+.1f}"),
        ("log odds of other absent genres then", f"{others:+.1f}"),
    ]


def _effect(row: dict[str, float]) -> str:
    return f"{row['difference']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"


if __name__ == "__main__":
    main()
