"""The figures of the study: each draws a table or an array into an axes, and returns the axes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from PIL import Image

from postergenre import paths
from postergenre.metrics import NAMES

STYLE = str(Path(__file__).with_name("study.mplstyle"))
FITTED: Any = {"type": "fit-x", "contains": "padding"}  # legend and labels within the column
BASE = "#8a8a8a"  # base rates are grey in every figure
WITHHELD = "The posters of this run are under copyright and not shown."


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax


def counts(table: pd.Series, *, unit: str = "films", ax: Axes | None = None) -> Axes:
    """Draw a number of films a row as labelled horizontal bars, the largest at the top."""
    ax = _axes(ax)
    table = table.sort_values()
    bars = ax.barh(table.index.astype(str), table.to_numpy(), color="C0")
    ax.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=9)
    ax.set(xlabel=unit, ylabel="")
    ax.margins(x=0.12)
    ax.grid(axis="y", visible=False)
    return ax


def years(films: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the number of films by decade."""
    ax = _axes(ax)
    decades = (films["year"].dropna().astype(int) // 10 * 10).value_counts().sort_index()
    ax.bar([f"{decade}s" for decade in decades.index], decades.to_numpy(), color="C0")
    ax.set(xlabel="decade of release", ylabel="films")
    ax.tick_params(axis="x", rotation=45)
    ax.grid(axis="x", visible=False)
    return ax


def matrix(
    table: pd.DataFrame, *, label: str, percent: bool = False, ax: Axes | None = None
) -> Axes:
    """Draw a table as a heat map with its numbers; `percent` reads values as fractions."""
    ax = _axes(ax)
    values = table * 100 if percent else table
    sns.heatmap(
        values,
        ax=ax,
        annot=True,
        fmt=".0f",
        cmap="Blues",
        vmin=0,
        vmax=100 if percent else None,
        linewidths=0.5,
        annot_kws={"fontsize": 8.5},
        cbar_kws={"label": label},
    )
    ax.grid(visible=False)
    ax.tick_params(axis="x", rotation=45)
    ax.tick_params(axis="y", rotation=0)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    return ax


def confusion(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix in per cent of each true genre's films."""
    shares = table.div(table.sum(axis=1).clip(lower=1), axis=0)
    return matrix(shares, label="% of the true genre's films", percent=True, ax=ax)


def learning_curves(history: pd.DataFrame, axs: Sequence[Axes]) -> Sequence[Axes]:
    """Draw loss, and validation mAP and AUROC, epoch by epoch, into two axes; the best epoch is marked."""
    left, right = axs
    left.plot(history["epoch"], history["loss"], label="training films")
    left.plot(history["epoch"], history["validation_loss"], label="validation films")
    left.set(xlabel="epoch", ylabel="class-balanced loss", ylim=(0, None))
    left.legend()
    right.plot(history["epoch"], history["validation_auroc"], color="C2", label="macro AUROC")
    right.plot(history["epoch"], history["validation_map"], color="C3", label="mAP")
    best = history.loc[history["validation_map"].idxmax(), "epoch"]
    right.axvline(best, color=BASE, linestyle=":", label="kept epoch")
    right.set(xlabel="epoch", ylabel="on validation films", ylim=(0, 1))
    right.legend()
    for ax in axs:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return axs


def against_base(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a report (value, low, high, base; one row a measure) as points with intervals beside their base."""
    ax = _axes(ax)
    places = np.arange(len(table))[::-1]
    _points(ax, table, places, label="network, 95 % interval", color="C0")
    ax.scatter(table["base"], places, marker="|", s=260, color=BASE, label="base rate", zorder=3)
    ax.set(yticks=places, yticklabels=[NAMES.get(str(n), str(n)) for n in table.index])
    ax.set(xlim=(0, 1), xlabel="score")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


def _points(
    ax: Axes, table: pd.DataFrame, places: NDArray[np.number], *, label: str, color: str
) -> None:
    reach = [table["value"] - table["low"], table["high"] - table["value"]]
    ax.errorbar(
        table["value"],
        places,
        xerr=np.clip(np.array(reach, dtype=float), 0, None),
        fmt="o",
        capsize=3,
        color=color,
        label=label,
    )


def comparison(reports: dict[str, pd.DataFrame], measures: Sequence[str]) -> Figure:
    """Draw several rows of networks and baselines, one panel a measure, with intervals and base rate."""
    fig, axs = plt.subplots(1, len(measures), figsize=(3.1 * len(measures), 4.4), sharey=True)
    names = list(reports)
    places = np.arange(len(names))[::-1]
    for ax, measure in zip(np.atleast_1d(axs), measures, strict=True):
        rows = pd.DataFrame({name: report.loc[measure] for name, report in reports.items()}).T
        for place, (name, row) in zip(places, rows.iterrows(), strict=True):
            color = f"C{list(reports).index(str(name)) % 7}"
            _points(ax, row.to_frame().T, np.array([place]), label=str(name), color=color)
        ax.axvline(rows["base"].iloc[0], color=BASE, linestyle="--", linewidth=1.2)
        ax.set(title=NAMES.get(measure, measure), yticks=places, yticklabels=names, xlabel="score")
        ax.set_ylim(-0.6, len(names) - 0.4)
    return fig


def reliability(tables: dict[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Draw the share of right answers against the score given, before and after calibration."""
    ax = _axes(ax)
    ax.plot([0, 1], [0, 1], color=BASE, linestyle="--", linewidth=1)
    for name, table in tables.items():
        ax.plot(table["score"], table["share"], marker="o", label=f"{name} calibration")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="score given", ylabel="share that was right")
    ax.legend(loc="upper left")
    return ax


def coverage(curves: dict[str, pd.DataFrame], *, base: float, ax: Axes | None = None) -> Axes:
    """Draw accuracy over the share of films answered, the surest first; the first 20 films are left out."""
    ax = _axes(ax)
    for name, curve in curves.items():
        tail = curve.iloc[19:]
        ax.plot(tail["coverage"], tail["accuracy"], label=name)
    ax.axhline(base, color=BASE, linestyle="--", linewidth=1.2, label="most frequent genre")
    ax.set(xlabel="share of films answered", ylabel="accuracy on them", ylim=(0, 1.02))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    ax.legend(loc="lower left")
    return ax


def more_films(curve: pd.DataFrame, *, measured: Sequence[int], ax: Axes | None = None) -> Axes:
    """Draw a measure over numbers of training films, with its intervals: measured, then carried on."""
    ax = _axes(ax)
    seen, ahead = curve.loc[list(measured)], curve.drop(index=list(measured)[:-1])
    ax.fill_between(curve.index, curve["low"], curve["high"], color="C0", alpha=0.15, linewidth=0)
    ax.plot(seen.index, seen["value"], marker="o", label="measured")
    ax.plot(ahead.index, ahead["value"], color="C0", linestyle="--", label="carried on")
    ax.set(xscale="log", xlabel="training films", ylabel="macro AUROC")
    ax.set_xticks(curve.index, [f"{size:,}" for size in curve.index], rotation=45)
    ax.minorticks_off()
    ax.legend(loc="upper left")
    return ax


def pictures(
    images: NDArray[np.generic],
    titles: Sequence[str],
    *,
    columns: int = 6,
    cmap: str = "viridis",
    reach: float | None = None,
) -> Figure:
    """Show images (n, height, width[, 3]) in a grid, each under its title.

    Each is drawn over its own range, or all from -`reach` to `reach`.
    """
    limits = {} if reach is None else {"vmin": -reach, "vmax": reach}
    rows = -(-len(images) // columns)
    ratio = images.shape[1] / images.shape[2]
    width = 7.2 / columns
    fig, axs = plt.subplots(
        rows, columns, figsize=(7.2, rows * (width * ratio + 0.32)), squeeze=False
    )
    for ax in axs.flat:
        ax.axis("off")
    for ax, image, title in zip(axs.flat, images, titles, strict=False):
        ax.imshow(image, cmap=cmap, **limits)
        ax.set_title(title, fontsize=8, fontweight="normal", loc="center")
    return fig


def posters(run: str, films: pd.DataFrame, *, columns: int = 6) -> Figure:
    """Show the posters of these films under their titles; of no films, a note in their place."""
    folder = paths.run_directory(run)
    images = []
    for name in films["poster"]:
        with Image.open(folder / name) as image:
            images.append(np.asarray(image.convert("RGB").resize((185, 278))))
    titles = [title if len(title) <= 20 else f"{title[:18]}…" for title in films["title"]]
    return pictures(np.array(images), titles, columns=columns) if images else _withheld()


def explained(
    images: NDArray[np.uint8], maps: NDArray[np.floating], titles: Sequence[str]
) -> Figure | None:
    """Show heat maps (n, h, w) between 0 and 1 over their posters; of no posters, print a note."""
    if len(images) == 0:
        print(WITHHELD)
        return None
    height, width = images.shape[1:3]
    heats = [Image.fromarray(m.astype(np.float32)).resize((width, height)) for m in maps]
    heat = plt.get_cmap("inferno")(np.clip(np.stack([np.asarray(h) for h in heats]), 0, 1))
    return pictures(0.45 * images / 255 + 0.55 * heat[..., :3], titles)


def through_layers(
    images: NDArray[np.uint8], maps: dict[str, NDArray[np.floating]]
) -> Figure | None:
    """Show a poster (1, height, width, 3) beside a map (1, h, w) of each layer; or print a note."""
    if len(images) == 0:
        print(WITHHELD)
        return None
    fig, axs = plt.subplots(1, 1 + len(maps), figsize=(7.2, 2.3))
    for ax, (name, one) in zip(axs, {"poster": images, **maps}.items(), strict=True):
        ax.imshow(one[0], cmap="inferno")
        ax.set_title(name, fontsize=8, fontweight="normal", loc="center")
        ax.axis("off")
    return fig


def _withheld() -> Figure:
    fig, ax = plt.subplots(figsize=(7.2, 1.0))
    ax.axis("off")
    ax.text(0.5, 0.5, WITHHELD, ha="center", va="center", color="#555555")
    return fig


def atlas(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw which channels answer to which genre: AUROC (channels, genres), 0.5 is white."""
    ax = _axes(ax)
    low, high = _around_chance(table)
    bar = {"label": "AUROC"}
    sns.heatmap(table.T, ax=ax, cmap="RdBu_r", vmin=low, vmax=high, xticklabels=True, cbar_kws=bar)
    ax.set(xlabel="channel", ylabel="")
    ax.grid(visible=False)
    ax.tick_params(axis="y", rotation=0)
    ax.tick_params(axis="x", rotation=90, labelsize=7)
    return ax


def _around_chance(table: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of a scale about 0.5 that cuts no value of the table off."""
    reach = float((table - 0.5).abs().to_numpy().max())
    return 0.5 - reach, 0.5 + reach


def depth(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the linear reading of each layer with its interval, and the best channel's."""
    ax = _axes(ax)
    names = table.index.astype(str)
    ax.fill_between(names, table["low"], table["high"], color="C0", alpha=0.2, linewidth=0)
    for column in ("linear reading", "best channel"):
        ax.plot(names, table[column], marker="o", label=column)
    ax.axhline(0.5, color=BASE, linestyle="--", linewidth=1.2, label="chance")
    ax.set(xlabel="layer", ylabel="macro AUROC")
    ax.tick_params(axis="x", rotation=45)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    ax.legend()
    return ax


def swatches(table: pd.DataFrame, *, most: int = 6, ax: Axes | None = None) -> Axes:
    """Draw each genre's own colours as a bar: those it has more of than others, as wide as their lift.

    `table` is that of `appearance.palette`.
    """
    ax = _axes(ax)
    genres = table["genre"].drop_duplicates().tolist()
    for place, genre in enumerate(genres[::-1]):
        own = table[(table["genre"] == genre) & (table["share"] > 0.01)].nlargest(most, "lift")
        widths = own["lift"].to_numpy() / own["lift"].sum()
        starts = np.concatenate([[0], widths.cumsum()[:-1]])
        colours = own[["red", "green", "blue"]].to_numpy() / 255
        ax.barh(place, widths, left=starts, color=colours, height=0.82)
        for start, width, lift, colour in zip(starts, widths, own["lift"], colours, strict=True):
            ink = "white" if colour @ [0.299, 0.587, 0.114] < 0.5 else "black"
            middle = start + width / 2
            ax.text(middle, place, f"{lift:.1f}", ha="center", va="center", fontsize=8, color=ink)
    ax.set(yticks=range(len(genres)), yticklabels=genres[::-1], xlim=(0, 1), xticks=[])
    ax.grid(visible=False)
    ax.spines[["left", "bottom"]].set_visible(False)
    return ax


def contrasts(
    table: pd.DataFrame, sure: pd.DataFrame, *, label: str, reach: float, ax: Axes | None = None
) -> Axes:
    """Draw signed values (genres, columns) in red and blue; those not to be believed stay empty."""
    ax = _axes(ax)
    sns.heatmap(
        table,
        ax=ax,
        mask=~sure.to_numpy(),
        cmap="RdBu_r",
        vmin=-reach,
        vmax=reach,
        annot=True,
        fmt="z.1f" if reach > 0.5 else "z.2f",  # z: no minus before a zero
        annot_kws={"fontsize": 8},
        linewidths=0.5,
        cbar_kws={"label": label},
    )
    ax.grid(visible=False)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="y", rotation=0)
    ax.tick_params(axis="x", rotation=35)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    return ax


def faithfulness(curves: pd.DataFrame, axs: Sequence[Axes]) -> Sequence[Axes]:
    """Draw the curves of deletion and insertion into two axes, each beside those of two other orders."""
    for ax, kind in zip(axs, ("deletion", "insertion"), strict=True):
        ax.plot(curves.index, curves[kind], label="in the map's order")
        for rival, line in {"at random": "--", "from the centre": ":"}.items():
            ax.plot(
                curves.index, curves[f"{kind} {rival}"], color=BASE, linestyle=line, label=rival
            )
        ax.set(title=kind.capitalize(), xlabel="share of the frame", ylim=(0, 1))
        ax.xaxis.set_major_formatter(PercentFormatter(1))
    axs[0].set_ylabel("mean score of the genre")
    axs[-1].legend(loc="lower right")
    return axs


def forgetting(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how like the trained network's maps are those of a network that forgets, layer by layer."""
    ax = _axes(ax)
    *shuffled, other = table.index
    rows = table.loc[shuffled]
    places = np.arange(len(rows))
    reach = [rows["likeness"] - rows["low"], rows["high"] - rows["likeness"]]
    ax.errorbar(places, rows["likeness"], yerr=reach, fmt="o-", capsize=3, label="after shuffling")
    ax.axhline(1, color="C2", linestyle=":", label="as trained")
    ax.axhline(
        table.loc[other, "likeness"], color=BASE, linestyle="--", label="map of another poster"
    )
    low, high = table.loc[other, ["low", "high"]]
    ax.axhspan(low, high, color=BASE, alpha=0.3, linewidth=0)
    ax.set(
        ylim=(0, 1.05),
        ylabel="rank correlation, sign aside",
        xlabel="weights shuffled from the end to …",
    )
    ax.set_xticks(places, shuffled, rotation=45, ha="right", rotation_mode="anchor")
    ax.legend(loc="upper right", bbox_to_anchor=(1.0, 0.92))
    return ax


def trends(tables: dict[str, pd.DataFrame], *, genre: str, columns: int = 3) -> Figure:
    """Draw measures by decade, a panel each, of a genre's films and of the others, with intervals."""
    rows = -(-len(tables) // columns)
    fig, axs = plt.subplots(rows, columns, figsize=(7.2, 2.5 * rows), squeeze=False, sharex=True)
    for ax in axs.flat[len(tables) :]:
        ax.axis("off")
    for ax, (name, table) in zip(axs.flat, tables.items(), strict=False):
        for kind, colour in (("the genre's", "C1"), ("other", BASE)):
            part = table[table["films"] == kind]
            label = genre if kind != "other" else "other films"
            ax.plot(part["decade"], part["mean"], marker="o", color=colour, label=label)
            ax.fill_between(part["decade"], part["low"], part["high"], color=colour, alpha=0.2)
        ax.set_title(name)
        ax.tick_params(axis="x", rotation=45)
    axs.flat[0].legend(fontsize=9)
    return fig


def space(points: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw films as dots at `x` and `y`, coloured by `genre`; the genre's name stands at its middle."""
    ax = _axes(ax)
    middles = points.groupby("genre")[["x", "y"]].median().sort_values("y")
    apart, below = 0.06 * float(np.ptp(points["y"])), -np.inf
    for number, kind in enumerate(sorted(middles.index)):
        rows = points[points["genre"] == kind]
        size = float(np.clip(6000 / len(points), 6, 30))
        ax.scatter(rows["x"], rows["y"], s=size, alpha=0.55, color=f"C{number % 7}", linewidths=0)
    for kind, (x, y) in middles.iterrows():
        below = max(y, below + apart)  # names do not stand on each other
        ax.text(
            x,
            below,
            str(kind),
            color=f"C{sorted(middles.index).index(kind) % 7}",
            fontweight="bold",
            ha="center",
            va="center",
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
        )
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    return ax


def interactive_space(points: pd.DataFrame) -> "Interactive":
    """Return `space` as a chart that tells title, year and genres under the pointer."""
    import altair

    told = points.assign(x=points["x"].round(2), y=points["y"].round(2))
    blank = altair.Axis(labels=False, ticks=False, grid=False, title=None)
    picked = altair.selection_point(fields=["genre"], bind="legend")
    chart = (
        altair.Chart(told[["x", "y", "genre", "title", "year", "genres"]])
        .mark_circle(size=28)
        .encode(
            x=altair.X("x", axis=blank, scale=altair.Scale(zero=False)),
            y=altair.Y("y", axis=blank, scale=altair.Scale(zero=False)),
            color=altair.Color(
                "genre:N",
                scale=altair.Scale(scheme="tableau10"),
                legend=altair.Legend(orient="bottom", columns=4, title=None),
            ),
            opacity=altair.when(picked).then(altair.value(0.75)).otherwise(altair.value(0.06)),
            tooltip=["title:N", "year:Q", "genres:N"],
        )
        .add_params(picked)
        .properties(width="container", height=420, autosize=FITTED)
        .interactive()
    )
    return Interactive("genre-space", chart)


def interactive_atlas(table: pd.DataFrame, *, name: str) -> "Interactive":
    """Return `atlas` (channels, genres) as a chart that tells channel, genre and AUROC under the pointer."""
    import altair

    long = table.round(3).rename_axis("channel").reset_index()
    long = long.melt("channel", var_name="genre", value_name="AUROC")
    colour = altair.Scale(
        scheme="redblue", reverse=True, domain=list(_around_chance(table)), domainMid=0.5
    )
    chart = (
        altair.Chart(long)
        .mark_rect()
        .encode(
            x=altair.X("channel:O", sort=[int(one) for one in table.index]),
            y=altair.Y("genre:N", title=None),
            color=altair.Color("AUROC:Q", scale=colour),
            tooltip=["channel:O", "genre:N", "AUROC:Q"],
        )
        .properties(width="container", height=22 * table.shape[1], autosize=FITTED)
    )
    return Interactive(name, chart)


class Interactive:
    """A chart that a page of the book draws by itself, with the script that the book brings along."""

    SCRIPT = "../../_static/vega.js"

    def __init__(self, name: str, chart: Any) -> None:
        self.name, self.spec = name, chart.to_dict()
        self.spec.pop("$schema")

    def _repr_html_(self) -> str:
        spec = json.dumps(self.spec, sort_keys=True, ensure_ascii=True).replace("<", "\\u003c")
        return (
            f'<div id="{self.name}" class="interactive" style="display: block; width: 100%">'
            "This figure answers to the pointer on the book's page.</div>\n"
            "<script>\nwindow.vegaReady ??= new Promise((done) => {\n"
            '  const script = document.createElement("script");\n'
            f'  script.src = "{self.SCRIPT}";\n'
            "  script.onload = done;\n  document.head.append(script);\n});\n"
            f'window.vegaReady.then(() => vegaEmbed("#{self.name}", {spec}, '
            '{mode: "vega-lite", actions: false, renderer: "svg"}));\n</script>'
        )
