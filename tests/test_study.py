import base64
import fcntl
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from PIL import Image

from postergenre import __main__ as command_line
from postergenre import book, paths, study
from postergenre.errors import ParameterError, StudyError
from postergenre.parameters import parameters, read_parameters, settle

FIRST = 'run: str = "runs/x"\ncount: int = 3\nrate: float = 0.5\nnames: list = ["a", "b"]\nyears: list = [3, 4]'
SECOND = 'run: str = "runs/x"\ncount: int = 4\nshow: bool = False\ntitle: str = "none"\nprecision: str = "float32"'
# Each notebook leaves a line behind whenever it runs.
TRACE = "from pathlib import Path\nwith open(Path(run, 'trace'), 'a') as f: f.write('{} ')"


def write(path: Path, *sources: str) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "somebody-elses-kernel", "language": "python", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "notebooks/01_first.ipynb", FIRST, TRACE.format(1))
    write(tmp_path / "notebooks/02_second.ipynb", SECOND, TRACE.format(2))
    return tmp_path / "notebooks"


def trace(run: Path) -> list[str]:
    return (run / "trace").read_text().split()


def settled(folder: Path, *given: tuple[str, str], **file: Any) -> dict[str, dict[str, Any]]:
    return settle(parameters(sorted(folder.glob("*.ipynb"))), file=file, given=given)


def wait_for(true: Callable[[], bool], *, seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_parameter_reaches_every_notebook_that_has_it(folder: Path) -> None:
    values = settled(folder, count=9, title="x")
    assert values["01_first"] == {"count": 9, "rate": 0.5, "names": ["a", "b"], "years": [3, 4]}
    assert values["02_second"] == {
        "count": 9, "show": False, "title": "x", "precision": "float32"
    }  # fmt: skip


def test_a_section_is_for_one_notebook_and_the_command_line_wins(folder: Path) -> None:
    values = settled(folder, ("count", "11"), ("02.count", "12"), **{"02_second": {"count": 10}})
    assert values["01_first"]["count"] == 11
    assert values["02_second"]["count"] == 12
    values = settled(folder, **{"02_second": {"count": 10}, "count": 9})
    assert (values["01_first"]["count"], values["02_second"]["count"]) == (9, 10)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", "2", 2.0),
        ("rate", "1e-3", 0.001),
        ("names", "[c, d]", ["c", "d"]),
        ("names", "c,d", ["c", "d"]),
        ("show", "TRUE", True),
        ("title", "12", "12"),
    ],
)
def test_the_command_line_is_read_in_the_type_of_the_parameter(
    folder: Path, name: str, text: str, value: object
) -> None:
    found = [its[name] for its in settled(folder, (name, text)).values() if name in its]
    assert found[0] == value
    assert type(found[0]) is type(value)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"counts": 3}, "no parameter counts. Did you mean count?"),
        ({"run": "x"}, "chosen by --run"),
        ({"03_third": {"count": 3}}, "no notebook 03_third"),
        ({"02_second": {"rate": 0.1}}, "no parameter 02_second.rate"),
        ({"count": "many"}, 'count: expected a whole number like 3, came "many" (text)'),
        ({"count": "3"}, 'came "3" (text)'),
        ({"count": 2.5}, "came 2.5 (a number)"),
        ({"count": True}, "came true (true or false)"),
        ({"rate": "1e-3"}, "write 0.001 or 1.0e-3"),
        ({"title": 5}, "expected text"),
        ({"show": 1}, "expected true or false"),
        ({"names": "a"}, "expected a list"),
        ({"names": [1]}, "expected a list like"),
        ({"count": None}, "came null (nothing)"),
        ({"count": 0}, "count: expected 1 or more, came 0"),
        ({"rate": -0.1}, "rate: expected 0 or more, came -0.1"),
        ({"rate": float("nan")}, "expected 0 or more, came nan"),
        ({"rate": float("inf")}, "expected 0 or more, came inf"),
        ({"names": []}, "names: expected a list like"),
        ({"precision": "float16"}, 'expected float32 or mixed_bfloat16, came "float16"'),
        ({"years": [3, 0]}, "years: expected 1 or more, came [3, 0]"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_list_of_what_exists(
    folder: Path, file: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError) as refused:
        settled(folder, **file)
    assert message in str(refused.value)
    assert "02_second: count (a whole number, 4), show (true or false, false)" in str(refused.value)


def test_a_notebook_or_run_without_a_name_is_refused(folder: Path, tmp_path: Path) -> None:
    for only, start in (("", None), (None, ""), ("\u00b3", None)):
        with pytest.raises(ParameterError, match="There is no notebook"):
            study.study(tmp_path / "run", folder=folder, only=only, start=start)
    with pytest.raises(StudyError, match="Expected the directory of a run"):
        study.study("", folder=folder)


def test_what_cannot_be_read_as_parameters_is_refused(tmp_path: Path) -> None:
    for number, text in enumerate(["day: 2020-13-45", "years: " + "[" * 5000]):
        (tmp_path / f"{number}.yml").write_text(text)
        with pytest.raises(ParameterError, match="is not YAML"):
            read_parameters(tmp_path / f"{number}.yml")


def test_text_for_a_number_on_the_command_line_is_refused_before_anything_runs(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match="expected a whole number like 3, came many"):
        study.study(tmp_path / "run", folder=folder, given=[("count", "many")])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "just words"])
def test_a_file_that_holds_no_parameters_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.yml").write_text(text)
    with pytest.raises(ParameterError, match=r"own\.yml"):
        read_parameters(tmp_path / "own.yml")


def test_a_study_runs_once_and_what_changes_runs_again_with_all_that_follows(
    folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert study.study(run, folder=folder)
    log = json.loads((run / "study.json").read_text())["notebooks"]
    assert log["01_first"]["parameters"] == {
        "count": 3,
        "rate": 0.5,
        "names": ["a", "b"],
        "years": [3, 4],
    }
    assert log["01_first"]["seconds"] > 0
    assert set(log["01_first"]["versions"]) >= {"python", "tensorflow", "keras", "numpy"}
    if sys.platform == "linux":
        assert 10 < log["01_first"]["peak_memory_mib"] < 1000
    assert sorted(p.name for p in (run / "executed").iterdir()) == [
        "01_first.ipynb",
        "02_second.ipynb",
    ]
    assert str(folder) not in (run / "executed/01_first.ipynb").read_text()
    assert study.study(run, folder=folder)
    assert trace(run) == ["1", "2"]
    assert study.study(run, folder=folder, given=[("title", "new")])
    assert trace(run) == ["1", "2", "2"]
    assert not study.study(run, folder=folder, given=[("title", "new")], only="1")
    assert trace(run) == ["1", "2", "2", "1"]
    assert study.study(run, folder=folder, given=[("title", "new"), ("01_first.count", "5")])
    assert trace(run) == ["1", "2", "2", "1", "1", "2"]


def test_a_heavy_figure_is_kept_in_few_colours_and_a_light_one_as_it_is(tmp_path: Path) -> None:
    draw = """import io
import numpy as np
from IPython.display import Image, display
from PIL import Image as Picture
for side in (100, 600):
    noise = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Picture.fromarray(noise).save(file := io.BytesIO(), "png")
    display(Image(file.getvalue()))"""
    write(tmp_path / "notebooks/01_first.ipynb", FIRST, draw)
    assert study.study(tmp_path / "run", folder=tmp_path / "notebooks")
    copy = nbformat.read(tmp_path / "run/executed/01_first.ipynb", as_version=4)
    found = [base64.b64decode(output.data["image/png"]) for output in copy.cells[-1].outputs]
    light, heavy = (Image.open(io.BytesIO(figure)) for figure in found)
    assert (light.mode, light.size) == ("RGB", (100, 100))
    assert (heavy.mode, heavy.size) == ("P", (600, 600))
    assert len(found[1]) < 600 * 600 * 1.1
    noise = np.random.default_rng(1).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    apart = np.asarray(heavy.convert("RGB"), dtype=float) - noise
    assert np.sqrt((apart**2).mean()) < 25  # of 256; another noise is 104 apart


def test_a_failed_notebook_says_where_and_the_next_call_goes_on_from_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    run = tmp_path / "run"
    write(folder / "02_second.ipynb", SECOND, "1 + 1", "def f():\n    return 1 / 0", "f()")
    monkeypatch.setattr(study, "project", lambda: tmp_path)
    monkeypatch.setattr("postergenre.paths.project", lambda: tmp_path)
    assert command_line.main(["study", "--run", "run", "--no-book"]) == 1
    out, told = capsys.readouterr()
    assert "[1/2] 01_first" in out
    assert "02_second failed in cell 4 (`f()`)." in told
    assert "ZeroDivisionError: division by zero" in told
    assert "Its log: run/executed/02_second.log" in told
    assert len(told.splitlines()) == 3  # no traceback, no chatter of the kernel
    assert "return 1 / 0" in (run / "executed/02_second.log").read_text()
    write(folder / "02_second.ipynb", SECOND, TRACE.format(2))
    assert command_line.main(["study", "--run", "run", "--no-book"]) == 0
    assert trace(run) == ["1", "2"]
    assert not (run / "executed/02_second.log").exists()


def test_a_kernel_that_dies_is_told_as_such(folder: Path, tmp_path: Path) -> None:
    write(folder / "01_first.ipynb", FIRST, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(study.NotebookFailed, match=r"cell 2 .*\n  Kernel died: .*memory"):
        study.study(tmp_path / "run", folder=folder)


def test_kill_9_in_a_notebook_leaves_no_kernel_and_the_next_call_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    run, kernel = tmp_path / "run", tmp_path / "kernel"
    # Sleeps the first time only: the second time the file is there.
    slow = f"import os, time\np = Path({str(kernel)!r}); new = not p.exists()\n"
    slow += "p.write_text(str(os.getpid()))\nif new: time.sleep(600)"
    write(folder / "02_second.ipynb", SECOND, TRACE.format(2), slow)
    call = "import sys; from pathlib import Path; from postergenre.study import study; "
    call += "study(Path(sys.argv[1]), folder=Path(sys.argv[2]))"
    killed = subprocess.Popen([sys.executable, "-c", call, str(run), str(folder)])
    try:
        wait_for(lambda: kernel.exists() and kernel.read_text() != "")
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    before = json.loads((run / "study.json").read_text())["notebooks"]
    assert list(before) == ["01_first"]
    orphan = int(kernel.read_text())
    assert study.study(run, folder=folder)  # waits for the orphan, which holds the lock
    assert not alive(orphan)
    assert trace(run) == ["1", "2", "2"]
    assert list((run / "executed").glob("*.part.ipynb")) == []


def test_ctrl_c_keeps_what_is_done_and_says_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "_toc.yml").write_text("{}")
    started = tmp_path / "started"
    slow = f"import os, time\nPath({str(started)!r}).write_text(str(os.getpid()))\ntime.sleep(600)"
    write(folder / "02_second.ipynb", SECOND, TRACE.format(2), slow)
    words = [sys.executable, "-m", "postergenre", "study", "--run", "run", "--no-book"]
    surroundings = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    stopped = subprocess.Popen(
        words,
        cwd=tmp_path,
        env=surroundings,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a script inherits that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        wait_for(lambda: started.exists() and started.read_text() != "")
        stopped.send_signal(signal.SIGINT)
        _, told = stopped.communicate(timeout=20)
    finally:
        stopped.kill()
    assert stopped.returncode == 130
    assert told.strip() == "Stopped. What is finished is kept; call again and it goes on."
    wait_for(lambda: not alive(int(started.read_text())), seconds=5)
    assert list(json.loads((tmp_path / "run/study.json").read_text())["notebooks"]) == ["01_first"]


def test_a_second_study_in_the_same_run_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "PATIENCE", 0.2)
    with (tmp_path / ".lock").open("w") as other:
        other.write("4711")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StudyError, match=r"process 4711.* is at work"):
            study.study(tmp_path, folder=folder)


def test_a_full_disk_is_told_before_anything_runs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(9e9, 8.9e9, 1e8))
    with pytest.raises(StudyError, match=r"needs 2\.0 GB of free disk space, and .* has 0\.1"):
        study.study(tmp_path / "run", folder=folder)


def test_a_folder_without_notebooks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="is this the checkout"):
        study.study(tmp_path / "run", folder=tmp_path)


def test_the_book_shows_the_run_and_a_warning_fails_it(folder: Path, tmp_path: Path) -> None:
    root, run = tmp_path, tmp_path / "run"
    (root / "_config.yml").write_text('title: T\nexecute:\n  execute_notebooks: "off"\n')
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: book/executed/01_first\n"
        "- file: book/executed/02_second\n"
    )
    (root / "index.md").write_text("# The start\n")
    shown = "```{literalinclude} ../postergenre/shown.py\n```\n"
    for name, text in (("book/prose.md", f"# Prose\n\n{shown}"), ("postergenre/shown.py", "a = 1")):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    for name in ("01_first", "02_second"):
        cells = [nbformat.v4.new_markdown_cell(f"# Title of {name}")]
        (run / "executed").mkdir(parents=True, exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), run / f"executed/{name}.ipynb")
    with pytest.raises(StudyError, match="postergenre study --run"):
        book.build(run, root=root)
    (run / "study.json").write_text('{"notebooks": {"01_fi')
    with pytest.raises(StudyError, match=r"study\.json is not the log of a study"):
        book.build(run, root=root)
    entry = {"parameters": {}, "code": "", "package": ""}
    paths.write_json(run / "study.json", {"notebooks": {"01_first": entry, "02_second": entry}})
    (root / "_toc.yml").write_text((root / "_toc.yml").read_text() + "- file: book/prose\n")
    page = book.build(run, root=root)
    assert page == run / "book/_build/html/index.html"
    assert "vegaEmbed" in (run / "book/source/book/_static/vega.js").read_text()
    assert "Title of 01_first" in (page.parent / "book/executed/01_first.html").read_text()
    prose = re.sub("<[^>]+>", "", (page.parent / "book/prose.html").read_text())
    assert "a = 1" in prose
    (root / "index.md").write_text("# The start\n\n{ref}`nowhere`\n")
    with pytest.raises(StudyError, match=r"index\.md:3: WARNING.*nowhere"):
        book.build(run, root=root)


def test_the_headline_is_a_table_of_text(tmp_path: Path) -> None:
    assert book.headline(tmp_path) == ""
    table = {"columns": ["reading", "CNN"], "rows": [["top-1", 0.41234], ["films", 12]]}
    (tmp_path / "headline.json").write_text(json.dumps(table))
    assert book.headline(tmp_path).splitlines() == [
        "reading    CNN",
        "--------------",
        "top-1    0.412",
        "films       12",
    ]
