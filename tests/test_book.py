"""The book as configured, and what may stand in a tracked file."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from postergenre import paths

ROOT = paths.project()
PAGES = [ROOT / "index.md", *sorted((ROOT / "book").glob("*.md"))]
EXECUTED = ROOT / "book" / "executed"
PICTURES = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".parquet"}


def tracked() -> list[Path]:
    told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in told.stdout.decode().split("\0") if name]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("book")
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, folder)
    call = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    subprocess.run(
        [sys.executable, "-c", call, "config", "sphinx", str(folder)],
        check=True,
        capture_output=True,
    )
    values: dict[str, Any] = {}
    exec((folder / "conf.py").read_text(), values)
    return values


def test_the_settings_arrive_where_sphinx_reads_them(configuration: dict[str, Any]) -> None:
    # jupyter-book leaves a misplaced key out without a word.
    told = yaml.safe_load((ROOT / "_config.yml").read_text())
    for name, value in told["sphinx"]["config"].items():
        assert configuration[name] == value
    assert configuration["nb_execution_mode"] == "off"
    assert configuration["numfig"] is True
    assert configuration["html_context"] == {"default_mode": "auto"}
    assert configuration["bibtex_bibfiles"] == ["book/references.bib"]
    assert set(told["parse"]["myst_enable_extensions"]) <= set(
        configuration["myst_enable_extensions"]
    )


def test_every_page_of_the_contents_exists_and_every_page_is_in_the_contents() -> None:
    told = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [told["root"]] + [c["file"] for part in told["parts"] for c in part["chapters"]]
    assert len(listed) == len(set(listed))
    written = [path.relative_to(ROOT).with_suffix("").as_posix() for path in PAGES]
    chapters = [
        f"book/executed/{path.stem}" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    ]
    assert sorted(listed) == sorted(written + chapters)


def computed() -> dict[str, set[str]]:
    """Return the keys whose values stand in the published run's copies, by notebook."""
    found: dict[str, set[str]] = {}
    for path in sorted(EXECUTED.glob("*.ipynb")):
        found[path.stem] = set()
        for cell in json.loads(path.read_text())["cells"]:
            for output in cell.get("outputs", []):
                key = output.get("metadata", {}).get("scrapbook", {}).get("name", "")
                found[path.stem].add(key.removeprefix("application/papermill.record/"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_number_a_page_takes_from_a_chapter_was_computed_there(page: Path) -> None:
    known = computed()
    for chapter, key in re.findall(r"executed/(\w+)\.ipynb::(\w+)", page.read_text()):
        assert key in known[chapter], f"{chapter} computes no {key}"


def test_no_picture_is_tracked_but_drawn_vector_graphics() -> None:
    pictures = [path for path in tracked() if path.suffix.lower() in PICTURES]
    assert pictures == []
    assert {path.suffix for path in (ROOT / "book" / "_static").iterdir()} <= {
        ".svg",
        ".css",
        ".json",
    }


def test_every_image_of_a_page_has_an_alternative_text() -> None:
    for page in PAGES:
        text = page.read_text()
        for block in re.findall(r"```\{(?:figure|image)\}.*?```", text, re.DOTALL):
            alt = re.search(r"^:alt: (.+)$", block, re.MULTILINE)
            assert alt is not None, page
            assert len(alt[1]) > 30, page
        assert not re.search(r"!\[\s*\]\(", text), page


def test_no_tracked_file_holds_a_path_of_one_machine_or_the_address_of_a_registry() -> None:
    # The words are put together here, so that this file does not hold them.
    registries = [".".join(words) for words in (("pypi", "org"), ("pythonhosted", "org"))]
    registries += [".".join(words) for words in (("anaconda", "org"), ("npmjs", "org"))]
    homes = [rf"(?<![\w.$])/{name}/\w" for name in ("work", "home", "root", "Users", "tmp")]
    barred = re.compile("|".join([*map(re.escape, registries), *homes]))
    for path in tracked():
        if path.suffix in {".h5", ".keras", ".tflite"} or not path.is_file():
            continue
        found = barred.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)} holds {found and found[0]}"
