"""Learning curves of decompilers."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tracrlab.figures.style import BLUE, ORANGE, PAGE, new_figure, styled

#: Of Okabe and Ito's palette: the methods, then variants in their order.
_COLOURS = {"lines": ORANGE, "tokens": BLUE, "circuits": "#009E73"}
_FURTHER = ("#D55E00", "#CC79A7", "#56B4E9", "#6F6F6F")
_ROWS = (
    ("loss", "loss of a prediction (nats)"),
    ("content_accuracy", "held-out content tokens right (%)"),
)


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each run's name; the methods' are always the same."""
    further = [name for name in names if name not in _COLOURS]
    spare = {name: _FURTHER[place % len(_FURTHER)] for place, name in enumerate(further)}
    return {name: _COLOURS.get(name) or spare[name] for name in names}


@styled
def curves_figure(curves: pd.DataFrame) -> Figure:
    """Losses and accuracies over the samples seen, a column a zoo.

    Args:
      curves: the columns of `tracrlab.decompiler.curve.CURVE`, and zoo and name. Lines without
        validation are drawn with their training loss alone.
    """
    zoos = list(dict.fromkeys(curves["zoo"]))
    names = list(dict.fromkeys(curves["name"]))
    shade = colours(names)
    figure = new_figure(PAGE, 3.6, layout="constrained")
    axes = figure.subplots(2, len(zoos), squeeze=False, sharex="col", sharey="row")
    for column, zoo in enumerate(zoos):
        axes[0][column].set_title(zoo)
        axes[-1][column].set_xlabel("samples seen")
        for row, (_, label) in enumerate(_ROWS):
            if column == 0:
                axes[row][column].set_ylabel(label)
        for name, run in curves[curves["zoo"] == zoo].groupby("name", sort=False):
            above, below = axes[0][column], axes[1][column]
            above.plot(run["samples"], run["loss"], color=shade[name], linewidth=0.5)
            known = run[run["validation_loss"].notna()]
            above.plot(known["samples"], known["validation_loss"], color=shade[name])
            below.plot(known["samples"], known["content_accuracy"], color=shade[name])
        axes[0][column].set_yscale("log")
        axes[1][column].set_ylim(0, 100)
    handles = [Line2D([], [], color=shade[name], label=name) for name in names]
    handles.append(Line2D([], [], color="black", linewidth=0.5, label="in training"))
    handles.append(Line2D([], [], color="black", label="held out"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure
