"""The steps of one layer of a compiled model on one input, as labelled matrices.

Thesis section 3.2.1, Figures 3.5 to 3.8: what attention reads, what the query and key weights make
of each pair of directions, the pattern that follows and what is written; then what the MLP reads,
its first weights, its neurons before and after the ReLU, its second weights, and what it writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracrlab.compiler.model import CompiledModel
from tracrlab.figures.heat_map import ZERO, direction_name, printed
from tracrlab.rasp.values import Value


@dataclass(frozen=True)
class Panel:
    """A labelled matrix.

    Attributes:
      section: the block of the layer that it belongs to.
      title: what it is.
      formula: how it comes from the panels before it; empty where it does not.
      matrix: [rows, columns]; nan where a query may not see a key.
      rows, columns: their labels.
      row_name, column_name: what the labels are.
    """

    section: str
    title: str
    formula: str
    matrix: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_name: str
    column_name: str

    def without_empty_columns(self) -> Panel:
        """Without columns that are all zero."""
        keep = np.flatnonzero((np.abs(self.matrix) > ZERO).any(axis=0))
        columns = tuple(self.columns[column] for column in keep)
        return replace(self, matrix=self.matrix[:, keep], columns=columns)

    def without_empty_rows(self) -> Panel:
        """Without rows that are all zero."""
        keep = np.flatnonzero((np.abs(self.matrix) > ZERO).any(axis=1))
        rows = tuple(self.rows[row] for row in keep)
        return replace(self, matrix=self.matrix[keep], rows=rows)

    def compact(self) -> Panel:
        """Without rows and columns that are all zero."""
        return self.without_empty_rows().without_empty_columns()


def layer_panels(model: CompiledModel, tokens: Sequence[Value], layer: int) -> list[Panel]:
    """The steps of one layer on one input.

    Args:
      model: a model whose directions have labels.
      tokens: the input, without BOS.
      layer: number of the layer, from 0.

    Returns:
      the panels in the order of computation; half-layers that are empty have none. Directions and
      neurons that are zero throughout a panel are left out of it; positions never are.
    """
    trace, sizes = model.trace(tokens), model.architecture.layers[layer]
    symbols = ("bos", *map(printed, tokens))
    labels = tuple(direction_name(label) for label in model.labels)
    stages = [residual[0] for residual in trace.residuals[2 * layer : 2 * layer + 3]]
    panels: list[Panel] = []
    if sizes.heads:
        pattern = trace.attention[layer][0]
        panels += _attention_panels(model, layer, stages[:2], pattern, symbols, labels)
    if sizes.mlp_hidden:
        panels += _mlp_panels(model, layer, stages[1:], symbols, labels)
    return panels


def _attention_panels(
    model: CompiledModel,
    layer: int,
    stages: Sequence[np.ndarray],
    patterns: np.ndarray,
    symbols: tuple[str, ...],
    labels: tuple[str, ...],
) -> list[Panel]:
    before, after = stages
    sizes, weights = model.architecture.layers[layer], model.weights
    prefix, name = f"layer_{layer}/attn/", f"Layer {layer + 1}: attention"
    pairs = (symbols, symbols, "query", "key")
    stream = (symbols, labels, "position", "direction")
    masked = ~np.tri(len(symbols), dtype=bool) if model.architecture.causal else False
    panels = [Panel(name, "residual stream", "$R$", before, *stream).without_empty_columns()]
    for head in range(sizes.heads):
        section = f"{name}, head {head + 1}" if sizes.heads > 1 else name
        keys = slice(head * sizes.key_size, (head + 1) * sizes.key_size)
        values = slice(head * sizes.value_size, (head + 1) * sizes.value_size)
        query_key = weights[prefix + "query"][:, keys] @ weights[prefix + "key"][:, keys].T
        query_key = query_key / np.sqrt(sizes.key_size)
        output_value = weights[prefix + "value"][:, values] @ weights[prefix + "linear"][values]
        logits = np.where(masked, np.nan, before @ query_key @ before.T)
        wide = (labels, labels, "query", "key")
        moved = (labels, labels, "reads", "writes")
        panels += [
            Panel(section, "$W_{QK}$", r"$W_Q W_K^\top/\sqrt{d_k}$", query_key, *wide).compact(),
            Panel(section, "logits", r"$R\;W_{QK}\,R^\top$", logits, *pairs),
            Panel(section, "pattern", "$A$, softmax of each row", patterns[head], *pairs),
            Panel(section, "$W_{OV}$", "$W_V W_O$", output_value, *moved).compact(),
        ]
    total, formula = (name, r"$A\;R\;W_{OV}$")
    if sizes.heads > 1:
        total, formula = f"{name}, all heads", r"$\sum A\;R\;W_{OV}$"
    panels.append(
        Panel(total, "attention writes", formula, after - before, *stream).without_empty_columns()
    )
    return panels


def _mlp_panels(
    model: CompiledModel,
    layer: int,
    stages: Sequence[np.ndarray],
    symbols: tuple[str, ...],
    labels: tuple[str, ...],
) -> list[Panel]:
    before, after = stages
    section = f"Layer {layer + 1}: MLP"
    linear_1 = model.weights[f"layer_{layer}/mlp/linear_1"]
    linear_2 = model.weights[f"layer_{layer}/mlp/linear_2"]
    neurons = tuple(str(number) for number in range(linear_1.shape[1]))
    reads = (np.abs(linear_1) > ZERO).any(axis=1)
    read = tuple(label for label, is_read in zip(labels, reads, strict=True) if is_read)
    stream = (symbols, labels, "position", "direction")
    inside = (symbols, neurons, "position", "neuron")
    outside = (labels, neurons, "direction", "neuron")
    inputs = before @ linear_1
    hidden = np.maximum(inputs, 0)
    return [
        Panel(
            section,
            "MLP reads",
            "what $W_1$ reads of $R$",
            before[:, reads],
            symbols,
            read,
            "position",
            "direction",
        ).without_empty_columns(),
        Panel(section, "$W_1$", "into the neurons", linear_1, *outside).compact(),
        Panel(section, "before the ReLU", r"$R\;W_1$", inputs, *inside).without_empty_columns(),
        Panel(section, "after the ReLU", "$H$", hidden, *inside).without_empty_columns(),
        Panel(section, r"$W_2^\top$", "out of the neurons", linear_2.T, *outside).compact(),
        Panel(section, "MLP writes", r"$H\;W_2$", after - before, *stream).without_empty_columns(),
    ]
