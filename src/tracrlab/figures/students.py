"""Which students were accepted: the selection bias of the compressed and the natural zoo."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracrlab.figures.style import ORANGE, PAGE, new_figure, styled
from tracrlab.students.outcomes import OUTCOMES

#: From stored (blues) to refused (oranges and brown).
COLOURS = {
    "exact": "#08406B",
    "exact_refined": "#2B83BF",
    "accepted": "#86BDE0",
    "accepted_refined": "#DDECF6",
    "loss": "#F5D99A",
    "accuracy": ORANGE,
    "not_finite": "#4A2F00",
}
_NAMES = {
    "exact": "exact on every input",
    "exact_refined": "exact, refined",
    "accepted": "past the gate",
    "accepted_refined": "past the gate, refined",
    "loss": "refused: loss above 0.05",
    "accuracy": "refused: accuracy under 0.9",
    "not_finite": "refused: not finite",
}
#: Most bars of a panel; widths are binned to so many.
_BINS = 8


def shares(outcomes: pd.DataFrame, by: str) -> pd.DataFrame:
    """Share of each outcome, one row for each value of a column, and the number of teachers.

    Args:
      outcomes: columns `by`, outcome and count.
      by: n_ops or width.
    """
    table = outcomes.pivot_table(
        index=by, columns="outcome", values="count", aggfunc="sum", fill_value=0
    )
    table = table.reindex(columns=list(OUTCOMES), fill_value=0)
    total = table.sum(axis=1)
    return table.div(total, axis=0).assign(teachers=total)


@styled
def student_outcomes_figure(outcomes: pd.DataFrame) -> Figure:
    """A row of panels for each zoo: outcomes by program length, and by width of the student.

    Args:
      outcomes: columns zoo, n_ops, width, outcome and count.
    """
    zoos = list(dict.fromkeys(outcomes["zoo"]))
    figure = new_figure(PAGE, 0.5 + 1.7 * len(zoos), layout="constrained")
    axes = figure.subplots(len(zoos), 2, squeeze=False)
    for row, zoo in zip(axes, zoos, strict=True):
        part = outcomes[outcomes["zoo"] == zoo]
        _bars(row[0], shares(part, "n_ops"), f"{zoo}: by program length", "ops")
        binned = part.assign(width=_binned(part["width"]))
        _bars(row[1], shares(binned, "width"), f"{zoo}: by width of the student", "directions")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _bars(axis: Axes, table: pd.DataFrame, title: str, label: str) -> None:
    places = np.arange(len(table))
    bottom = np.zeros(len(table))
    for name in OUTCOMES:
        axis.bar(places, table[name], 0.8, bottom, color=COLOURS[name], label=_NAMES[name])
        bottom += table[name].to_numpy()
    for place, count in zip(places, table["teachers"], strict=True):
        axis.annotate(
            f"{count:,}", (place, 1), (0, 1), textcoords="offset points", ha="center", va="bottom"
        )
    axis.set_xticks(places, [str(value) for value in table.index])
    axis.set_xlabel(label)
    axis.set_ylabel("share of teachers")
    axis.set_ylim(0, 1)
    axis.set_title(title, loc="left", pad=10)


def _binned(widths: pd.Series) -> pd.Series:
    """Widths in bins of equal size, named by their ends, in order."""
    low, high = int(widths.min()), int(widths.max())
    step = max(1, -(-(high - low + 1) // _BINS))
    start = low + (widths - low) // step * step
    names = {
        first: f"{first}" if step == 1 else f"{first}-{first + step - 1}"
        for first in range(low, high + 1, step)
    }
    return pd.Categorical(
        start.map(names), categories=list(names.values()), ordered=True
    ).remove_unused_categories()
