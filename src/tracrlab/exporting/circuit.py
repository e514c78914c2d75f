"""The ground-truth circuit of a compiled model: which part computes which s-op, and who reads it.

Everything is read off the weights: a part writes the residual directions that its output weights
reach, and reads those that its input weights see. Every direction has a name, so every part has the
s-op that it computes, and an edge goes from a part to each later one that reads what it writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tracrlab.compiler.model import BOS, CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.rasp.program import AGGREGATE, FIRST_OP, INPUTS, SELECTOR_WIDTH, Program

#: What the embedding writes beside the inputs: a constant, and a mark of the first position.
ONE, MARK = "one", "bos"
EMBEDDING, HEAD, NEURONS, OUTPUT = "embedding", "head", "neurons", "output"


@dataclass(frozen=True)
class Component:
    """A part of the model.

    Attributes:
      id: its name: ``tokens``, ``indices``, ``one``, ``bos``, ``L0.H1`` (layer 0, head 1),
        ``L0.MLP.is_x`` (the neurons of layer 0 that compute ``is_x``), ``output``.
      kind: embedding, head, neurons or output.
      half_layer: -1 for the embedding, then 2 * layer for heads and 2 * layer + 1 for neurons.
      computes: the s-op, or ``one`` or ``bos``; of the output the s-op that is read out.
      selector: of a head, the selector that its attention pattern is.
      heads, neurons: its numbers in the layer.
      reads: residual directions by input: query, key and value of a head; mlp; unembed.
      writes: residual directions.
    """

    id: str
    kind: str
    half_layer: int
    computes: str
    selector: str | None = None
    heads: tuple[int, ...] = ()
    neurons: tuple[int, ...] = ()
    reads: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    writes: tuple[int, ...] = ()

    @property
    def layer(self) -> int | None:
        """The layer of heads and neurons, from 0."""
        return self.half_layer // 2 if self.kind in (HEAD, NEURONS) else None


@dataclass(frozen=True)
class Edge:
    """One part reads what another wrote.

    Attributes:
      source, target: ids of the parts.
      input: by which input of the target: query, key, value, mlp or unembed.
      carries: the s-op that is read, or ``one`` or ``bos``.
      directions: the residual directions that are written by the one and read by the other.
    """

    source: str
    target: str
    input: str
    carries: str
    directions: tuple[int, ...]


@dataclass(frozen=True)
class Circuit:
    """Parts and edges of a model that compute one s-op.

    Attributes:
      program: the program.
      labels: the name of each residual direction.
      s_ops: what each residual direction carries.
      components: in the order of the forward pass.
      edges: in the order of their targets.
      computes: the s-op.
    """

    program: Program
    labels: tuple[str, ...]
    s_ops: tuple[str, ...]
    components: tuple[Component, ...]
    edges: tuple[Edge, ...]
    computes: str

    def __getitem__(self, name: str) -> Component:
        return next(part for part in self.components if part.id == name)

    def of(self, s_op: str) -> Circuit:
        """The smaller circuit that computes an s-op of the program.

        Raises:
          TracrLabError: if no part of this circuit computes it.
        """
        wanted = {
            part.id for part in self.components if s_op == part.computes and part.kind != OUTPUT
        }
        if not wanted:
            known = dict.fromkeys(part.computes for part in self.components)
            raise TracrLabError(
                f"nothing in this circuit computes {s_op!r}; it has {', '.join(known)}."
            )
        return self._behind(wanted, s_op)

    def _behind(self, wanted: Collection[str], s_op: str) -> Circuit:
        """Only the parts that reach some of those that are wanted."""
        kept = set(wanted)
        for edge in reversed(self.edges):  # ordered by target, so every target is seen before
            if edge.target in kept:
                kept.add(edge.source)
        return replace(
            self,
            components=tuple(part for part in self.components if part.id in kept),
            edges=tuple(edge for edge in self.edges if {edge.source, edge.target} <= kept),
            computes=s_op,
        )


def circuit_of(model: CompiledModel) -> Circuit:
    """The circuit of a model's output.

    Raises:
      TracrLabError: if its program is not known or its residual directions have no names, as those
        of a trained model.
    """
    return all_components(model)._behind({OUTPUT}, model.program.names[-1])


def all_components(model: CompiledModel) -> Circuit:
    """Every part of a model, whether or not the output depends on it; errors as `circuit_of`."""
    if model.program is None or not model.labels:
        raise TracrLabError(
            "the circuit is known of a compiled model only: this one does not say its program or "
            "has residual directions without names."
        )
    for name in (ONE, MARK):
        if name in model.program.names:
            raise TracrLabError(f"an op of the program is called {name!r}, as a direction is.")
    s_ops = tuple(_s_op_of(label, model.program) for label in model.labels)
    parts = [*_embeddings(model, s_ops)]
    for layer in range(len(model.architecture.layers)):
        parts += [*_heads(model, s_ops, layer), *_neurons(model, s_ops, layer)]
    output = model.program.names[-1]
    reads = {"unembed": _used(model.weights["unembed"], axis=1)}
    last = 2 * len(model.architecture.layers)
    parts.append(Component(OUTPUT, OUTPUT, last, output, reads=reads))
    return Circuit(
        model.program, model.labels, s_ops, tuple(parts), tuple(_edges(parts, s_ops)), output
    )


def _s_op_of(label: str, program: Program) -> str:
    """What a direction carries, by its label (see `tracrlab.compiler.layout`)."""
    if label == ONE:
        return ONE
    if label == f"tokens:{BOS}":
        return MARK
    for name in (*INPUTS, *program.names):
        if label in (name, f"{name}_selector_width_attn_output") or label.startswith(f"{name}:"):
            return name
    raise TracrLabError(f"the residual direction {label!r} is of no op of the program.")


def _used(matrix: np.ndarray, axis: int) -> tuple[int, ...]:
    """Rows (axis 1) or columns (axis 0) that are not all zero."""
    return tuple(np.flatnonzero(np.any(matrix, axis=axis)).tolist())


def _embeddings(model: CompiledModel, s_ops: tuple[str, ...]) -> Iterator[Component]:
    written = {
        *_used(model.weights["token_embed"], axis=0),
        *_used(model.weights["pos_embed"], axis=0),
    }
    for name in (*INPUTS, ONE, MARK):
        writes = tuple(d for d in sorted(written) if s_ops[d] == name)
        yield Component(name, EMBEDDING, -1, name, writes=writes)


def _heads(model: CompiledModel, s_ops: tuple[str, ...], layer: int) -> Iterator[Component]:
    sizes, program = model.architecture.layers[layer], model.program
    for head in range(sizes.heads):
        keys = slice(head * sizes.key_size, (head + 1) * sizes.key_size)
        values = slice(head * sizes.value_size, (head + 1) * sizes.value_size)
        prefix = f"layer_{layer}/attn/"
        writes = _used(model.weights[prefix + "linear"][values], axis=0)
        computes = _only_one({s_ops[direction] for direction in writes}, f"head {head}", layer)
        op = program.ops[program.names.index(computes)]
        if op.kind not in (AGGREGATE, SELECTOR_WIDTH):
            raise TracrLabError(f"head {head} of layer {layer} writes {computes}, a {op.kind}.")
        yield Component(
            f"L{layer}.H{head}",
            HEAD,
            2 * layer,
            computes,
            selector=program.names[op.operands[0] - FIRST_OP],
            heads=(head,),
            reads={
                name: _used(model.weights[prefix + name][:, part], axis=1)
                for name, part in (("query", keys), ("key", keys), ("value", values))
            },
            writes=writes,
        )


def _neurons(model: CompiledModel, s_ops: tuple[str, ...], layer: int) -> Iterator[Component]:
    """A component for each s-op; neurons that write nothing belong to none."""
    if not model.architecture.layers[layer].mlp_hidden:
        return
    linear_1 = model.weights[f"layer_{layer}/mlp/linear_1"]
    linear_2 = model.weights[f"layer_{layer}/mlp/linear_2"]
    neurons_of: dict[str, list[int]] = {}
    for neuron, row in enumerate(linear_2):
        writes = {s_ops[direction] for direction in np.flatnonzero(row)}
        if writes:
            name = _only_one(writes, f"neuron {neuron}", layer)
            neurons_of.setdefault(name, []).append(neuron)
    for name, neurons in neurons_of.items():
        yield Component(
            f"L{layer}.MLP.{name}",
            NEURONS,
            2 * layer + 1,
            name,
            neurons=tuple(neurons),
            reads={"mlp": _used(linear_1[:, neurons], axis=1)},
            writes=_used(linear_2[neurons], axis=0),
        )


def _only_one(names: set[str], part: str, layer: int) -> str:
    if len(names) != 1:
        raise TracrLabError(
            f"{part} of layer {layer} writes {len(names)} s-ops ({', '.join(sorted(names))}); "
            "the circuit is known of models that tracrlab compiled."
        )
    return names.pop()


def _edges(parts: list[Component], s_ops: tuple[str, ...]) -> Iterator[Edge]:
    for target in parts:
        for name, reads in target.reads.items():
            for source in parts:
                if source.half_layer >= target.half_layer:
                    break
                shared = sorted(set(source.writes) & set(reads))
                for carried in dict.fromkeys(s_ops[direction] for direction in shared):
                    directions = tuple(d for d in shared if s_ops[d] == carried)
                    yield Edge(source.id, target.id, name, carried, directions)
