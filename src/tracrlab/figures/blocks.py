"""One layer of a compiled model step by step, on one input (the thesis's worked histogram).

Attention: what the query and key weights make of each pair of directions, the pattern that
follows for the input, and what is written. MLP: its first weights, what the neurons say before and
after the ReLU, its second weights, and what is written (thesis section 3.2.1, Figures 3.5 to 3.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracrlab.compiler.model import CompiledModel
from tracrlab.figures.style import PAGE, colours_of, new_figure, styled
from tracrlab.rasp.values import Value


@dataclass(frozen=True)
class Panel:
    """A labelled matrix.

    Attributes:
      title: what it is.
      matrix: [rows, columns].
      rows, columns: their labels.
      row_name, column_name: what the labels are.
    """

    title: str
    matrix: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_name: str
    column_name: str

    def compact(self) -> Panel:
        """Without rows and columns that are all zero."""
        keep_rows = np.flatnonzero(np.abs(self.matrix).max(axis=1, initial=0) > 1e-6)
        keep_columns = np.flatnonzero(np.abs(self.matrix).max(axis=0, initial=0) > 1e-6)
        return Panel(
            self.title,
            self.matrix[np.ix_(keep_rows, keep_columns)],
            tuple(self.rows[row] for row in keep_rows),
            tuple(self.columns[column] for column in keep_columns),
            self.row_name,
            self.column_name,
        )


def layer_panels(model: CompiledModel, tokens: Sequence[Value], layer: int) -> list[Panel]:
    """The steps of one layer on one input.

    Args:
      model: a model whose directions have labels.
      tokens: the input, without BOS.
      layer: number of the layer, from 0.

    Returns:
      the panels in the order of computation; half-layers that are empty have none.
    """
    trace, sizes = model.trace(tokens), model.architecture.layers[layer]
    weights, labels = model.weights, model.labels
    symbols = ("bos", *map(str, tokens))
    before, between, after = (
        residual[0] for residual in trace.residuals[2 * layer : 2 * layer + 3]
    )
    panels = [Panel("residual stream", before, symbols, labels, "position", "direction").compact()]
    prefix = f"layer_{layer}/attn/"
    for head in range(sizes.heads):
        keys = slice(head * sizes.key_size, (head + 1) * sizes.key_size)
        values = slice(head * sizes.value_size, (head + 1) * sizes.value_size)
        name = f"head {head + 1}: " if sizes.heads > 1 else ""
        query_key = weights[prefix + "query"][:, keys] @ weights[prefix + "key"][:, keys].T
        query_key = query_key / np.sqrt(sizes.key_size)
        output_value = weights[prefix + "value"][:, values] @ weights[prefix + "linear"][values]
        pattern = trace.attention[layer][0, head]
        panels += [
            Panel(f"{name}$W_{{QK}}$", query_key, labels, labels, "query", "key").compact(),
            Panel(f"{name}attention logits", before @ query_key @ before.T, *_pairs(symbols)),
            Panel(f"{name}attention pattern", pattern, *_pairs(symbols)),
            Panel(f"{name}$W_{{OV}}$", output_value, labels, labels, "reads", "writes").compact(),
        ]
    if sizes.heads:
        panels.append(_written("attention writes", between - before, symbols, labels))
    if sizes.mlp_hidden:
        linear_1 = weights[f"layer_{layer}/mlp/linear_1"]
        linear_2 = weights[f"layer_{layer}/mlp/linear_2"]
        neurons = tuple(str(number) for number in range(sizes.mlp_hidden))
        inputs = between @ linear_1
        panels += [
            Panel("MLP $W_1$", linear_1, labels, neurons, "direction", "neuron").compact(),
            Panel("before the ReLU", inputs, symbols, neurons, "position", "neuron"),
            Panel("after the ReLU", np.maximum(inputs, 0), symbols, neurons, "position", "neuron"),
            Panel("MLP $W_2$", linear_2.T, labels, neurons, "direction", "neuron").compact(),
            _written("MLP writes", after - between, symbols, labels),
        ]
    return panels


def _pairs(symbols: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], str, str]:
    return symbols, symbols, "query", "key"


def _written(
    title: str, change: np.ndarray, symbols: tuple[str, ...], labels: tuple[str, ...]
) -> Panel:
    keep = np.flatnonzero(np.abs(change).max(axis=0) > 1e-6)
    kept = tuple(labels[direction] for direction in keep)
    return Panel(title, change[:, keep], symbols, kept, "position", "direction")


@styled
def blocks_figure(panels: Sequence[Panel]) -> Figure:
    """Draws panels from left to right and top to bottom, one page wide.

    Each panel has its own colours, centred at zero; numbers stand in the cells of small ones.
    """
    columns = 3
    groups = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [max(0.11 * len(panel.rows) for panel in group) + 0.75 for group in groups]
    figure = new_figure(PAGE, sum(heights) + 0.2)
    grid = figure.add_gridspec(len(groups), columns, height_ratios=heights)
    for row, group in enumerate(groups):
        for column, panel in enumerate(group):
            axis = figure.add_subplot(grid[row, column])
            number = row * columns + column + 1
            _draw(axis, panel, f"{number}. {panel.title}")
    return figure


def _draw(axis: Axes, panel: Panel, title: str) -> None:
    matrix = panel.matrix
    colours, norm = colours_of(matrix)
    axis.imshow(matrix, cmap=colours, norm=norm, aspect="auto")
    axis.set_title(title, loc="left")
    axis.set_xticks(range(len(panel.columns)), map(_short, panel.columns))
    axis.set_yticks(range(len(panel.rows)), map(_short, panel.rows))
    if max(map(len, panel.columns), default=0) > 3 or len(panel.columns) > 14:
        axis.tick_params(axis="x", rotation=90)
    axis.tick_params(length=0, labelsize=5)
    axis.set_xlabel(panel.column_name, labelpad=1)
    axis.set_ylabel(panel.row_name, labelpad=1)
    axis.spines[:].set_linewidth(0.3)
    axis.spines[:].set_visible(True)
    if len(panel.columns) <= 10:
        for (row, column), value in np.ndenumerate(matrix):
            if abs(value) > 1e-6:
                dark = abs(value) > 0.6 * norm.vmax
                axis.text(
                    column,
                    row,
                    _number(value),
                    ha="center",
                    va="center",
                    fontsize=4.5,
                    color="white" if dark else "black",
                )


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


def _short(label: str) -> str:
    return label.replace("compiler_bos", "bos").replace("_selector_width_attn_output", " (attn)")
