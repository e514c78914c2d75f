"""Proof of a circuit: parts are set to zero, and the outputs say whether they mattered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from tracrlab.compiler.model import BOS, PAD, PRESENT, CompiledModel
from tracrlab.compiler.verification import TOLERANCE, model_inputs
from tracrlab.exporting.circuit import (
    EMBEDDING,
    HEAD,
    NEURONS,
    OUTPUT,
    Circuit,
    Component,
    all_components,
)
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.program import CATEGORICAL


@dataclass(frozen=True)
class AblationReport:
    """What setting parts to zero does to the outputs.

    Attributes:
      inputs: how many inputs were run.
      outside: on which share of them the outputs change when all that is outside the circuit is
        zero; 0 for a right circuit.
      components: likewise for each part of the circuit by itself, by its id.
    """

    inputs: int
    outside: float
    components: dict[str, float]


def ablated(model: CompiledModel, components: Iterable[Component]) -> CompiledModel:
    """The model with what the components write set to zero.

    Zero weights behind a head or a neuron do what setting its activation to zero does.
    """
    weights = dict(model.weights)

    def own(name: str) -> np.ndarray:
        if weights[name] is model.weights[name]:
            weights[name] = weights[name].copy()
        return weights[name]

    for part in components:
        if part.kind == EMBEDDING:
            own("token_embed")[:, list(part.writes)] = 0
            own("pos_embed")[:, list(part.writes)] = 0
        elif part.kind == HEAD:
            size = model.architecture.layers[part.layer].value_size
            for head in part.heads:
                own(f"layer_{part.layer}/attn/linear")[head * size : (head + 1) * size] = 0
        elif part.kind == NEURONS:
            own(f"layer_{part.layer}/mlp/linear_2")[list(part.neurons)] = 0
    return replace(model, weights=weights)


def outside(model: CompiledModel, circuit: Circuit) -> list[Component]:
    """All parts of the model that are not of the circuit; neurons that write nothing among them."""
    kept = {part.id for part in circuit.components}
    parts = [part for part in all_components(model).components if part.id not in kept]
    for layer, sizes in enumerate(model.architecture.layers):
        used = {n for part in circuit.components if part.layer == layer for n in part.neurons}
        idle = tuple(n for n in range(sizes.mlp_hidden) if n not in used)
        if idle:
            parts.append(Component(f"L{layer}.MLP", NEURONS, 2 * layer + 1, "", neurons=idle))
    return [part for part in parts if part.kind != OUTPUT]


def ablation_report(model: CompiledModel, circuit: Circuit, inputs: int = 256) -> AblationReport:
    """Sets to zero what is outside of the circuit, then each part of it by itself.

    Args:
      model: the model.
      circuit: of its output.
      inputs: at most this many inputs of its domain are run, spread evenly.
    """
    sizes = model.architecture
    symbols = tuple(symbol for symbol in sizes.input_symbols if symbol not in (BOS, PAD))
    domain = Domain(symbols, sizes.max_seq_len, sizes.causal)
    count = len(domain.codes)
    rows = np.unique(np.linspace(0, count - 1, min(inputs, count)).astype(np.int64))
    codes, lengths = model_inputs(model, domain, rows)
    mask = domain.mask[rows]
    before = model.logits(codes, lengths)[:, 1:]

    def changed(components: Iterable[Component]) -> float:
        after = ablated(model, components).logits(codes, lengths)[:, 1:]
        return float((_differs(model, before, after) & mask).any(axis=1).mean())

    parts = [part for part in circuit.components if part.kind != OUTPUT]
    return AblationReport(
        len(rows), changed(outside(model, circuit)), {part.id: changed([part]) for part in parts}
    )


def _differs(model: CompiledModel, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where outputs [inputs, positions, output_size] are read as different values."""
    if model.output_encoding == CATEGORICAL:
        first, second = (
            np.where(logits.max(-1) >= PRESENT, logits.argmax(-1), -1) for logits in (before, after)
        )
        return first != second
    tolerance = TOLERANCE * np.maximum(1, np.abs(before[..., 0]))
    return np.abs(before[..., 0] - after[..., 0]) > tolerance
