"""Lines of labelled matrices with colour bars: W, W W^T, and the weights of a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracrlab.figures.heat_map import colours_of, direction_name, draw_cells, widest
from tracrlab.figures.style import PAGE, SMALL, axis_at, new_figure, styled

#: Inches: the largest side of a cell, the colour bar with its numbers, and gaps.
_CELL, _BAR, _TITLE, _GAP = 0.12, 0.42, 0.25, 0.12


@dataclass(frozen=True)
class MatrixPanel:
    """A matrix to draw.

    Attributes:
      title: what it is.
      matrix: [rows, columns].
      rows: names of the rows; empty for none.
      columns: names of the columns; empty for none.
      same_scale: whether it shares its colours with the others of its line that say so.
    """

    title: str
    matrix: np.ndarray
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    same_scale: bool = False


@dataclass(frozen=True)
class DrawnMatrices:
    """A figure with matrices, and their axes line by line."""

    figure: Figure
    axes: list[list[Axes]]


def draw_matrices(
    lines: Sequence[Sequence[MatrixPanel]], *, top: float = 0.0, labels_below: bool = False
) -> DrawnMatrices:
    """Draws lines of matrices on a page, all cells of a line of one size.

    Args:
      lines: the panels of each line; the first of a line carries the names of the rows for all.
      top: inches to leave free above, for other plots.
      labels_below: whether the names of columns take room below each line.
    """
    cells = [_cell(line) for line in lines]
    below = [
        max((widest([direction_name(name) for name in p.columns]) for p in line), default=0.0)
        if labels_below
        else 0.0
        for line in lines
    ]
    heights = [
        _TITLE + max(len(p.matrix) for p in line) * cell + names + _GAP
        for line, cell, names in zip(lines, cells, below, strict=True)
    ]
    figure = new_figure(PAGE, top + sum(heights) + 0.1)
    axes, offset = [], top
    for line, cell, height in zip(lines, cells, heights, strict=True):
        axes.append(_draw_line(figure, line, cell, offset + _TITLE))
        offset += height
    return DrawnMatrices(figure, axes)


def _cell(line: Sequence[MatrixPanel]) -> float:
    """The side of a cell that lets a line fit the page."""
    columns = sum(panel.matrix.shape[1] for panel in line)
    return min(_CELL, (PAGE - _names(line) - len(line) * (_BAR + _GAP)) / columns)


def _names(line: Sequence[MatrixPanel]) -> float:
    return widest([direction_name(name) for name in line[0].rows]) + 0.1


def _draw_line(figure: Figure, line: Sequence[MatrixPanel], cell: float, top: float) -> list[Axes]:
    shared = [panel.matrix.ravel() for panel in line if panel.same_scale]
    common = colours_of(np.concatenate(shared)) if shared else None
    left, axes = _names(line), []
    for number, panel in enumerate(line):
        rows, columns = panel.matrix.shape
        axis = axis_at(figure, left, top, columns * cell, rows * cell)
        finite = np.where(np.isfinite(panel.matrix), panel.matrix, np.nan)
        colours, norm = common if panel.same_scale and common else colours_of(finite)
        cells = draw_cells(axis, finite, colours, norm)
        size = min(SMALL, 72 * cell * 0.95)
        names = [direction_name(name) for name in panel.rows] if number == 0 else []
        axis.set_yticks(range(len(names)), names, fontsize=size)
        columns_named = [direction_name(name) for name in panel.columns]
        axis.set_xticks(range(len(columns_named)), columns_named, rotation=90, fontsize=size)
        axis.set_title(panel.title, loc="left", pad=3)
        bar = axis_at(figure, left + columns * cell + 0.05, top, 0.06, min(rows * cell, 1.2))
        colour_bar = figure.colorbar(cells, cax=bar)
        colour_bar.solids.set(rasterized=False, edgecolor="face", linewidth=0.2)
        colour_bar.outline.set_visible(False)
        colour_bar.locator.set_params(nbins=3)
        bar.tick_params(length=1.5, pad=1)
        axes.append(axis)
        left += max(columns * cell, 0.45) + _BAR + _GAP
    return axes


@styled
def compression_figure(
    compression: np.ndarray,
    labels: Sequence[str],
    before: dict[str, np.ndarray],
    after: dict[str, np.ndarray],
    title: str,
) -> Figure:
    """W, W W^T, and the weights of one head before and after folding (thesis, Figures 6.5, 6.6).

    Args:
      compression: W [D, d].
      labels: names of the D directions.
      before: matrices of the head with the D directions as rows, by name; empty for no head.
      after: the same with the d directions of the compressed stream as rows.
      title: which head, for people.
    """
    lines = [
        [
            MatrixPanel("W", compression, labels),
            MatrixPanel("W Wᵀ", compression @ compression.T, labels, labels),
        ]
    ]
    if before:
        directions = [str(number) for number in range(compression.shape[1])]
        lines += [
            [
                MatrixPanel(f"{title}, {name}" if number == 0 else name, matrix, names)
                for number, (name, matrix) in enumerate(matrices.items())
            ]
            for matrices, names in ((before, labels), (after, directions))
        ]
    return draw_matrices(lines, labels_below=True).figure
