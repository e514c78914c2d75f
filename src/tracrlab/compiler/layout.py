"""Where everything goes: half-layers for the ops and basis directions for their values.

Half-layers alternate, attention (even) and MLP (odd). Each op is placed in the first half-layer of
its kind behind its operands, which never takes more layers than Tracr's allocation by depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracrlab.compiler.architecture import Architecture, Layer
from tracrlab.compiler.blocks import attention_sizes, hidden_size
from tracrlab.compiler.value_sets import PredicateSet, ValueSet
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.program import (
    AGGREGATE,
    FIRST_OP,
    INDICES,
    NUMERICAL,
    SELECTOR_WIDTH,
    TOKENS,
    Program,
)

ONE = "one"


@dataclass(frozen=True)
class Layout:
    """The plan of a model.

    Attributes:
      program: the program.
      sets: value set or predicate of each operand number.
      half_layers: half-layer of each op; a SelectorWidth's is that of its attention, a Select has
        none (-1).
      directions: residual-stream indices of each operand number: one for each value, or one for a
        numerical op; empty for a Select.
      symbols, positions: residual-stream indices of all input symbols and all positions.
      widths: index of the auxiliary direction of each SelectorWidth, by operand number.
      one, bos: index of the constant direction and of the beginning-of-sequence direction.
      labels: name of every direction.
      architecture: the sizes that follow.
    """

    program: Program
    sets: tuple[ValueSet | PredicateSet, ...]
    half_layers: tuple[int, ...]
    directions: tuple[np.ndarray, ...]
    symbols: np.ndarray
    positions: np.ndarray
    widths: dict[int, int]
    one: int
    bos: int
    labels: tuple[str, ...]
    architecture: Architecture


def plan(
    program: Program, sets: Sequence[ValueSet | PredicateSet], domain: Domain, bos: str
) -> Layout:
    """Places ops and values and counts the sizes; allocates nothing large."""
    half_layers = _half_layers(program)
    labels: list[str] = []
    directions: list[np.ndarray] = []
    widths: dict[int, int] = {}

    def add(names: list[str]) -> np.ndarray:
        start = len(labels)
        labels.extend(names)
        return np.arange(start, len(labels))

    symbols = add([f"tokens:{symbol}" for symbol in domain.vocab])
    bos_index = int(add([f"tokens:{bos}"])[0])
    positions = add([f"indices:{index}" for index in range(domain.max_seq_len)])
    # Where the inputs are given, some symbols and positions may not occur in them.
    directions.append(symbols[[domain.vocab.index(symbol) for symbol in sets[TOKENS].values]])
    directions.append(positions[list(sets[INDICES].values)])
    one_index = int(add([ONE])[0])
    for number, (op, name) in enumerate(zip(program.ops, program.names, strict=True)):
        if op.is_selector:
            directions.append(np.zeros(0, dtype=np.int64))
            continue
        if op.kind == SELECTOR_WIDTH:
            widths[number + FIRST_OP] = int(add([f"{name}_selector_width_attn_output"])[0])
        values = sets[number + FIRST_OP].values
        numerical = op.encoding == NUMERICAL
        directions.append(add([name] if numerical else [f"{name}:{value}" for value in values]))

    architecture = Architecture(
        input_symbols=(*domain.vocab, bos),
        max_seq_len=domain.max_seq_len,
        d_model=len(labels),
        output_size=len(directions[-1]),
        layers=_layers(program, sets, half_layers),
        causal=domain.causal,
    )
    return Layout(
        program=program,
        sets=tuple(sets),
        half_layers=half_layers,
        directions=tuple(directions),
        symbols=symbols,
        positions=positions,
        widths=widths,
        one=one_index,
        bos=bos_index,
        labels=tuple(labels),
        architecture=architecture,
    )


def _half_layers(program: Program) -> tuple[int, ...]:
    available = [-1] * FIRST_OP  # the half-layer after which each operand can be read
    placed = []
    for op in program.ops:
        latest = max(available[ref] for ref in op.operands)
        if op.is_selector:
            available.append(latest)
            placed.append(-1)
            continue
        needs_attention = op.kind in (AGGREGATE, SELECTOR_WIDTH)
        parity = 0 if needs_attention else 1
        half_layer = latest + 1 + (latest + 1 - parity) % 2
        placed.append(half_layer)
        available.append(half_layer + 1 if op.kind == SELECTOR_WIDTH else half_layer)
    return tuple(placed)


def _layers(
    program: Program, sets: Sequence[ValueSet | PredicateSet], half_layers: Sequence[int]
) -> tuple[Layer, ...]:
    count = max(half_layers) // 2 + 1
    heads, keys, values, hidden = (np.zeros(count, dtype=np.int64) for _ in range(4))
    for number, (op, half_layer) in enumerate(zip(program.ops, half_layers, strict=True)):
        if op.is_selector:
            continue
        layer = half_layer // 2
        if op.kind in (AGGREGATE, SELECTOR_WIDTH):
            key_size, value_size = attention_sizes(program, number, sets)
            heads[layer] += 1
            keys[layer] = max(keys[layer], key_size)
            values[layer] = max(values[layer], value_size)
        hidden[layer] += hidden_size(program, number, sets)
    return tuple(
        Layer(int(h), int(k), int(v), int(m))
        for h, k, v, m in zip(heads, keys, values, hidden, strict=True)
    )
