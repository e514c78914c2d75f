"""One layer of a compiled model step by step, on one input (the thesis's worked histogram)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracrlab.figures.heat_map import ZERO, collide, colours_of, draw_cells, text_width, widest
from tracrlab.figures.panels import Panel
from tracrlab.figures.style import GREY, PAGE, SMALL, TEXT, axis_at, new_figure, styled

# Inches: the least width of a cell with a number; the most of one without; the height of a row;
# the most height of a panel; the space between panels; a section's heading; a line of text.
_NUMBERED, _PLAIN, _ROW, _TALLEST, _GAP, _HEADING, _LINE = 0.17, 0.13, 0.135, 7.0, 0.15, 0.18, 0.13


@dataclass(frozen=True)
class _Drawing:
    """A panel with its sizes in inches.

    Attributes:
      left: of the row labels and their name.
      across, down: of the cells.
      below: of the column labels and their name.
      head: width of the title, or of a column label where it is wider than its cell.
      numbered: whether numbers stand in the cells.
      upright: whether column labels are turned.
    """

    panel: Panel
    title: str
    left: float
    across: float
    down: float
    below: float
    head: float
    numbered: bool
    upright: bool

    @property
    def width(self) -> float:
        return self.left + max(self.across, self.head)

    @property
    def above(self) -> float:
        return 2 * _LINE + 0.05

    @property
    def height(self) -> float:
        return self.above + self.down + self.below


def _measure(panel: Panel, number: int) -> _Drawing:
    """Sizes of a panel: cells as wide as their numbers where that fits the page, else narrower."""
    rows, columns = panel.matrix.shape if panel.matrix.size else (1, 1)
    left = widest(panel.rows) + _LINE + 0.08
    shown = np.abs(panel.matrix) > ZERO
    cell = max(_NUMBERED, widest([_number(value) for value in panel.matrix[shown]]) + 0.05)
    numbered = left + cell * columns <= PAGE and _ROW * rows <= _TALLEST
    if not numbered:
        cell = min(_PLAIN, (PAGE - left) / columns)
    upright = collide(panel.columns, cell) or widest(panel.columns) > cell + 0.4
    title = f"{number}. {panel.title}"
    return _Drawing(
        panel,
        title,
        left=left,
        across=cell * columns,
        down=min(_ROW, _TALLEST / rows) * rows,
        below=(widest(panel.columns) if upright else 0.08) + _LINE + 0.08,
        head=max(
            text_width(title, TEXT),
            text_width(panel.formula),
            0 if upright else cell * columns + (widest(panel.columns) - cell) / 2,
        ),
        numbered=numbered,
        upright=upright,
    )


def _lines(drawings: Sequence[_Drawing]) -> list[list[_Drawing]]:
    """Panels in lines no wider than the page; a section begins on a line of its own."""
    lines: list[list[_Drawing]] = []
    used = 0.0
    for drawing in drawings:
        wanted = used + _GAP + drawing.width
        if not lines or drawing.panel.section != lines[-1][0].panel.section or wanted > PAGE:
            lines.append([])
            wanted = drawing.width
        lines[-1].append(drawing)
        used = wanted
    return lines


@styled
def blocks_figure(panels: Sequence[Panel]) -> Figure:
    """Draws panels from left to right and top to bottom, one page wide.

    Each panel has its own colours: zero is pale, positive blue, negative red. Numbers stand in the
    cells where they fit; cells that a causal mask hides are grey.

    Args:
      panels: see `tracrlab.figures.panels.layer_panels`.
    """
    lines = _lines([_measure(panel, number) for number, panel in enumerate(panels, start=1)])
    sections = [line[0].panel.section for line in lines]
    is_new = [section not in sections[:number] for number, section in enumerate(sections)]
    heights = [max(drawing.height for drawing in line) for line in lines]
    total = sum(heights) + _HEADING * sum(is_new) + 0.05
    figure = new_figure(PAGE, max(total, 0.5))
    top = 0.0
    for line, section, new, height in zip(lines, sections, is_new, heights, strict=True):
        if new:
            where = 1 - (top + 0.09) / figure.get_figheight()
            figure.text(0.02 / PAGE, where, section, fontsize=TEXT, weight="bold", va="center")
            top += _HEADING
        left = 0.0
        for drawing in line:
            axis = axis_at(
                figure, left + drawing.left, top + drawing.above, drawing.across, drawing.down
            )
            _draw(axis, drawing)
            left += drawing.width + _GAP
        top += height
    return figure


def _draw(axis: Axes, drawing: _Drawing) -> None:
    panel = drawing.panel
    axis.set_title(drawing.title, loc="left", pad=3 + 72 * _LINE)
    axis.annotate(
        panel.formula,
        (0, 1),
        xytext=(0, 3.5),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=SMALL,
        color=GREY,
    )
    if not panel.matrix.size:
        axis.set_axis_off()
        axis.text(0, 0.5, "(nothing)", fontsize=SMALL, color=GREY, transform=axis.transAxes)
        return
    colours, norm = colours_of(panel.matrix)
    draw_cells(axis, panel.matrix, colours, norm)
    rows, columns = panel.matrix.shape
    _ticks(axis.set_xticks, panel.columns, drawing.across / columns, 90 if drawing.upright else 0)
    _ticks(axis.set_yticks, panel.rows, drawing.down / rows, 0)
    axis.set_xlabel(panel.column_name, labelpad=1.5, fontsize=SMALL, color=GREY)
    axis.set_ylabel(panel.row_name, labelpad=2.5, fontsize=SMALL, color=GREY)
    axis.spines[:].set(visible=True, linewidth=0.4, edgecolor="0.4")
    if drawing.numbered:
        for (row, column), value in np.ndenumerate(panel.matrix):
            if abs(value) > ZERO:
                dark = abs(value) > 0.6 * norm.vmax
                axis.text(
                    column,
                    row,
                    _number(value),
                    ha="center",
                    va="center_baseline",
                    fontsize=SMALL,
                    color="white" if dark else "black",
                )


def _ticks(set_ticks, names: Sequence[str], cell: float, rotation: int) -> None:
    """Labels cells; where cells (inches) are too close for a label each, every second, third ..."""
    step = max(1, int(np.ceil(0.09 / cell)))
    set_ticks(range(0, len(names), step), names[::step], rotation=rotation)


def _number(value: float) -> str:
    if abs(value) >= 1e4 or abs(value) < 0.005:
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
