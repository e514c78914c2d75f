"""Pictures of decompilers: accuracy by op count, ops confused, programs beside the true ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tracrlab.decompiler.mistakes import CONFUSION_NAMES
from tracrlab.figures.heat_map import draw_cells, printed
from tracrlab.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    PAGE,
    SMALL,
    axis_at,
    new_figure,
    styled,
)

#: What the panels of the accuracies show, from weights alone, and with execution.
_MEASURES = {
    "content_token_accuracy": "content tokens",
    "exact": "exact",
    "verified": "verified by execution",
}
#: Of methods and variants, in their order; Okabe and Ito's too.
_COLOURS = (ORANGE, BLUE, "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_MARKERS = "osD^vP"
_NAMES = {
    "lines": "lines (thesis)",
    "tokens": "tokens (ours)",
    "circuits": "circuits (ours, with execution)",
}
_RIGHT, _WRONG, _ABSENT = "#FFFFFF", "#F6C7B6", "#EDEDED"


def method_name(method: str) -> str:
    """A method as pictures call it."""
    return _NAMES.get(method, method.replace("_", " "))


@styled
def accuracy_by_ops_figure(table: pd.DataFrame) -> Figure:
    """One row of panels a zoo, one panel a measure, one line a method, over the number of ops.

    Args:
      table: columns zoo, method, ops, programs and the measures in percent; rows with ops "all" are
        left out.
    """
    table = table[table["ops"].astype(str) != "all"].astype({"ops": int})
    zoos, methods = (list(dict.fromkeys(table[name])) for name in ("zoo", "method"))
    figure = new_figure(PAGE, 0.45 + 1.5 * len(zoos), layout="constrained")
    axes = figure.subplots(len(zoos), len(_MEASURES), squeeze=False, sharex=True, sharey=True)
    for row, zoo in zip(axes, zoos, strict=True):
        part = table[table["zoo"] == zoo]
        for axis, (measure, title) in zip(row, _MEASURES.items(), strict=True):
            for number, method in enumerate(methods):
                line = part[part["method"] == method]
                axis.plot(
                    line["ops"],
                    line[measure],
                    color=_COLOURS[number % len(_COLOURS)],
                    marker=_MARKERS[number % len(_MARKERS)],
                    markersize=3,
                    label=method_name(method),
                )
            axis.set_title(f"{zoo}: {title}", loc="left")
            axis.set_ylim(-3, 103)
            axis.set_xlim(table["ops"].min() - 0.3, table["ops"].max() + 0.3)
            axis.set_xticks(sorted(set(table["ops"])))
        row[0].set_ylabel("%")
        _write_counts(row[0], part)
    for axis in axes[-1]:
        axis.set_xlabel("ops of the true program")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    return figure


def _write_counts(axis: Axes, part: pd.DataFrame) -> None:
    """How many programs each point is of, small, below the first panel's points."""
    counts = part.groupby("ops")["programs"].max()
    for ops, count in counts.items():
        axis.annotate(
            f"{count}",
            (ops, -3),
            (0, 2),
            textcoords="offset points",
            ha="center",
            color=GREY,
            size=SMALL,
        )


@styled
def confusion_figure(table: pd.DataFrame) -> Figure:
    """One row of panels a zoo and one panel a method: true ops down, written ops across.

    Args:
      table: columns zoo, method, true, predicted and ops; shares are of each true op.
    """
    zoos, methods = (list(dict.fromkeys(table[name])) for name in ("zoo", "method"))
    names = [printed(name) for name in CONFUSION_NAMES]
    cell, left, top, gap = 0.27, 1.05, 1.15, 0.3
    side = cell * len(names)
    columns = max(len(methods), 1)
    figure = new_figure(
        max(PAGE, left + columns * (side + gap)), top + len(zoos) * (side + gap + 0.2)
    )
    for i, zoo in enumerate(zoos):
        for j, method in enumerate(methods):
            part = table[(table["zoo"] == zoo) & (table["method"] == method)]
            if part.empty:
                continue
            counts = part.pivot_table(index="true", columns="predicted", values="ops")
            counts = counts.reindex(index=CONFUSION_NAMES, columns=CONFUSION_NAMES).to_numpy()
            axis = axis_at(
                figure, left + j * (side + gap), top + i * (side + gap + 0.2), side, side
            )
            _draw_confusion(axis, counts)
            axis.set_yticks(range(len(names)), names if j == 0 else [""] * len(names))
            if i == 0:
                axis.xaxis.tick_top()
                axis.set_xticks(range(len(names)), names, rotation=90)
            else:
                axis.set_xticks([])
            axis.set_xlabel(f"{zoo}, {method_name(method)}")
    return figure


def _draw_confusion(axis: Axes, counts: np.ndarray) -> None:
    from matplotlib.colors import Normalize

    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(100 * counts, total, out=np.zeros(counts.shape), where=total > 0)
    draw_cells(axis, share, "Blues", Normalize(0, 100))
    for (row, column), value in np.ndenumerate(share):
        if counts[row, column]:
            text = f"{value:.0f}" if value >= 0.5 else "<1"
            axis.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                size=SMALL,
                color="white" if value > 60 else "black",
            )


@styled
def programs_figure(examples: pd.DataFrame) -> Figure:
    """True programs on the left, predicted ones on the right, cells that differ in colour.

    As Figure 5.10 of Inverse Tracr: lines of op, arguments and result.

    Args:
      examples: one row a line of an example, columns example, title, line, then `true_` and
        `predicted_` with op, p1, p2, p3 and r; empty text where a program has no such line.
    """
    groups = list(examples.groupby("example", sort=False))
    height, heading, gap = 0.135, 0.24, 0.1
    slots = ("op", "p1", "p2", "p3", "r")
    widths = np.array([1.0, 0.78, 0.52, 0.52, 0.3])
    table_width = widths.sum()
    total = sum(heading + gap + height * (1 + len(part)) for _, part in groups) + 0.15
    figure = new_figure(PAGE, total)
    top = 0.05
    middle = PAGE - table_width - 0.05
    for _, part in groups:
        rows = len(part) + 1
        for left, side, name in ((0.05, "true", "true"), (middle, "predicted", "written")):
            axis = axis_at(figure, left, top + heading, table_width, height * rows)
            axis.set_xlim(0, table_width)
            axis.set_ylim(rows, 0)
            axis.set_axis_off()
            title = f"{name}: {part['title'].iloc[0]}" if side == "true" else name
            axis.set_title(title, loc="left", pad=3)
            _draw_program(axis, part, side, slots, widths)
        top += heading + gap + height * rows
    return figure


def _draw_program(
    axis: Axes, part: pd.DataFrame, side: str, slots: tuple[str, ...], widths: np.ndarray
) -> None:
    starts = np.concatenate([[0], np.cumsum(widths)[:-1]])
    for slot, start in zip(slots, starts, strict=True):
        axis.text(start + 0.03, 0.5, slot, va="center", color=GREY, size=SMALL)
    for row, (_, line) in enumerate(part.iterrows(), start=1):
        for slot, start, width in zip(slots, starts, widths, strict=True):
            text, other = line[f"{side}_{slot}"], line[f"true_{slot}"]
            colour = _ABSENT if not text else _RIGHT
            if side == "predicted" and text != other:
                colour = _WRONG
            axis.add_patch(
                Rectangle(
                    (start, row),
                    width,
                    1,
                    facecolor=colour,
                    edgecolor="0.75",
                    linewidth=0.4,
                    clip_on=False,
                )
            )
            shown = "" if text == "NA" else printed(text)
            axis.text(start + 0.03, row + 0.53, shown, va="center", size=SMALL)
