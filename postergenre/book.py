"""Build the book, of a run or the published one, from a tree laid out as the checkout is."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import vl_convert

from postergenre.errors import StudyError
from postergenre.parameters import notebooks
from postergenre.paths import project, read_json, run_directory
from postergenre.study import read_log


def build(run: str | os.PathLike[str] | None = None, *, root: Path | None = None) -> Path:
    """Build the book of a run, or the published one, with every warning an error.

    Return its first page. The sources are copied, with the executed notebooks of the run in place
    of the published ones: every relative path keeps working, and no run touches the checkout.
    """
    root = root or project()
    base = run_directory(run) / "book" if run else root
    place = base if run else root / "_build"
    names = [path.name for path in notebooks(root / "notebooks")]
    executed = _executed(run, root, names)
    source = place / "source"
    for old in (source, base / "_build" / "html", base / "_build" / ".doctrees"):
        shutil.rmtree(old, ignore_errors=True)
    skipped = shutil.ignore_patterns("executed", "__pycache__", ".*")
    for name in ("book", "postergenre"):
        shutil.copytree(root / name, source / name, ignore=skipped)
    (source / "book" / "executed").mkdir()
    for name in names:
        shutil.copy(executed / name, source / "book" / "executed")
    (source / "notebooks").mkdir()
    (source / "benchmarks").mkdir()
    kept = ("[!.]*", "notebooks/*.yml", "benchmarks/*.csv")
    for file in [file for pattern in kept for file in root.glob(pattern)]:
        if file.is_file():
            shutil.copy(file, source / file.relative_to(root))

    # The script of the interactive figures, so that a page asks no other host for it.
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    static = source / "book" / "_static"
    static.mkdir(exist_ok=True)
    (static / "vega.js").write_text(f"(() => {{{bundle}}})();", encoding="utf-8")

    call = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    strict = ("--path-output", str(base), "-n", "-W", "--keep-going")
    written = place / "build.log"
    with written.open("w", encoding="utf-8") as log:
        code = subprocess.run(
            [sys.executable, "-c", call, "build", str(source), *strict],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"},
            check=False,
        ).returncode
    page = base / "_build" / "html" / "index.html"
    if code or not page.is_file():
        lines = written.read_text(encoding="utf-8").splitlines()
        told = [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-5:]
        raise StudyError(
            "The book was not built:\n"
            + "\n".join(f"  {line.replace(str(source) + os.sep, '')}" for line in told[:8])
            + f"\nEverything it said: {written}"
        )
    return page


def _executed(run: str | os.PathLike[str] | None, root: Path, names: list[str]) -> Path:
    """Return the folder of executed notebooks, none of them missing or out of date."""
    if not run:
        executed = root / "book" / "executed"
        missing = [name for name in names if not (executed / name).is_file()]
        mend = "a published run has to be copied there first."
    else:
        executed, done = run_directory(run) / "executed", read_log(run_directory(run))["notebooks"]
        missing = [n for n in names if Path(n).stem not in done or not (executed / n).is_file()]
        mend = f"run `python -m postergenre study --run {run}` first."
    if missing:
        raise StudyError(f"The book needs {executed / missing[0]}: {mend}")
    return executed


def headline(run: str | os.PathLike[str]) -> str:
    """Return the headline table of a run as text: what notebook 07 wrote, or nothing."""
    path = run_directory(run) / "headline.json"
    if not path.is_file():
        return ""
    table = read_json(path)
    rows = [[_cell(value) for value in row] for row in [table["columns"], *table["rows"]]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return value if isinstance(value, str) else json.dumps(value) if value is not None else "-"
