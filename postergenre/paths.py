"""Where things stand: the checkout, the run directory, the files that notebooks hand to each other."""

import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from postergenre.errors import DamagedFile, MissingStep, StudyError

# Which notebook writes a file, so that a missing one can name the step to run.
WRITTEN_BY = {
    "catalogue.parquet": "01_collect_posters",
    "provenance.json": "01_collect_posters",
    "films.parquet": "02_genre_distribution",
    "population.json": "02_genre_distribution",
    "baselines.parquet": "02_genre_distribution",
    "custom_cnn": "03_custom_cnn",
    "vgg16": "04_vgg16_transfer",
    "custom_cnn_distilled": "04_vgg16_transfer",
}


def project() -> Path:
    """Return the root of the checkout: the nearest folder upwards with `_toc.yml` and `notebooks/`."""
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if (folder / "_toc.yml").is_file() and (folder / "notebooks").is_dir():
                return folder
    return Path.cwd()


def run_directory(run: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a run; a relative one counts from the root of the checkout."""
    if not str(run):
        raise StudyError("Expected the directory of a run, such as runs/mine; nothing came.")
    return project() / Path(run).expanduser()


def need(run: str | os.PathLike[str], name: str) -> Path:
    """Return the path of a file in a run, or say which notebook has to come first."""
    path = run_directory(run) / name
    if not path.exists():
        notebook = WRITTEN_BY.get(Path(name).parts[0], "an earlier notebook")
        raise MissingStep(
            f"{run}/{name} is not there. {notebook} writes it: run that notebook on the same run "
            f"first, or the whole study with `python -m postergenre study --run {run}`."
        )
    return path


def write_bytes(path: Path, data: bytes | Iterable[bytes | memoryview]) -> None:
    """Write a file whole or not at all, at once or in pieces: beside it first, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # temporary files are made for their owner alone
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file, or say which one is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise DamagedFile(
            f"{path} is damaged: JSON was expected. Remove it and run the study on this run again: "
            "what the others hold is kept."
        ) from None


def fingerprint(run: str | os.PathLike[str]) -> str:
    """Return the fingerprint of a run's corpus."""
    return str(read_json(need(run, "provenance.json"))["fingerprint"])


def drawn(run: str | os.PathLike[str]) -> bool:
    """Return whether a run's posters are the demo's, drawn of films that do not exist."""
    return bool(read_json(need(run, "provenance.json"))["source"] == "demo")


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of the libraries that decide numbers."""
    names = ("postergenre", "tensorflow", "keras", "numpy", "scikit-learn")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def revision() -> str:
    """Return the code's revision, with "-dirty" where files differ from it; "" where git cannot say."""
    asked = ["git", "-C", str(project()), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git here
        return ""


def provenance(run: str | os.PathLike[str]) -> dict[str, str]:
    """Return what a notebook ran with: versions, processor, revision of the code, corpus."""
    return {
        **versions(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "revision": revision() or "unknown",
        "corpus fingerprint": fingerprint(run),
    }
