"""The residual stream of one input by half-layer (Tracr paper, Figures 2, 5, 9, 10 and 11)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tracrlab.compiler.architecture import Architecture
from tracrlab.figures.heat_map import (
    collide,
    colours_of,
    direction_name,
    draw_cells,
    printed,
    widest,
)
from tracrlab.figures.style import ORANGE, PAGE, SMALL, axis_at, new_figure, styled

#: A cell has changed if it differs by more than this.
THRESHOLD = 1e-3
#: Title of a half-layer without weights; it follows the half-layer's name.
NO_OP = "\n(no-op)"

# Inches: a row of cells; the narrowest and the widest column of cells; the narrowest panel; the
# space between panels; the colour bar with its numbers; a line of text.
_ROW, _NARROW, _WIDE, _PANEL, _GAP, _BAR, _LINE = 0.095, 0.11, 0.17, 0.45, 0.09, 0.48, 0.13


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


def half_layer_names(architecture: Architecture) -> list[str]:
    """Input, Attn 1, MLP 1, Attn 2, ...; a half-layer without weights is marked as `NO_OP`."""
    names = ["Input"]
    for number, layer in enumerate(architecture.layers, start=1):
        names.append(f"Attn {number}{'' if layer.heads else NO_OP}")
        names.append(f"MLP {number}{'' if layer.mlp_hidden else NO_OP}")
    return names


@dataclass(frozen=True)
class _Layout:
    """Where panels lie, in inches: how many beside each other, and the sizes of each."""

    columns: int
    lines: int
    cell: float
    labels: float
    title: float
    height: float
    symbols: float
    upright: bool

    @property
    def line_height(self) -> float:
        return self.title + self.height + self.symbols

    def panel_width(self, positions: int) -> float:
        return self.cell * positions


def _lay_out(
    shape: tuple[int, ...], labels: Sequence[str], symbols: Sequence[str], names: Sequence[str]
) -> _Layout:
    """As many panels beside each other as fit; the same number on every line but the last."""
    panels, positions, directions = shape
    left = widest(labels) + 0.1
    space = PAGE - left - _BAR
    narrowest = max(_NARROW * positions, _PANEL)
    lines = math.ceil(panels / max(1, int((space + _GAP) / (narrowest + _GAP))))
    columns = math.ceil(panels / lines)
    widest_cell = max(_WIDE, _PANEL / positions)
    cell = min(widest_cell, ((space + _GAP) / columns - _GAP) / positions)
    upright = collide(symbols, cell)
    return _Layout(
        columns=columns,
        lines=lines,
        cell=cell,
        labels=left,
        title=_LINE * (1 + any(name.endswith(NO_OP) for name in names)) + 0.04,
        height=_ROW * directions,
        symbols=(widest(symbols) if upright else 0.08) + 0.09,
        upright=upright,
    )


@styled
def residual_stream_figure(
    residuals: np.ndarray,
    labels: Sequence[str],
    tokens: Sequence[object],
    names: Sequence[str],
) -> Figure:
    """Draws the stream, with the cells that a half-layer changed outlined.

    Args:
      residuals: [1 + half-layers, positions, directions], position 0 the BOS symbol.
      labels: name of each direction.
      tokens: the input symbols, without BOS.
      names: title of each panel (see `half_layer_names`).

    Returns:
      a figure at most one page wide; panels that do not fit beside each other follow below.
    """
    panels, positions, _ = residuals.shape
    labels = [direction_name(label) for label in labels]
    symbols = ["bos", *map(printed, tokens)]
    layout = _lay_out(residuals.shape, labels, symbols, names)
    panel_width = layout.panel_width(positions)
    width = layout.labels + layout.columns * (panel_width + _GAP) - _GAP + _BAR
    figure = new_figure(width, layout.lines * layout.line_height + _LINE + 0.04)
    colours, norm = colours_of(residuals)
    changed = changed_cells(residuals)
    for number in range(panels):
        line, column = divmod(number, layout.columns)
        left = layout.labels + column * (panel_width + _GAP)
        top = line * layout.line_height + layout.title
        axis = axis_at(figure, left, top, panel_width, layout.height)
        cells = draw_cells(axis, residuals[number].T, colours, norm)
        _outline(axis, changed[number])
        axis.set_title(
            names[number], color="0.45" if names[number].endswith(NO_OP) else "black", pad=3
        )
        axis.set_xticks(range(positions), symbols, rotation=90 if layout.upright else 0)
        axis.set_yticks(*((range(len(labels)), labels) if column == 0 else ([],)))
    bar = axis_at(figure, width - _BAR + 0.09, layout.title, 0.09, min(1.2, layout.height))
    _colour_bar(figure, bar, cells)
    _key(figure, width)
    return figure


def _outline(axis: Axes, changed: np.ndarray) -> None:
    for position, direction in np.argwhere(changed):
        axis.add_patch(
            Rectangle(
                (position - 0.5, direction - 0.5),
                1,
                1,
                fill=False,
                edgecolor=ORANGE,
                linewidth=1,
                clip_on=False,
                zorder=3,
            )
        )


def _colour_bar(figure: Figure, axis: Axes, cells: object) -> None:
    bar = figure.colorbar(cells, cax=axis)
    bar.solids.set(rasterized=False, edgecolor="face", linewidth=0.2)
    bar.outline.set_visible(False)
    axis.tick_params(length=2, pad=1.5)


def _key(figure: Figure, width: float) -> None:
    """Says below the panels what an outline means."""
    text = "changed by this half-layer"
    left = width - widest([text]) - 0.05
    height = figure.get_figheight()
    figure.text(left / width, 0.07 / height, text, fontsize=SMALL, va="center")
    figure.add_artist(
        Rectangle(
            ((left - 0.16) / width, 0.03 / height),
            0.12 / width,
            0.08 / height,
            fill=False,
            edgecolor=ORANGE,
            linewidth=1,
        )
    )
