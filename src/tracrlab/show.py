"""Models and programs as text tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from tracrlab.compiler.layout import Layout
from tracrlab.compiler.value_sets import ValueSet
from tracrlab.rasp.program import AGGREGATE, FIRST_OP, SELECTOR_WIDTH
from tracrlab.rasp.values import Value, literal


def s_op_table(layout: Layout) -> list[tuple[str, ...]]:
    """A line for each op: name, kind, encoding, half-layer, number of values, the first values."""
    rows = [("name", "op", "encoding", "half-layer", "values", "")]
    program = layout.program
    for number, (op, name) in enumerate(zip(program.ops, program.names, strict=True)):
        entry = layout.sets[number + FIRST_OP]
        values = entry.values if isinstance(entry, ValueSet) else ()
        shown = ", ".join(literal(value) for value in values[:8])
        rows.append(
            (
                name,
                op.kind,
                op.encoding or "",
                half_layer_name(layout, number),
                str(len(values)) if values else "",
                shown + (", ..." if len(values) > 8 else ""),
            )
        )
    return rows


def half_layer_name(layout: Layout, number: int) -> str:
    """``Attn 1``, ``MLP 2`` or, for a SelectorWidth, both; empty for a Select."""
    half_layer = layout.half_layers[number]
    op = layout.program.ops[number]
    if op.is_selector:
        return ""
    layer = half_layer // 2 + 1
    if op.kind == SELECTOR_WIDTH:
        return f"Attn {layer}, MLP {layer}"
    return f"Attn {layer}" if op.kind == AGGREGATE else f"MLP {layer}"


def layer_table(layout: Layout) -> list[tuple[str, ...]]:
    """A line for each layer: sizes, and what it computes."""
    rows = [("layer", "heads", "key size", "value size", "MLP neurons", "computes")]
    program = layout.program
    for number, layer in enumerate(layout.architecture.layers):
        computed = [
            name
            for name, op, half_layer in zip(
                program.names, program.ops, layout.half_layers, strict=True
            )
            if not op.is_selector and half_layer // 2 == number
        ]
        sizes = (layer.heads, layer.key_size, layer.value_size, layer.mlp_hidden)
        rows.append((str(number + 1), *map(str, sizes), ", ".join(computed)))
    return rows


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of text; the first row is the heading."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def run_table(tokens: Sequence[Value], columns: dict[str, Sequence[Value | None]]) -> str:
    """Input and outputs side by side, one line a position."""
    rows = [("position", "input", *columns)]
    for position, token in enumerate(tokens):
        outputs = [_shown(values[position]) for values in columns.values()]
        rows.append((str(position), literal(token), *outputs))
    return aligned(rows)


def _shown(value: Value | None) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "None" if value is None else literal(value)
