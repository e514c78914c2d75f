"""From a layout to weights: blocks are built one by one and written straight into the matrices."""

from __future__ import annotations

import numpy as np

from tracrlab.compiler.blocks import attention_block, mlp_block
from tracrlab.compiler.layout import Layout
from tracrlab.rasp.program import AGGREGATE, FIRST_OP, SELECTOR_WIDTH


def assemble(layout: Layout) -> dict[str, np.ndarray]:
    """All weights (float32) by name.

    Raises:
      TracrLabError: if a block cannot be written in float32 (see `blocks.mlp_block`).
    """
    weights = layout.architecture.zeros()
    _embeddings(layout, weights)
    heads_done = [0] * len(layout.architecture.layers)
    neurons_done = [0] * len(layout.architecture.layers)
    for number, op in enumerate(layout.program.ops):
        if op.is_selector:
            continue
        layer = layout.half_layers[number] // 2
        if op.kind in (AGGREGATE, SELECTOR_WIDTH):
            _write_head(layout, weights, number, layer, heads_done[layer])
            heads_done[layer] += 1
        if op.kind != AGGREGATE:
            neurons_done[layer] += _write_mlp(layout, weights, number, layer, neurons_done[layer])
    return weights


def _embeddings(layout: Layout, weights: dict[str, np.ndarray]) -> None:
    token_embed, pos_embed = weights["token_embed"], weights["pos_embed"]
    token_embed[np.arange(len(layout.symbols)), layout.symbols] = 1
    token_embed[-1, layout.bos] = 1
    token_embed[:, layout.one] = 1
    pos_embed[1 + np.arange(len(layout.positions)), layout.positions] = 1
    outputs = layout.directions[-1]
    weights["unembed"][outputs, np.arange(len(outputs))] = 1


def _write_head(
    layout: Layout, weights: dict[str, np.ndarray], number: int, layer: int, head: int
) -> None:
    block = attention_block(
        layout.program, number, layout.sets, layout.directions, layout.one, layout.bos
    )
    sizes = layout.architecture.layers[layer]
    prefix = f"layer_{layer}/attn/"
    keys = head * sizes.key_size + np.arange(len(block.key_reads))
    values = head * sizes.value_size + np.arange(len(block.value_reads))
    width = layout.widths.get(number + FIRST_OP)
    writes = block.writes if width is None else np.array([width])
    scale = np.sqrt(sizes.key_size)  # the forward pass divides by it
    weights[prefix + "query"][np.ix_(block.query_reads, keys)] = block.logits * scale
    weights[prefix + "key"][block.key_reads, keys] = 1
    weights[prefix + "value"][block.value_reads, values] = 1
    weights[prefix + "linear"][values, writes] = 1


def _write_mlp(
    layout: Layout, weights: dict[str, np.ndarray], number: int, layer: int, start: int
) -> int:
    """Writes an op's MLP block behind the neurons that are there; returns how many it added."""
    block = mlp_block(
        layout.program,
        number,
        layout.sets,
        layout.directions,
        layout.one,
        layout.bos,
        layout.widths.get(number + FIRST_OP),
    )
    count = block.linear_1.shape[1]
    neurons = slice(start, start + count)
    # The same direction can be read twice (x and y of a LinearSequenceMap of one op): add.
    np.add.at(weights[f"layer_{layer}/mlp/linear_1"][:, neurons], block.reads, block.linear_1)
    weights[f"layer_{layer}/mlp/linear_2"][neurons, block.writes] = block.linear_2
    return count
