"""The superposition study as figures (Tracr paper, Figures 7 and 8; thesis, Figure 6.5).

Tables are those of `tracrlab.students.study_measures`: one row a run, and one a point of a curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from tracrlab.figures.labelled_matrix import MatrixPanel, draw_matrices
from tracrlab.figures.style import BLUE, ORANGE, PAGE, SMALL, axis_at, new_figure, styled
from tracrlab.students.study_measures import GRADIENT, PCA, best_seed
from tracrlab.students.study_summary import (
    SHOWN_WIDTH,
    best_by_width,
    smallest_without_loss,
)

#: Losses below this are drawn there: rounding, not a difference.
FLOOR = 1e-7
#: Training curves that are drawn, at most.
_CURVES = 6
#: Sizes of a plot, and of the names and numbers at its left, in inches.
_PLOT_HEIGHT, _LEFT = 1.35, 0.55
_MARKERS = "osD^vP"


@styled
def loss_figure(
    runs: pd.DataFrame,
    curves: pd.DataFrame,
    operators: dict[str, np.ndarray],
    labels: Sequence[str],
    width: int,
) -> Figure:
    """Training loss of several widths, final loss against width, and W W^T of two methods.

    Args:
      runs: the runs of one program.
      curves: their training curves.
      operators: W W^T [D, D] of both methods at one width, by the title of its panel.
      labels: names of the D directions.
      width: the width of the operators, marked in the final losses.
    """
    panels = [MatrixPanel(title, matrix, labels, labels) for title, matrix in operators.items()]
    matrices = draw_matrices([panels], top=_PLOT_HEIGHT + 0.75)
    figure = matrices.figure
    plot = (PAGE - 2 * _LEFT - 0.75) / 2
    training = axis_at(figure, _LEFT, 0.3, plot, _PLOT_HEIGHT)
    _training_curves(training, runs, curves)
    final = axis_at(figure, PAGE - plot - 0.1, 0.3, plot, _PLOT_HEIGHT)
    _final_losses(final, runs, width)
    return figure


def shown_width(widths: Sequence[int], wanted: int = SHOWN_WIDTH) -> int:
    """The width whose operators are drawn: the wanted one, or the nearest that was trained."""
    return min(sorted(widths), key=lambda width: abs(width - wanted))


def _training_curves(axis: Axes, runs: pd.DataFrame, curves: pd.DataFrame) -> None:
    """The output loss of the best seed of some widths, over the steps."""
    widths = _some(sorted(runs["d"].unique()), _CURVES)
    for colour, width in zip(_shades(len(widths)), widths, strict=True):
        seed = best_seed(runs, width)
        of_run = curves[(curves["d"] == width) & (curves["seed"] == seed)].sort_values("step")
        axis.plot(of_run["step"], of_run["output_loss"].clip(lower=FLOOR), color=colour, lw=0.9)
    handles = [Line2D([], [], color=colour) for colour in _shades(len(widths))]
    axis.legend(
        handles,
        [f"d = {width}" for width in widths],
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.05),
        handlelength=1.0,
        borderaxespad=0.2,
    )
    axis.set_yscale("log")
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_xlim(left=0)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.set(xlabel="training steps", ylabel="output loss", title="training (best seed)")


def _final_losses(axis: Axes, runs: pd.DataFrame, width: int) -> None:
    """The final output loss of every run, the best of each width joined, and PCA's."""
    trained = runs[runs["method"] == GRADIENT]
    best = best_by_width(runs)
    components = runs[runs["method"] == PCA].sort_values("d")
    axis.axvline(width, color="0.85", lw=3, zorder=0, label="shown below")
    axis.plot(
        *(trained["d"], trained["output_loss"].clip(lower=FLOOR)),
        *("o",),
        color=BLUE,
        ms=2.5,
        alpha=0.5,
        mew=0,
    )
    axis.plot(
        best["d"], best["output_loss"].clip(lower=FLOOR), color=BLUE, label="gradient descent"
    )
    axis.plot(
        *(components["d"], components["output_loss"].clip(lower=FLOOR), "s--"),
        color=ORANGE,
        ms=2.5,
        label="PCA",
    )
    axis.set_yscale("log")
    axis.yaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    d_model = int(runs["d_model"].iloc[0])
    axis.set(
        xlabel=f"width d of the stream (compiled: {d_model})",
        ylabel="final output loss",
        title="after training",
    )
    axis.legend(frameon=False, loc="lower left", borderaxespad=0.2)


@styled
def layers_figure(
    runs: pd.DataFrame,
    outputs: dict[str, np.ndarray],
    labels: Sequence[str],
    half_layers: Sequence[str],
    width: int,
) -> Figure:
    """Accuracy and cosine similarity against width, and mean outputs of the half-layers.

    Args:
      runs: the runs of one program, with a column cosine_<half-layer> for each.
      outputs: mean outputs [half-layers, D] by the title of their panel: compiled, compressed and
        their squared difference.
      labels: names of the D directions.
      half_layers: names of the half-layers as in the columns of `runs`: attn_1, mlp_1 ...
      width: the width of the outputs, marked in the plots.
    """
    names = [half_layer_title(name) for name in half_layers]
    panels = [
        MatrixPanel(title, matrix.T, labels, names, same_scale=number < 2)
        for number, (title, matrix) in enumerate(outputs.items())
    ]
    matrices = draw_matrices([panels], top=_PLOT_HEIGHT + 0.75, square=False)
    figure = matrices.figure
    plot = (PAGE - 2 * _LEFT - 0.85) / 2
    best = best_by_width(runs)
    trained = runs[runs["method"] == GRADIENT]
    accuracy = axis_at(figure, _LEFT, 0.3, plot, _PLOT_HEIGHT)
    accuracy.plot(trained["d"], trained["accuracy"], "o", color=BLUE, ms=2.5, alpha=0.5, mew=0)
    accuracy.plot(best["d"], best["accuracy"], color=BLUE)
    accuracy.set(ylabel="accuracy", title="positions right (line: the seed of lowest loss)")
    cosines = axis_at(figure, plot + 2 * _LEFT + 0.15, 0.3, plot, _PLOT_HEIGHT)
    _cosine_lines(cosines, best, half_layers)
    for axis in (accuracy, cosines):
        axis.axvline(width, color="0.85", lw=3, zorder=0, label="shown below")
        axis.set(xlabel=f"width d of the stream (compiled: {int(runs['d_model'].iloc[0])})")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    accuracy.set_ylim(-0.03, 1.05)
    accuracy.legend(frameon=False, loc="lower right", borderaxespad=0.2)
    return figure


def _cosine_lines(axis: Axes, best: pd.DataFrame, half_layers: Sequence[str]) -> None:
    writing = [name for name in half_layers if best[f"cosine_{name}"].notna().any()]
    for number, (colour, name) in enumerate(zip(_shades(len(writing)), writing, strict=True)):
        marker = _MARKERS[number % len(_MARKERS)]
        axis.plot(
            *(best["d"], best[f"cosine_{name}"]),
            color=colour,
            marker=marker,
            ms=2.5,
            label=half_layer_title(name),
        )
    axis.set(ylabel="cosine similarity", title="to the compiled half-layer's output")
    lowest = min(0.0, float(best[[f"cosine_{name}" for name in writing]].min().min()))
    axis.set_ylim(lowest - 0.05, 1.05)
    axis.legend(
        frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.05), handlelength=1.2, ncols=1
    )


def half_layer_title(name: str) -> str:
    """Attn 1 for attn_1, MLP 1 for mlp_1."""
    kind, _, number = name.partition("_")
    return f"{'MLP' if kind == 'mlp' else kind.capitalize()} {number}"


@styled
def library_figure(runs: pd.DataFrame) -> Figure:
    """Accuracy of every program against d / D: a line of cells a program, best seed of each width.

    A bar marks the smallest width without loss; programs are in the order of its share.
    """
    best = best_by_width(runs)
    groups = dict(list(best.groupby("program")))
    smallest = {name: smallest_without_loss(group) for name, group in groups.items()}
    sizes = runs.groupby("program")["d_model"].first()

    def share(name: str) -> float:
        return smallest[name] / sizes[name] if smallest[name] else 2.0

    order = sorted(groups, key=lambda name: (share(name), name))
    line, left, right = 0.17, 1.3, 1.15
    figure = new_figure(PAGE, line * len(order) + 0.75)
    axis = axis_at(figure, left, 0.3, PAGE - left - right, line * len(order))
    colours = mpl.colormaps["Blues"]
    for row, name in enumerate(order):
        group = groups[name]
        ratios = group["d"].to_numpy() / sizes[name]
        edges = np.concatenate([[0], (ratios[1:] + ratios[:-1]) / 2, [1]])
        cells = axis.pcolormesh(
            *(edges, [row - 0.42, row + 0.42], group["accuracy"].to_numpy()[None]),
            cmap=colours,
            vmin=0,
            vmax=1,
            edgecolors="0.88",
            linewidth=0.3,
        )
        if smallest[name]:
            axis.plot([share(name)] * 2, [row - 0.42, row + 0.42], color=ORANGE, lw=2)
        text = f"{smallest[name]} of {sizes[name]}" if smallest[name] else f"none of {sizes[name]}"
        axis.text(1.015, row, text, va="center", fontsize=SMALL)
    axis.set_yticks(range(len(order)), order)
    axis.set_ylim(len(order) - 0.5, -0.5)
    axis.set_xlim(0, 1)
    axis.tick_params(axis="y", length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel("width of the compressed stream over that of the compiled model, d / D")
    axis.text(1.015, -0.6, "smallest d\nwithout loss", fontsize=SMALL, va="bottom")
    bar = axis_at(figure, PAGE - 0.5, 0.3, 0.08, min(line * len(order), 1.5))
    figure.colorbar(cells, cax=bar).outline.set_visible(False)
    bar.set_ylabel("accuracy", labelpad=1)
    figure.text(
        left / PAGE,
        1 - 0.12 / figure.get_figheight(),
        "share of positions right after training (bar: smallest d without loss)",
        va="center",
    )
    return figure


def _some(widths: Sequence[int], most: int) -> list[int]:
    """At most so many of some widths, evenly spread, the first and the last among them."""
    chosen = np.linspace(0, len(widths) - 1, min(most, len(widths))).round().astype(int)
    return [int(widths[number]) for number in dict.fromkeys(chosen)]


def _shades(count: int) -> list:
    """Colours in an order that everyone can tell, dark to light."""
    return list(mpl.colormaps["viridis"](np.linspace(0, 0.88, count)))
