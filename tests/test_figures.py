import json
import re
from collections.abc import Iterator
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import jpeg, record
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

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


def test_withheld_posters_leave_a_note_and_no_picture(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus.collect(run, [(record(n), jpeg(n), None) for n in range(3)])
    films = corpus.finish(run, {"source": "x"})
    shown = figures.posters(run, films)
    assert sum(bool(ax.images) for ax in shown.axes) == 3
    (alone,) = figures.posters(run, films.head(0)).axes
    assert not alone.images
    assert "not shown" in alone.texts[0].get_text()
    assert figures.explained(np.empty((0, 9, 6, 3), np.uint8), np.empty((0, 1, 1)), []) is None
    assert capsys.readouterr().out == f"{figures.WITHHELD}\n"


def test_a_heat_map_brightens_its_own_place() -> None:
    poster = np.full((1, 60, 40, 3), 100, dtype=np.uint8)
    heat = np.zeros((1, 6, 4))
    heat[0, 1, 1] = 1
    fig = figures.explained(poster, heat, ["Drama"])
    assert fig is not None
    picture = np.asarray(fig.axes[0].images[0].get_array())
    assert picture[15, 15].sum() > picture[50, 30].sum() + 0.5


def test_coverage_starts_where_twenty_films_are_answered() -> None:
    right = np.ones(50, dtype=bool)
    curve = pd.DataFrame({"coverage": np.arange(1, 51) / 50, "accuracy": right.astype(float)})
    ax = figures.coverage({"network": curve}, base=0.4)
    assert np.asarray(ax.lines[0].get_xdata())[0] == 0.4


def palette() -> pd.DataFrame:
    """Return two genres' shares of three colours, of which the third is rare."""
    colours = pd.DataFrame(
        {"colour": [0, 1, 2], "red": [220, 20, 250], "green": [20, 20, 250], "blue": [20, 30, 250]}
    )
    one = colours.assign(genre="Horror", share=[0.2, 0.795, 0.005], lift=[3.0, 1.0, 9.0])
    other = colours.assign(genre="Comedy", share=[0.1, 0.1, 0.8], lift=[0.5, 0.5, 4.0])
    return pd.concat([one, other], ignore_index=True)


def test_a_genre_shows_its_own_colours_as_wide_as_their_lift_and_no_rare_ones() -> None:
    ax = figures.swatches(palette(), most=2)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Comedy", "Horror"]
    assert [text.get_text() for text in ax.texts] == ["4.0", "0.5", "3.0", "1.0"]
    bars = [bar for bar in ax.patches if isinstance(bar, Rectangle)]
    assert [bar.get_width() for bar in bars[2:]] == pytest.approx([0.75, 0.25])
    assert bars[2].get_facecolor()[:3] == pytest.approx((220 / 255, 20 / 255, 20 / 255))
    assert ax.texts[0].get_color() == "black"  # on a light colour
    assert ax.texts[3].get_color() == "white"


def test_only_differences_to_be_believed_are_drawn() -> None:
    table = pd.DataFrame({"warmth": [0.52, -0.3], "detail": [0.1, 0.2]}, index=["A", "B"])
    sure = table.abs() > 0.25
    ax = figures.contrasts(table, sure, label="standard deviations", reach=1.0)
    assert [text.get_text() for text in ax.texts] == ["0.5", "-0.3"]
    ax = figures.contrasts(table, sure, label="AUROC", reach=0.3)
    assert [text.get_text() for text in ax.texts] == ["0.52", "-0.30"]
    (mesh,) = [c for c in ax.collections if c.get_array() is not None]
    assert mesh.get_clim() == (-0.3, 0.3)
    ax = figures.contrasts(table, sure & False, label="standard deviations", reach=1.0)
    assert list(ax.texts) == []
    assert [label.get_text() for label in ax.get_yticklabels()] == ["A", "B"]


def test_curves_of_deletion_and_insertion_stand_beside_those_of_chance() -> None:
    endings = ("", " at random", " from the centre")
    names = [f"{kind}{ending}" for kind in ("deletion", "insertion") for ending in endings]
    curves = pd.DataFrame(np.linspace(0, 0.9, 18).reshape(3, 6), [0, 0.5, 1], names)
    fig, axs = plt.subplots(1, 2)
    assert figures.faithfulness(curves, axs) is axs
    fig.canvas.draw()
    for ax, kind in zip(axs, ("deletion", "insertion"), strict=True):
        assert ax.get_title() == kind.capitalize()
        for line, ending in zip(ax.lines, endings, strict=True):
            drawn = np.asarray(line.get_ydata(), float)
            np.testing.assert_allclose(drawn, curves[f"{kind}{ending}"])


def test_a_network_that_forgets_is_drawn_from_its_end_beside_another_posters_map() -> None:
    table = pd.DataFrame(
        {"likeness": [0.6, 0.1, 0.3], "low": [0.5, 0.0, 0.2], "high": [0.7, 0.2, 0.4]},
        index=["logits", "conv1", "another poster's map"],
    )
    ax = figures.forgetting(table)
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["logits", "conv1"]
    levels = {str(line.get_label()): np.asarray(line.get_ydata())[0] for line in ax.lines}
    assert levels["map of another poster"] == 0.3
    assert levels["as trained"] == 1
    (band,) = [one for one in ax.patches if isinstance(one, Rectangle)]
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.2, 0.4))


def test_the_reading_of_layers_is_drawn_with_its_interval_and_without_the_other_columns() -> None:
    table = pd.DataFrame(
        {"linear reading": [0.6, 0.7], "low": [0.5, 0.6], "high": [0.7, 0.8], "behind": [0.1, 0]},
        index=["conv1", "conv2"],
    ).assign(**{"best channel": [0.55, 0.56]})
    ax = figures.depth(table)
    lines = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in ax.lines}
    assert lines == {
        "linear reading": [0.6, 0.7], "best channel": [0.55, 0.56], "chance": [0.5, 0.5]
    }  # fmt: skip
    (band,) = ax.collections
    heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
    assert (heights.min(), heights.max()) == (0.5, 0.8)


def test_a_genres_decades_stand_beside_those_of_the_others_and_a_measure_without_any_stays_empty() -> (
    None
):
    table = pd.DataFrame(
        {
            "decade": [1980, 1980, 1990, 1990],
            "films": ["other", "the genre's"] * 2,
            "mean": [1.0, 2.0, 3.0, 4.0],
        }
    )
    table = table.assign(low=table["mean"] - 1, high=table["mean"] + 1)
    tables = {"warmth": table, "detail": table.head(0), "colour": table, "contrast": table}
    fig = figures.trends(tables, genre="Horror")
    fig.canvas.draw()
    first, second, *_ = fig.axes
    drawn = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in first.lines}
    assert drawn == {"Horror": [2, 4], "other films": [1, 3]}
    assert [line.get_color() for line in first.lines if line.get_label() == "other films"] == [
        figures.BASE
    ]
    assert all(len(np.asarray(line.get_ydata())) == 0 for line in second.lines)
    assert [ax.get_title() for ax in fig.axes if ax.axison] == list(tables)
    assert len(fig.axes) == 6


def films() -> pd.DataFrame:
    """Return four films in the space of genres; one has a title that could end a script."""
    return pd.DataFrame(
        {
            "x": [0.123, 1, 2, 3.5],
            "y": [3.0, 2, 1, 0],
            "genre": ["Horror", "Horror", "Comedy", "Comedy"],
            "title": ["</script><b>Night", "Ü", "Laughter & Co", 'The "Best"'],
            "year": pd.array([1980, None, 1999, 2001], dtype="Int64"),
            "genres": ["Horror", "Horror, Drama", "Comedy", "Comedy"],
        }
    )


def test_a_space_of_films_names_each_genre_at_its_middle() -> None:
    ax = figures.space(films())
    ax.figure.canvas.draw()
    names = {text.get_text(): text.get_position() for text in ax.texts}
    assert names == {"Comedy": (2.75, 0.5), "Horror": (pytest.approx(0.5615), 2.5)}
    assert [len(np.asarray(dots.get_offsets())) for dots in ax.collections] == [2, 2]
    assert not figures.space(films().head(0)).texts


def test_a_poster_stands_beside_its_maps_layer_by_layer_or_a_note_in_its_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    posters = np.full((1, 48, 32, 3), 90, np.uint8)
    heats: dict[str, NDArray[np.floating]] = {"conv1": np.eye(6)[None], "conv5": np.ones((1, 3, 2))}
    fig = figures.through_layers(posters, heats)
    assert fig is not None
    fig.canvas.draw()
    assert [ax.get_title() for ax in fig.axes] == ["poster", "conv1", "conv5"]
    assert np.asarray(fig.axes[1].images[0].get_array()).shape == (6, 6)
    none: dict[str, NDArray[np.floating]] = {name: one[:0] for name, one in heats.items()}
    assert figures.through_layers(posters[:0], none) is None
    assert capsys.readouterr().out == f"{figures.WITHHELD}\n"


def test_signed_pictures_share_one_range_when_asked_and_each_has_its_own_otherwise() -> None:
    images = np.stack([np.eye(4), -3 * np.eye(4)])
    fig = figures.pictures(images, ["a", "b"], columns=2, reach=5.0)
    assert [ax.images[0].get_clim() for ax in fig.axes] == [(-5, 5), (-5, 5)]
    fig = figures.pictures(images, ["a", "b"], columns=2)
    assert [ax.images[0].get_clim() for ax in fig.axes] == [(0, 1), (-3, 0)]


def spec_of(html: str) -> dict[str, Any]:
    """Return the chart that a page would draw, read as a browser reads a script."""
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    start = script.index('"#') + script[script.index('"#') :].index("{")
    return dict(json.JSONDecoder().raw_decode(script[start:])[0])


def rows_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    (rows,) = spec["datasets"].values()
    return list(rows)


def atlas() -> pd.DataFrame:
    return pd.DataFrame([[0.71234, 0.5], [0.2, 0.9]], index=[3, 11], columns=["Horror", "Comedy"])


def charts() -> list[figures.Interactive]:
    return [
        figures.interactive_space(films()),
        figures.interactive_atlas(atlas(), name="channels"),
    ]


def test_an_interactive_figure_asks_no_other_host_for_anything() -> None:
    for chart in charts():
        html = chart._repr_html_()
        assert "http" not in html
        assert "//" not in html.replace(figures.Interactive.SCRIPT, "")
        assert figures.Interactive.SCRIPT in html
        assert f'<div id="{chart.name}"' in html
        assert f'vegaEmbed("#{chart.name}"' in html


def test_a_title_cannot_end_the_script_and_is_told_as_it_is() -> None:
    html = figures.interactive_space(films())._repr_html_()
    assert html.count("</script>") == 1
    assert "<b>" not in html
    rows = rows_of(spec_of(html))
    assert [row["title"] for row in rows] == films()["title"].tolist()
    assert rows[0]["x"] == 0.12
    assert [row["year"] for row in rows] == [1980, None, 1999, 2001]


def test_an_interactive_figure_is_the_same_for_the_same_input() -> None:
    first, again = ([chart._repr_html_() for chart in charts()] for _ in range(2))
    assert first == again


def test_an_interactive_atlas_holds_every_channel_and_genre_in_order() -> None:
    spec = spec_of(figures.interactive_atlas(atlas(), name="channels")._repr_html_())
    rows = [(row["channel"], row["genre"], row["AUROC"]) for row in rows_of(spec)]
    assert sorted(rows) == [
        (3, "Comedy", 0.5), (3, "Horror", 0.712), (11, "Comedy", 0.9), (11, "Horror", 0.2)
    ]  # fmt: skip
    assert spec["encoding"]["x"]["sort"] == [3, 11]
    assert spec["encoding"]["color"]["scale"]["domain"] == pytest.approx([0.1, 0.9])


def test_an_atlas_names_every_channel_and_its_scale_cuts_no_value_off() -> None:
    wide = pd.DataFrame(np.full((40, 2), 0.5), columns=["Horror", "Comedy"])
    wide.iloc[7, 1] = 0.91
    ax = figures.atlas(wide)
    assert [label.get_text() for label in ax.get_xticklabels()] == [str(n) for n in range(40)]
    (mesh,) = [c for c in ax.collections if c.get_array() is not None]
    assert mesh.get_clim() == pytest.approx((0.09, 0.91))
