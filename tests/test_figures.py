from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import jpeg, record

from postergenre import corpus, figures

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def report(*rows: tuple[str, float, float, float, float]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["measure", "value", "low", "high", "base"])
    return table.set_index("measure")


def test_a_figure_is_drawn_into_the_given_axes_and_leaves_the_style_alone() -> None:
    before = dict(plt.rcParams)
    _fig, ax = plt.subplots()
    assert figures.counts(pd.Series({"Drama": 4, "War": 2}), ax=ax) is ax
    assert dict(plt.rcParams) == before
    assert len(plt.get_fignums()) == 1


def test_bars_tell_their_numbers_with_the_largest_on_top() -> None:
    ax = figures.counts(pd.Series({"War": 2, "Drama": 1400}))
    assert [text.get_text() for text in ax.texts] == ["2", "1,400"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["War", "Drama"]


def test_a_confusion_matrix_is_in_per_cent_of_the_true_genre() -> None:
    table = pd.DataFrame([[3, 1], [0, 0]], index=["A", "B"], columns=["A", "B"])
    texts = [text.get_text() for text in figures.confusion(table).texts]
    assert texts == ["75", "25", "0", "0"]


def test_scores_stand_beside_their_base_rate() -> None:
    ax = figures.against_base(
        report(("macro_auroc", 0.8, 0.7, 0.9, 0.5), ("map", 0.4, 0.3, 0.5, 0.2))
    )
    assert [label.get_text() for label in ax.get_yticklabels()] == ["macro AUROC", "mAP"]
    (marks,) = [c for c in ax.collections if c.get_label() == "base rate"]
    assert np.asarray(marks.get_offsets())[:, 0].tolist() == [0.5, 0.2]


def test_a_comparison_has_a_panel_a_measure_and_a_row_a_network() -> None:
    one = report(("macro_auroc", 0.8, 0.7, 0.9, 0.5), ("map", 0.4, 0.3, 0.5, 0.2))
    fig = figures.comparison({"first": one, "second": one}, ["macro_auroc", "map"])
    assert [ax.get_title(loc="left") or ax.get_title() for ax in fig.axes] == ["macro AUROC", "mAP"]
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["first", "second"]


def test_withheld_posters_leave_a_note_and_no_picture(run: str) -> None:
    corpus.collect(run, [(record(n), jpeg(n), None) for n in range(3)])
    films = corpus.finish(run, {"source": "x"})
    shown = figures.posters(run, films)
    assert sum(bool(ax.images) for ax in shown.axes) == 3
    for fig in (
        figures.posters(run, films.head(0)),
        figures.explained(np.empty((0, 9, 6, 3), np.uint8), np.empty((0, 1, 1)), []),
    ):
        assert not any(ax.images for ax in fig.axes)
        assert "not shown" in fig.axes[0].texts[0].get_text()


def test_a_heat_map_brightens_its_own_place() -> None:
    poster = np.full((1, 60, 40, 3), 100, dtype=np.uint8)
    heat = np.zeros((1, 6, 4))
    heat[0, 1, 1] = 1
    fig = figures.explained(poster, heat, ["Drama"])
    picture = np.asarray(fig.axes[0].images[0].get_array())
    assert picture[15, 15].sum() > picture[50, 30].sum() + 0.5


def test_coverage_starts_where_twenty_films_are_answered() -> None:
    right = np.ones(50, dtype=bool)
    curve = pd.DataFrame({"coverage": np.arange(1, 51) / 50, "accuracy": right.astype(float)})
    ax = figures.coverage({"network": curve}, base=0.4)
    assert np.asarray(ax.lines[0].get_xdata())[0] == 0.4
