"""The residual stream of one input by half-layer (Tracr paper, Figures 2, 5, 9, 10 and 11)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tracrlab.figures.style import ORANGE, PAGE, colours_of, new_figure, styled

#: A cell has changed if it differs by more than this.
THRESHOLD = 1e-3
#: Inches of a row, of a column of cells, and of the labels on the left.
_ROW, _CELL, _LABELS = 0.085, 0.11, 1.1


def changed_cells(residuals: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Which cells each half-layer changed.

    Args:
      residuals: the stream after the embedding and after each half-layer,
        [1 + half-layers, positions, directions].
      threshold: the smallest change that counts.

    Returns:
      bool, of the same shape; the first entry, the input, is all False.
    """
    changed = np.zeros(residuals.shape, dtype=bool)
    changed[1:] = np.abs(np.diff(residuals, axis=0)) > threshold
    return changed


def half_layer_names(count: int) -> list[str]:
    """Input, Attn 1, MLP 1, Attn 2, ..."""
    names = ["Input"]
    for number in range(count - 1):
        names.append(f"{'MLP' if number % 2 else 'Attn'} {number // 2 + 1}")
    return names


@styled
def residual_stream_figure(
    residuals: np.ndarray, labels: Sequence[str], tokens: Sequence[object]
) -> Figure:
    """Draws the stream, with the cells that a half-layer changed outlined.

    Args:
      residuals: [1 + half-layers, positions, directions], position 0 the BOS symbol.
      labels: name of each direction.
      tokens: the input symbols, without BOS.

    Returns:
      a figure one page wide; panels are wrapped into rows where they do not fit beside each other.
    """
    panels, positions, directions = residuals.shape
    panel_width = max(positions * _CELL, 0.45)
    columns = min(panels, max(1, int((PAGE - _LABELS) / (panel_width + 0.12))))
    rows = math.ceil(panels / columns)
    width = min(PAGE, _LABELS + columns * (panel_width + 0.14) + 0.5)
    figure = new_figure(width, rows * (directions * _ROW + 0.45) + 0.1)
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    colours, norm = colours_of(residuals)
    changed = changed_cells(residuals)
    symbols = ["bos", *map(str, tokens)]
    image = None
    for number, (axis, name) in enumerate(zip(axes.flat, half_layer_names(panels), strict=False)):
        image = axis.imshow(residuals[number].T, cmap=colours, norm=norm, aspect="auto")
        for position, direction in np.argwhere(changed[number]):
            axis.add_patch(
                Rectangle(
                    (position - 0.5, direction - 0.5),
                    1,
                    1,
                    fill=False,
                    edgecolor=ORANGE,
                    linewidth=1,
                )
            )
        idle = number > 0 and not changed[number].any()
        axis.set_title(f"{name}\n(no-op)" if idle else name, color="0.5" if idle else "black")
        axis.set_xticks(range(positions), symbols)
        axis.set_yticks(range(directions), labels)
        axis.tick_params(length=0, labelsize=6 if directions < 30 else 5)
        axis.set_xticks(np.arange(positions + 1) - 0.5, minor=True)
        axis.set_yticks(np.arange(directions + 1) - 0.5, minor=True)
        axis.grid(which="minor", color="0.9", linewidth=0.3)
        axis.tick_params(which="minor", length=0)
        axis.spines[:].set_visible(False)
    for axis in axes.flat[panels:]:
        axis.set_visible(False)
    tall = directions * _ROW
    bar = figure.colorbar(image, ax=axes[0], shrink=min(1.0, 1.1 / tall), aspect=12, pad=0.01)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=6, length=2, width=0.4)
    return figure
