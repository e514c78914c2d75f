"""What is in a zoo, from a data frame with one row a program (`tracrlab.zoo.statistics`)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from tracrlab.figures.heat_map import printed, widest
from tracrlab.figures.style import BLUE, GREY, ORANGE, PAGE, SMALL, axis_at, new_figure, styled

#: Functions that are shown.
TOP = 25
#: Inches: width of the bars of ops and functions, and height of both lists together.
_LIST, _LISTS = 1.0, 4.47
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
    ops, functions = op_counts(rows), function_counts(rows).head(TOP)
    figure = new_figure(PAGE, 5.6)
    names = widest([printed(name) for name in (*ops.index, *functions.index)]) + 0.1
    width = (PAGE - names - _LIST - 0.1) / 2  # of two columns of panels, with their numbers
    axes = [
        axis_at(figure, column * width + 0.55, 0.3 + line * 1.32, width - 0.65, 0.93)
        for line in range(4)
        for column in range(2)
    ]
    categorical = rows.loc[rows["output_encoding"] == "categorical", "n_output_values"]
    _bars(axes[0], _by_value(rows["n_ops"]), "ops")
    _bars(axes[1], _by_value(rows["n_layers"]), "layers")
    _bars(axes[2], _by_value(rows["heads"]), "attention heads")
    _histogram(axes[3], rows["d_model"], "residual width")
    _histogram(axes[4], rows["mlp_neurons"], "MLP neurons")
    _histogram(axes[5], rows["weights"], "weights", logarithmic=True)
    _bars(axes[6], _by_value(categorical), "distinct outputs (categorical)")
    _bars(axes[7], _by_value(rows["split"]), "split")
    for axis in axes[::2]:
        axis.set_ylabel("programs")
    share = len(ops) / max(1, len(ops) + len(functions))
    kinds = axis_at(figure, 2 * width + names, 0.3, _LIST, share * _LISTS)
    _sideways(kinds, ops, BLUE)
    kinds.set_title("ops")
    templates = axis_at(
        figure, 2 * width + names, 0.75 + share * _LISTS, _LIST, (1 - share) * _LISTS
    )
    _sideways(templates, functions, BLUE)
    templates.set_title("functions" if len(functions) < TOP else f"functions ({TOP} most frequent)")
    templates.title.set(x=1, ha="right")
    figure.text(0.1 / PAGE, 0.985, f"{len(rows):,} programs", weight="bold", va="center")
    return figure


@styled
def zoo_rejections_figure(rejections: pd.Series, attempts: int) -> Figure:
    """Why ops and programs were rejected while sampling.

    Args:
      rejections: count by reason; reasons of whole programs begin with "program: ".
      attempts: ops that were proposed.
    """
    ordered = rejections.sort_values(ascending=False, kind="stable")
    figure = new_figure(PAGE / 2 + 0.8, 0.16 * len(ordered) + 0.8, layout="constrained")
    axis = figure.subplots()
    is_program = [str(reason).startswith("program: ") for reason in ordered.index]
    _sideways(axis, ordered, [ORANGE if whole else BLUE for whole in is_program])
    limit = float(ordered.max()) if len(ordered) else 1.0
    axis.set_xlim(0, limit * 1.2)
    for position, count in enumerate(ordered):
        axis.text(
            count + limit * 0.01, position, f"{count:,}", va="center", fontsize=SMALL, color=GREY
        )
    axis.set_title(f"rejected while sampling, of {attempts:,} ops proposed")
    handles = [Patch(color=colour) for colour in (BLUE, ORANGE)]
    axis.legend(handles, ["ops", "whole programs"], frameon=False, loc="lower right")
    return figure


def _by_value(values: pd.Series) -> pd.Series:
    """How often each value occurs, by value."""
    return values.value_counts().sort_index()


def _bars(axis: Axes, counts: pd.Series, name: str) -> None:
    """One bar a value; values may be numbers or names."""
    axis.bar(counts.index, counts.to_numpy(), color=BLUE, width=0.8)
    if len(counts) <= 12:
        axis.set_xticks(list(counts.index))
    _label(axis, name)


def _histogram(axis: Axes, values: pd.Series, name: str, *, logarithmic: bool = False) -> None:
    """At most 30 bars, each of as many whole numbers, or as wide on a logarithmic scale."""
    lowest, highest = float(values.min()), float(values.max())
    if logarithmic:
        bins = np.geomspace(max(lowest, 1), max(highest, lowest + 1), 31)
        axis.set_xscale("log")
    else:
        step = max(1, int(np.ceil((highest - lowest + 1) / 30)))
        bins = np.arange(lowest, highest + step + 1, step) - 0.5
    axis.hist(values, bins=bins, color=BLUE)
    _label(axis, name)


def _label(axis: Axes, name: str) -> None:
    axis.set_xlabel(name, labelpad=2)
    axis.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _sideways(axis: Axes, counts: pd.Series, colour) -> None:
    """Horizontal bars, the first on top."""
    positions = np.arange(len(counts))
    axis.barh(positions, counts.to_numpy(), color=colour, height=0.75)
    axis.set_yticks(positions, [printed(name) for name in counts.index])
    axis.set_ylim(len(counts) - 0.45, -0.55)
    axis.tick_params(axis="y", length=0)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 5, 10], integer=True))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
