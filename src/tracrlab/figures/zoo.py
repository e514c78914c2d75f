"""What is in a zoo, from a data frame with one row a program (`tracrlab.zoo.statistics`)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracrlab.figures.style import BLUE, GREY, ORANGE, PAGE, new_figure, styled

#: Functions that are shown.
TOP = 25
_SIZES = {
    "d_model": "residual width",
    "n_layers": "layers",
    "heads": "attention heads",
    "mlp_neurons": "MLP neurons",
    "weights": "weights",
}


def op_counts(rows: pd.DataFrame) -> pd.Series:
    """How often each kind of op occurs, most frequent first."""
    return rows["ops"].explode().value_counts()


def function_counts(rows: pd.DataFrame) -> pd.Series:
    """How often each function occurs, without its constants, most frequent first."""
    return rows["functions"].explode().dropna().value_counts()


def statistics_table(rows: pd.DataFrame, rejections: pd.Series) -> pd.DataFrame:
    """All counts of a zoo in one table.

    Args:
      rows: one row a program.
      rejections: how often an op or program was rejected, by reason.

    Returns:
      columns section, name, count and share: of the programs, ops, functions or rejections of the
      section. Sizes have mean, median and maximum instead, with an empty share.
    """
    sections = {
        "split": rows["split"].value_counts(sort=False).sort_index(),
        "ops per program": rows["n_ops"].value_counts().sort_index(),
        "op": op_counts(rows),
        "function": function_counts(rows),
        "output": rows["output_encoding"].value_counts(),
        "rejected": rejections.sort_values(ascending=False),
    }
    records = [
        {"section": section, "name": str(name), "count": count, "share": count / counts.sum()}
        for section, counts in sections.items()
        for name, count in counts.items()
    ]
    for column, name in _SIZES.items():
        for statistic in ("mean", "median", "max"):
            value = float(getattr(rows[column], statistic)())
            records.append(
                {"section": name, "name": statistic, "count": round(value, 2), "share": None}
            )
    return pd.DataFrame(records)


@styled
def zoo_statistics_figure(rows: pd.DataFrame) -> Figure:
    """Lengths, ops, functions and sizes of a zoo's programs."""
    figure = new_figure(PAGE, 5.6)
    grid = figure.add_gridspec(4, 3, width_ratios=[1, 1, 1.15])
    _bars(figure.add_subplot(grid[0, 0]), rows["n_ops"].value_counts().sort_index(), "ops")
    _sideways(figure.add_subplot(grid[0, 1]), op_counts(rows), BLUE)
    functions = function_counts(rows).head(TOP)
    axis = figure.add_subplot(grid[:, 2])
    _sideways(axis, functions, BLUE)
    axis.set_title(f"functions ({len(functions)} most frequent)")
    _histogram(figure.add_subplot(grid[1, 0]), rows["d_model"], "residual width")
    _bars(figure.add_subplot(grid[1, 1]), rows["n_layers"].value_counts().sort_index(), "layers")
    _bars(figure.add_subplot(grid[2, 0]), rows["heads"].value_counts().sort_index(), "heads")
    _histogram(figure.add_subplot(grid[2, 1]), rows["mlp_neurons"], "MLP neurons")
    _histogram(figure.add_subplot(grid[3, 0]), rows["weights"], "weights", logarithmic=True)
    categorical = rows.loc[rows["output_encoding"] == "categorical", "n_output_values"]
    _bars(
        figure.add_subplot(grid[3, 1]),
        categorical.value_counts().sort_index(),
        "output values (categorical)",
    )
    figure.suptitle(f"{len(rows):,} programs", fontsize=8)
    return figure


@styled
def zoo_rejections_figure(rejections: pd.Series, attempts: int) -> Figure:
    """Why ops and programs were rejected while sampling.

    Args:
      rejections: count by reason; reasons of whole programs begin with "program: ".
      attempts: ops that were proposed.
    """
    ordered = rejections.sort_values(ascending=False)
    figure = new_figure(PAGE / 2 + 0.8, 0.16 * len(ordered) + 0.8)
    axis = figure.subplots()
    colours = [ORANGE if str(reason).startswith("program: ") else BLUE for reason in ordered.index]
    names = ordered.rename(lambda reason: str(reason).removeprefix("program: "))
    _sideways(axis, names, colours)
    limit = float(ordered.max()) if len(ordered) else 1.0
    axis.set_xlim(0, limit * 1.2)
    for position, count in enumerate(ordered):
        axis.text(count + limit * 0.01, position, f"{count:,}", va="center", fontsize=5, color=GREY)
    axis.set_title(f"rejected while sampling, of {attempts:,} ops proposed")
    handles = [axis.barh([0], [0], color=colour) for colour in (BLUE, ORANGE)]
    axis.legend(handles, ["ops", "whole programs"], frameon=False, loc="lower right")
    return figure


def _bars(axis: Axes, counts: pd.Series, name: str) -> None:
    axis.bar(counts.index, counts.to_numpy(), color=BLUE, width=0.8)
    if len(counts) <= 12:
        axis.set_xticks(list(counts.index))
    axis.set_xlabel(name)
    axis.set_ylabel("programs")


def _histogram(axis: Axes, values: pd.Series, name: str, *, logarithmic: bool = False) -> None:
    lowest, highest = float(values.min()), float(values.max())
    if logarithmic:
        bins = np.geomspace(max(lowest, 1), max(highest, lowest + 1), 31)
        axis.set_xscale("log")
    else:
        step = max(1, int(np.ceil((highest - lowest + 1) / 30)))
        bins = np.arange(lowest, highest + step + 1, step) - 0.5
    axis.hist(values, bins=bins, color=BLUE)
    axis.set_xlabel(name)
    axis.set_ylabel("programs")


def _sideways(axis: Axes, counts: pd.Series, colour) -> None:
    positions = np.arange(len(counts))
    axis.barh(positions, counts.to_numpy(), color=colour, height=0.75)
    axis.set_yticks(positions, [str(name) for name in counts.index])
    axis.invert_yaxis()
    axis.tick_params(axis="y", length=0)
    axis.margins(y=0.01)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
