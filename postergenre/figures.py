"""The figures of the study: each draws a table or an array into an axes, and returns the axes."""

from collections.abc import Sequence
from pathlib import Path

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
BASE = "#8a8a8a"  # base rates are grey in every figure


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
    images: NDArray[np.generic], titles: Sequence[str], *, columns: int = 6, cmap: str = "viridis"
) -> Figure:
    """Show images (n, height, width[, 3]) in a grid, each under its title."""
    rows = -(-len(images) // columns)
    ratio = images.shape[1] / images.shape[2]
    width = 7.2 / columns
    fig, axs = plt.subplots(
        rows, columns, figsize=(7.2, rows * (width * ratio + 0.32)), squeeze=False
    )
    for ax in axs.flat:
        ax.axis("off")
    for ax, image, title in zip(axs.flat, images, titles, strict=False):
        ax.imshow(image, cmap=cmap)
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
) -> Figure:
    """Show heat maps (n, h, w) between 0 and 1 over their posters; of no posters, a note in their place."""
    if len(images) == 0:
        return _withheld()
    height, width = images.shape[1:3]
    heats = [Image.fromarray(m.astype(np.float32)).resize((width, height)) for m in maps]
    heat = plt.get_cmap("inferno")(np.clip(np.stack([np.asarray(h) for h in heats]), 0, 1))
    return pictures(0.45 * images / 255 + 0.55 * heat[..., :3], titles)


def _withheld() -> Figure:
    fig, ax = plt.subplots(figsize=(7.2, 1.0))
    ax.axis("off")
    note = "The posters of this run are under copyright and not shown."
    ax.text(0.5, 0.5, note, ha="center", va="center", color="#555555")
    return fig


def atlas(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw which channels answer to which genre: AUROC (channels, genres), 0.5 is white."""
    ax = _axes(ax)
    sns.heatmap(
        table.T, ax=ax, cmap="RdBu_r", center=0.5, vmin=0.2, vmax=0.8, cbar_kws={"label": "AUROC"}
    )
    ax.set(xlabel="channel", ylabel="")
    ax.grid(visible=False)
    ax.tick_params(axis="y", rotation=0)
    ax.tick_params(axis="x", rotation=90, labelsize=8)
    return ax


def depth(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how well a linear probe reads the genres from each layer, one line a column."""
    ax = _axes(ax)
    for column in table.columns:
        ax.plot(table.index.astype(str), table[column], marker="o", label=column)
    ax.axhline(0.5, color=BASE, linestyle="--", linewidth=1.2, label="chance")
    ax.set(xlabel="layer", ylabel="macro AUROC")
    ax.tick_params(axis="x", rotation=45)
    ax.legend()
    return ax
