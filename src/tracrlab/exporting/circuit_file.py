"""A circuit as JSON (schema: docs/exports.md), with the proof by ablation in it."""

from __future__ import annotations

import json
from pathlib import Path

from tracrlab.compiler.model import CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.exporting.ablation import AblationReport, ablation_report
from tracrlab.exporting.circuit import EMBEDDING, HEAD, NEURONS, Circuit, Component, circuit_of
from tracrlab.files import write_text
from tracrlab.rasp.program import INPUTS
from tracrlab.rasp.values import literal

VERSION = 1


def write_circuit(model: CompiledModel, path: str | Path) -> Circuit:
    """Writes the circuit of a model's output, after ablation has shown that it is right.

    Raises:
      TracrLabError: if the model's circuit is not known (see `circuit_of`), or if the outputs
        change when what is outside of it is set to zero.
    """
    circuit = circuit_of(model)
    report = ablation_report(model, circuit)
    if report.outside > 0:
        raise TracrLabError(
            f"the circuit of this model is not whole: without the rest {report.outside:.1%} of "
            f"{report.inputs} inputs give other outputs."
        )
    write_text(path, json.dumps(circuit_json(model, circuit, report), indent=2) + "\n")
    return circuit


def circuit_json(model: CompiledModel, circuit: Circuit, report: AblationReport) -> dict:
    """The content of the file."""
    architecture = model.architecture
    try:
        text = circuit.program.text(names=True)
    except TracrLabError:
        text = None  # a function of it is a Python callable
    return {
        "format": "tracrlab_circuit",
        "version": VERSION,
        "program": text,
        "computes": circuit.computes,
        "model": {
            "input_symbols": [literal(symbol) for symbol in architecture.input_symbols],
            "max_seq_len": architecture.max_seq_len,
            "causal": architecture.causal,
            "layers": len(architecture.layers),
            "d_model": architecture.d_model,
        },
        "directions": [
            {"index": index, "label": label, "carries": s_op}
            for index, (label, s_op) in enumerate(zip(circuit.labels, circuit.s_ops, strict=True))
        ],
        "s_ops": _s_ops(circuit),
        "components": [
            {
                "id": part.id,
                "kind": part.kind,
                "half_layer": part.half_layer,
                "layer": part.layer,
                "computes": part.computes,
                "selector": part.selector,
                "heads": part.heads,
                "neurons": part.neurons,
                "reads": dict(part.reads),
                "writes": part.writes,
                "transformer_lens": hook_of(part, len(architecture.layers)),
                "changes_when_zero": report.components.get(part.id),
            }
            for part in circuit.components
        ],
        "edges": [
            {
                "source": edge.source,
                "target": edge.target,
                "input": edge.input,
                "carries": edge.carries,
                "directions": edge.directions,
            }
            for edge in circuit.edges
        ],
        "ablation": {"inputs": report.inputs, "changes_when_outside_is_zero": report.outside},
    }


def hook_of(part: Component, layers: int) -> str:
    """The TransformerLens hook where a component's activation is found.

    Heads and neurons count as in our model: padded ones come behind them.
    """
    if part.kind == EMBEDDING:
        return "hook_pos_embed" if part.id == INPUTS[1] else "hook_embed"
    if part.kind == HEAD:
        return f"blocks.{part.layer}.attn.hook_z"
    if part.kind == NEURONS:
        return f"blocks.{part.layer}.mlp.hook_post"
    return f"blocks.{layers - 1}.hook_resid_post"


def _s_ops(circuit: Circuit) -> list[dict]:
    """Every op of the program and the inputs: who computes it, and where its values are."""
    program = circuit.program
    kinds = {
        name: (op.kind, op.encoding) for name, op in zip(program.names, program.ops, strict=True)
    }
    parts = [part for part in circuit.components if part.kind in (EMBEDDING, HEAD, NEURONS)]
    return [
        {
            "name": name,
            "op": kinds[name][0] if name in kinds else "input",
            "encoding": kinds[name][1] if name in kinds else "categorical",
            "components": [part.id for part in parts if name in (part.computes, part.selector)],
            "directions": [d for d, s_op in enumerate(circuit.s_ops) if s_op == name],
        }
        for name in (*INPUTS, *program.names)
    ]
