"""The shape of the notebooks: what a reader and papermill can rely on in each of them."""

import ast
import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest

from postergenre import paths

NAMES = (
    "01_collect_posters",
    "02_genre_distribution",
    "03_custom_cnn",
    "04_vgg16_transfer",
    "05_custom_cnn_layers",
    "06_vgg16_layers",
    "07_comparison",
    "08_how_far",
    "09_visual_language",
)
FOLDER = paths.project() / "notebooks"
EXECUTED = paths.project() / "book" / "executed"


def cells(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_text())["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in found]


def tags(cell: dict[str, Any]) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def code(name: str) -> list[dict[str, Any]]:
    return [cell for cell in cells(FOLDER / f"{name}.ipynb") if cell["cell_type"] == "code"]


def prose(name: str) -> list[str]:
    return [c["source"] for c in cells(FOLDER / f"{name}.ipynb") if c["cell_type"] == "markdown"]


def test_the_study_has_its_nine_notebooks() -> None:
    assert tuple(path.stem for path in sorted(FOLDER.glob("*.ipynb"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_opens_with_title_promise_and_short_answer(name: str) -> None:
    first, second, third = prose(name)[:3]
    assert re.match(r"\([a-z0-9-]+\)=\n# .+\n\nAt the end of this chapter you ", first)
    assert second.startswith("**In short**")
    assert second.count("\n- ") == 3
    assert "{glue:text}" in second
    assert "What goes in" in third
    assert "What comes out" in third


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_few_typed_literals_with_a_comment(name: str) -> None:
    (cell,) = [cell for cell in code(name) if "parameters" in tags(cell)]
    lines = cell["source"].splitlines()
    assert 1 <= len(lines) <= 9
    assert lines[0].startswith('run: str = "runs/demo"')
    for node in ast.parse(cell["source"]).body:
        assert isinstance(node, ast.AnnAssign)
        ast.literal_eval(node.value)  # type: ignore[arg-type]
    assert all("  # " in line or line.startswith("majors") for line in lines)
    assert all(line.split("#")[0].count("=") == 1 for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_no_shell_no_path_tricks_and_no_blanket_filters(name: str) -> None:
    for cell in code(name):
        source = cell["source"]
        assert not re.search(r"^\s*[!%]", source, re.MULTILINE)
        assert "sys.path" not in source
        assert "filterwarnings" not in source
        assert "simplefilter" not in source


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_caption_name_and_alt_text(name: str) -> None:
    drawn = [
        cell for cell in code(name) if re.search(r"^(fig|ax)\b.* = ", cell["source"], re.MULTILINE)
    ]
    for cell in drawn:
        told = cell["metadata"].get("mystnb", {})
        assert told["figure"]["name"].startswith("fig-")
        assert len(told["figure"]["caption"]) > 20
        assert len(told["image"]["alt"]) > 20
    names = [cell["metadata"]["mystnb"]["figure"]["name"] for cell in drawn]
    assert len(names) == len(set(names))


def test_cells_are_short_and_carried_by_prose() -> None:
    lengths, words, total = [], 0, 0
    for name in NAMES:
        shown = [cell["source"] for cell in code(name) if not tags(cell) & {"remove-cell"}]
        lengths += [len(source.strip().splitlines()) for source in shown]
        total += sum(len(source.strip().splitlines()) for source in shown)
        words += sum(len(text.split()) for text in prose(name))
    assert statistics.median(lengths) <= 7
    assert sorted(lengths)[int(0.9 * len(lengths))] <= 15
    assert max(lengths) <= 25
    assert words / total >= 8


def test_at_least_half_of_the_cells_with_output_are_compared() -> None:
    told = paths.project().joinpath("CONTRIBUTING.md").read_text()
    shown = [cell for name in NAMES for cell in code(name) if cell["outputs"]]
    compared = [cell for cell in shown if "nbval-ignore-output" not in tags(cell)]
    assert len(compared) >= len(shown) / 2
    assert f"{len(compared)} of {len(shown)}" in told


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_outputs_are_whole_and_hold_no_traceback(name: str) -> None:
    kinds = [output["output_type"] for cell in code(name) for output in cell["outputs"]]
    assert kinds
    assert "error" not in kinds
    assert all(cell["execution_count"] for cell in code(name))


@pytest.mark.parametrize("name", NAMES)
def test_an_executed_copy_has_the_code_of_its_source(name: str) -> None:
    path = EXECUTED / f"{name}.ipynb"
    source = [cell["source"] for cell in code(name)]
    copied = [
        cell["source"]
        for cell in cells(path)
        if cell["cell_type"] == "code" and "injected-parameters" not in tags(cell)
    ]
    assert copied == source
    text = [cell["source"] for cell in cells(path) if cell["cell_type"] == "markdown"]
    assert text == prose(name)


def test_all_executed_copies_belong_to_one_corpus_of_real_posters_and_show_none() -> None:
    prints = set()
    for name in NAMES:
        text = (EXECUTED / f"{name}.ipynb").read_text()
        prints |= set(re.findall(r"corpus fingerprint\s+([0-9a-f]{16})", text))
        for cell in cells(EXECUTED / f"{name}.ipynb"):
            for part in cell.get("outputs", []):
                kinds = set(part.get("data", {}))
                assert not kinds & {"image/jpeg", "image/webp", "image/gif"}
    assert len(prints) == 1
    shown = (EXECUTED / "01_collect_posters.ipynb").read_text()
    assert "'may_show_posters': False" in shown or re.search(r"may_show_posters\s+False", shown)


def test_the_numbers_for_machines_are_those_of_the_book() -> None:
    told = json.loads((EXECUTED / "results.json").read_text())
    text = (EXECUTED / "07_comparison.ipynb").read_text()
    assert f"corpus fingerprint  {told['fingerprint']}" in re.sub(
        r"fingerprint\s+", "fingerprint  ", text
    )
    assert set(told["films"]) == {"train", "validation", "test"}
    measures = {
        "macro_auroc", "macro_f1", "micro_f1", "map", "hit_at_1", "hit_at_3",
        "label_accuracy", "balanced_top1", "coverage_at_85", "ece",
    }  # fmt: skip
    named = {
        "custom_cnn",
        "custom_cnn_distilled",
        "vgg16",
        "frozen_vgg16_linear",
        "genre_frequencies",
    }
    for name in named:
        network = told["networks"][name]
        assert measures <= set(network)
        for row in (network[measure] for measure in measures):
            assert set(row) == {"value", "low", "high", "base"}
            assert 0 <= row["low"] <= row["high"] <= 1
    glued = {
        output["metadata"]["scrapbook"]["name"]: "".join(next(iter(output["data"].values())))
        for cell in cells(EXECUTED / "07_comparison.ipynb")
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
    }
    answered = glued["answer_network"].strip("'").lower().replace(" ", "_")
    answer = told["networks"][answered]
    for name, measure in (
        ("answer_macro_auroc", "macro_auroc"),
        ("answer_balanced_top1", "balanced_top1"),
    ):
        assert float(glued[name]) == pytest.approx(answer[measure]["value"])
