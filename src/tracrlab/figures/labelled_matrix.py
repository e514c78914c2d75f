"""Lines of labelled matrices with colour bars: W, W W^T, and the weights of a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracrlab.figures.heat_map import colours_of, direction_name, draw_cells, widest
from tracrlab.figures.style import PAGE, SMALL, TEXT, axis_at, new_figure, styled

#: Inches: the largest height and width of a cell, and the width of one that need not be square.
_CELL, _WIDE_CELL = 0.15, 0.3
#: Inches: a colour bar with its numbers, a title, a gap.
_BAR, _TITLE, _GAP = 0.42, 0.22, 0.12


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


@dataclass(frozen=True)
class _Line:
    """A line of panels as it is laid out, in inches.

    Attributes:
      panels: what is drawn.
      width, height: of a cell.
      below: room for the names of columns.
      heading: what stands above all of them; empty for nothing.
    """

    panels: Sequence[MatrixPanel]
    width: float
    height: float
    below: float
    heading: str

    @classmethod
    def of(cls, panels: Sequence[MatrixPanel], heading: str, left: float, *, square: bool) -> _Line:
        """The largest cells with which the panels fit beside each other on the page."""
        room = PAGE - left - len(panels) * (_BAR + _GAP)
        fitting = room / sum(panel.matrix.shape[1] for panel in panels)
        width = min(_CELL if square else _WIDE_CELL, fitting)
        below = max(widest([direction_name(name) for name in p.columns]) for p in panels)
        return cls(panels, width, min(_CELL, width) if square else _CELL, below, heading)

    @property
    def above(self) -> float:
        """Room for the heading and the titles."""
        return 2 * _TITLE if self.heading else _TITLE

    @property
    def total(self) -> float:
        """Height of everything."""
        rows = max(len(panel.matrix) for panel in self.panels)
        return self.above + rows * self.height + self.below + _GAP


def draw_matrices(
    lines: Sequence[Sequence[MatrixPanel]],
    *,
    headings: Sequence[str] = (),
    top: float = 0.0,
    square: bool = True,
) -> DrawnMatrices:
    """Draws lines of matrices on a page, all cells of a line of one size.

    Args:
      lines: the panels of each line; the first of a line carries the names of the rows for all.
      headings: a text above each line; none where there are none.
      top: inches to leave free above, for other plots.
      square: whether cells are square; else they may be wider than high.
    """
    left = max(widest([direction_name(name) for name in line[0].rows]) for line in lines) + 0.1
    laid = [
        _Line.of(line, heading, left, square=square)
        for line, heading in zip(lines, headings or [""] * len(lines), strict=True)
    ]
    figure = new_figure(PAGE, top + sum(line.total for line in laid) + 0.05)
    axes, offset = [], top
    for line in laid:
        axes.append(_draw_line(figure, line, left, offset + line.above))
        figure.text(
            left / PAGE,
            1 - (offset + _TITLE / 2) / figure.get_figheight(),
            line.heading,
            weight="bold",
            va="center",
        )
        offset += line.total
    return DrawnMatrices(figure, axes)


def _draw_line(figure: Figure, line: _Line, left: float, top: float) -> list[Axes]:
    shared = [panel.matrix.ravel() for panel in line.panels if panel.same_scale]
    common = colours_of(np.concatenate(shared)) if shared else None
    axes = []
    for number, panel in enumerate(line.panels):
        rows, columns = panel.matrix.shape
        width, height = columns * line.width, rows * line.height
        axis = axis_at(figure, left, top, width, height)
        finite = np.where(np.isfinite(panel.matrix), panel.matrix, np.nan)
        colours, norm = common if panel.same_scale and common else colours_of(finite)
        cells = draw_cells(axis, finite, colours, norm)
        _name(axis, panel, with_rows=number == 0, line=line)
        bar = axis_at(figure, left + width + 0.05, top, 0.06, min(height, 1.2))
        colour_bar = figure.colorbar(cells, cax=bar)
        colour_bar.solids.set(rasterized=False, edgecolor="face", linewidth=0.2)
        colour_bar.outline.set_visible(False)
        colour_bar.locator.set_params(nbins=3)
        bar.tick_params(length=1.5, pad=1)
        axes.append(axis)
        left += max(width + _BAR, widest([panel.title], TEXT)) + _GAP
    return axes


def _name(axis: Axes, panel: MatrixPanel, *, with_rows: bool, line: _Line) -> None:
    """Title, and names of as many rows and columns as have room for one."""
    rows = [direction_name(name) for name in panel.rows] if with_rows else []
    columns = [direction_name(name) for name in panel.columns]
    shown = range(0, len(rows), _every(line.height))
    axis.set_yticks(shown, [rows[row] for row in shown], fontsize=SMALL)
    shown = range(0, len(columns), _every(line.width))
    axis.set_xticks(shown, [columns[column] for column in shown], rotation=90, fontsize=SMALL)
    axis.set_title(panel.title, loc="left", pad=3)


@styled
def compression_figure(
    compression: np.ndarray,
    labels: Sequence[str],
    before: dict[str, np.ndarray],
    after: dict[str, np.ndarray],
    head: str,
) -> Figure:
    """W, W W^T, and the weights of one head before and after folding (thesis, Figures 6.5, 6.6).

    Args:
      compression: W [D, d].
      labels: names of the D directions.
      before: matrices of the head with the D directions as rows, by name; empty for no head.
      after: the same with the d directions of the compressed stream as rows.
      head: which head, for people.
    """
    width = compression.shape[1]
    operator = compression @ compression.T
    lines = [[MatrixPanel("W", compression, labels), MatrixPanel("W Wᵀ", operator, labels, labels)]]
    headings = [f"compression to d = {width}"]
    directions = [str(number) for number in range(width)]
    for state, matrices, names in (("before", before, labels), ("after", after, directions)):
        if matrices:
            lines.append([MatrixPanel(name, matrix, names) for name, matrix in matrices.items()])
            headings.append(f"{head}, {state} folding")
    return draw_matrices(lines, headings=headings).figure


def _every(cell: float) -> int:
    """How many cells of a size in inches a name takes; only as many are named as can be read."""
    return max(1, ceil(SMALL / (68 * cell) - 1e-9))
