"""Run the study: papermill over the notebooks in order, and again only what is not done."""

import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from postergenre.errors import StudyError
from postergenre.parameters import named, notebooks, parameters, read_parameters, settle
from postergenre.paths import (
    project,
    read_json,
    revision,
    run_directory,
    versions,
    write_bytes,
    write_json,
)
from postergenre.pictures import in_few_colours

FREE_SPACE = 2_000_000_000  # bytes; a demo run takes about a fifth of it, its book included
HEAVY = 650_000  # characters of a figure in a notebook, from which on it is kept in few colours
PATIENCE = 8.0  # seconds: the kernel of a study that was killed ends by itself within two


class NotebookFailed(StudyError):
    """Report the notebook that failed, its cell and its error; what was done before is kept."""

    status = 1


def study(
    run: str | os.PathLike[str],
    *,
    file: Path | None = None,
    given: Sequence[tuple[str, str]] = (),
    start: str | None = None,
    only: str | None = None,
    force: bool = False,
    folder: Path | None = None,
) -> bool:
    """Run what is not yet done, in order; return whether every notebook is done now.

    A notebook is done when study.json says that this code ran with these parameters, its executed
    copy is there, and every notebook before it is done. Whatever runs makes all later ones undone.
    """
    directory = run_directory(run)
    paths = {path.stem: path for path in notebooks(folder or project() / "notebooks")}
    names = list(paths)
    first = named(start, names) if start is not None else None
    single = named(only, names) if only is not None else None
    known = parameters(paths.values())
    wanted = settle(known, file=read_parameters(file) if file else None, given=given)
    codes = {name: _code(path) for name, path in paths.items()}
    _make(directory)
    with _lock(directory) as lock:
        log = read_log(directory)
        done = log["notebooks"]
        undone = names
        while undone and not force and undone[0] != first and undone[0] in done:
            entry, name = done[undone[0]], undone[0]
            same = entry["parameters"] == wanted[name] and entry["code"] == codes[name]
            if not same or not (directory / "executed" / f"{name}.ipynb").is_file():
                break
            undone = undone[1:]
        kept = names[: len(names) - len(undone)]
        todo = [single] if single else undone
        package = _package()
        older = [name for name in kept if done[name]["package"] != package and name not in todo]
        if older:
            print(f"Note: {_few(older)} ran with another state of the package; --force reruns all.")
        if kept and not single:
            print(f"Done before, and kept: {_few(kept)}.")
        for name in todo:
            for later in names[names.index(name) :]:
                done.pop(later, None)
            write_json(directory / "study.json", log)
            differing = {
                key: value
                for key, value in wanted[name].items()
                if value != known[name][key].default
            }
            if "run" in known[name] and _told(directory) != known[name]["run"].default:
                differing = {"run": _told(directory), **differing}
            began = datetime.now(UTC)
            with _progress(f"[{names.index(name) + 1}/{len(names)}] {name}") as seconds:
                peak = _execute(paths[name], directory, differing, lock)
            done[name] = {
                "started": began.isoformat(timespec="seconds"),
                "seconds": round(seconds(), 1),
                "peak_memory_mib": peak,
                "parameters": wanted[name],
                "code": codes[name],
                "package": package,
                **_provenance(),
            }
            write_json(directory / "study.json", log)
        left = [name for name in undone if name not in todo]
        waiting = [name for name in names if name not in done or name in left]
        if waiting:
            print(f"Still to run, or to run anew: {_few(waiting)}.")
        return not waiting


def _few(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def _told(path: Path) -> str:
    """Return a path as it is shown and stored: relative to the checkout where it lies in it."""
    root = project()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _make(directory: Path) -> None:
    try:
        (directory / "executed").mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise StudyError(
            f"The run directory {_told(directory)} cannot be used: {error.strerror}. "
            "Choose a folder that can be written with --run."
        ) from None
    if free < FREE_SPACE:
        raise StudyError(
            f"A study needs {FREE_SPACE / 1e9:.1f} GB of free disk space, and {_told(directory)} "
            f"has {free / 1e9:.1f}. Make room, or choose another disk with --run."
        )


def read_log(directory: Path) -> dict[str, Any]:
    """Return what a run's study.json says: `notebooks`, and under each name what it ran with."""
    path = directory / "study.json"
    if not path.exists():
        return {"notebooks": {}}
    try:
        log = read_json(path)
        for entry in log["notebooks"].values():
            entry["parameters"], entry["code"], entry["package"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StudyError(
            f"{_told(path)} is not the log of a study. Remove it, and everything runs anew."
        ) from None
    return dict(log)


def _code(notebook: Path) -> str:
    """Return a hash over the code cells: prose may change without a new run."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()[:16]


def _package() -> str:
    folder = Path(__file__).parent
    files = sorted(folder.rglob("*.py"))
    parts = [f"{file.relative_to(folder)}\n".encode() + file.read_bytes() for file in files]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _provenance() -> dict[str, Any]:
    told = {"versions": versions(), "platform": platform.platform()}
    return {**told, "revision": revision() or None}


@contextmanager
def _lock(directory: Path) -> Iterator[int]:
    """Hold the run directory; kernels inherit the lock, so it lasts until the last one is gone."""
    with (directory / ".lock").open("a+") as file:
        patience = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > patience:
                    file.seek(0)
                    raise StudyError(
                        f"Another study (process {file.read().strip()}) is at work in "
                        f"{_told(directory)}. Wait for it, or choose another --run."
                    ) from None
                time.sleep(0.2)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


@contextmanager
def _progress(label: str) -> Iterator[Any]:
    """Print one line for a notebook, with the time passing where a terminal shows it."""
    began = time.monotonic()
    ended = threading.Event()

    def seconds() -> float:
        return time.monotonic() - began

    def tick() -> None:
        while not ended.wait(1):
            print(f"\r{label:<36} {_clock(seconds())}", end="", flush=True)

    print(f"{label:<36} ", end="", flush=True)
    ticker = threading.Thread(target=tick, daemon=True)
    terminal = sys.stdout.isatty()
    if terminal:
        ticker.start()
    word = "stopped after "
    try:
        yield seconds
        word = ""
    finally:
        ended.set()
        if terminal:
            ticker.join()
            print(f"\r{label:<36} ", end="")
        print(word + _clock(seconds()), flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _execute(path: Path, directory: Path, values: dict[str, Any], lock: int) -> int | None:
    """Execute one notebook; its copy appears whole. Return the kernel's peak memory in MiB."""
    from papermill import PapermillExecutionError, execute_notebook

    target = directory / "executed" / path.name
    part, trace = target.with_suffix(".part.ipynb"), target.with_suffix(".log")
    peak: list[int] = []
    try:
        with _surroundings(directory), trace.open("wb") as said:
            execute_notebook(
                str(path),
                str(part),
                parameters=values,
                kernel_name="python3",
                progress_bar=False,
                start_timeout=180,
                cwd=str(project()),
                kernel_manager_class=_kernel_manager(lock, said, peak),
            )
    except (PapermillExecutionError, RuntimeError, OSError) as error:
        full = errno.ENOSPC in (getattr(error, "errno", 0), getattr(error.__cause__, "errno", 0))
        if full:
            raise StudyError(f"The disk is full: {_told(part)} could not be written.") from None
        name, text = type(error).__name__, str(error)
        lines = [text]
        if isinstance(error, PapermillExecutionError):
            name, text, lines = error.ename, error.evalue, error.traceback
        elif "died" in text.lower():
            name, text = "Kernel died", "the most common reason is that memory ran out"
        plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))
        with trace.open("a", encoding="utf-8") as log:
            log.write(plain + "\n")
        shown = "\n".join(f"  {line}" for line in f"{name}: {text}".splitlines()[:8])
        raise NotebookFailed(
            f"{path.stem} failed in {_cell(part)}.\n{shown}\n"
            f"Its log: {_told(trace)}. The notebooks before it are kept; "
            "call again and the study goes on here."
        ) from None
    notebook = read_json(part)
    notebook["metadata"]["papermill"] |= {  # papermill's are absolute paths of this machine
        "input_path": f"notebooks/{path.name}",
        "output_path": f"executed/{path.name}",
    }
    for cell in notebook["cells"]:  # what libraries say of the machine is for the log, not the book
        cell["metadata"] = {
            name: value
            for name, value in cell["metadata"].items()
            if name not in ("papermill", "execution")  # the time of each cell, new in every copy
        }
        if cell["cell_type"] == "code":
            cell["outputs"] = [o for o in cell["outputs"] if o.get("name") != "stderr"]
            for output in cell["outputs"]:
                _lighten(output.get("data", {}))
    write_bytes(target, (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode())
    part.unlink()
    trace.unlink(missing_ok=True)
    return peak[0] if peak else None


def _lighten(data: dict[str, Any]) -> None:
    """Keep a figure of many colours in few: a page of filters would weigh megabytes."""
    if len(data.get("image/png", "")) > HEAVY:
        data["image/png"] = b64encode(in_few_colours(b64decode(data["image/png"]))).decode()


def _cell(part: Path) -> str:
    """Say which cell ran last, counted as in the notebook itself."""
    if not part.exists():
        return "its kernel, before the first cell"
    added = {"injected-parameters", "papermill-error-cell-tag"}
    cells = [c for c in read_json(part)["cells"] if not added & {*c["metadata"].get("tags", [])}]
    began = [i for i, c in enumerate(cells) if c["metadata"].get("papermill", {}).get("start_time")]
    if not began:
        return "its kernel, before the first cell"
    source = "".join(cells[began[-1]]["source"]).strip().splitlines() or [""]
    return f"cell {began[-1] + 1} (`{source[0]}`{' …' if len(source) > 1 else ''})"


@contextmanager
def _surroundings(directory: Path) -> Iterator[None]:
    """Let kernels see this interpreter and nothing of the user's own Jupyter or Keras settings."""
    wanted = {
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),  # first when kernels are found
        "JUPYTER_RUNTIME_DIR": str(directory / ".kernel"),
        "IPYTHONDIR": str(directory / ".kernel"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONHASHSEED": "0",
        "TQDM_DISABLE": "1",  # progress is the runner's to tell; in a copy its bars stand still
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name in wanted.keys() - before:
            del os.environ[name]
        os.environ.update(before)


def _kernel_manager(lock: int, said: BinaryIO, peak: list[int]) -> type:
    """Return a manager whose kernels hold the lock, write to a log and tell their peak memory."""
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):  # the stubs miss that these two are coroutines
        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            await super().start_kernel(pass_fds=(lock,), stderr=said, **options)

        async def shutdown_kernel(self, **options: Any) -> None:  # type: ignore[override]
            status = Path(f"/proc/{getattr(self.provisioner, 'pid', 0)}/status")  # Linux only
            found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text() if status.exists() else "")
            peak.extend([int(found[1]) // 1024] if found else [])
            await super().shutdown_kernel(**options)

    return Manager
