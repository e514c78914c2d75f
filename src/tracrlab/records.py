"""What commands print with ``--json``: the numbers of their tables, in one JSON value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from tracrlab.compiler.layout import Layout
from tracrlab.compiler.value_sets import ValueSet
from tracrlab.compiler.verification import Verification
from tracrlab.planning import Step
from tracrlab.rasp.program import FIRST_OP
from tracrlab.rasp.values import literal
from tracrlab.show import half_layer_name
from tracrlab.zoo.verifying import ShardReport


def program_record(layout: Layout, text: str | None) -> dict[str, Any]:
    """A program and what it compiles to, as `tracrlab show` prints it.

    Args:
      layout: the plan of its model.
      text: its text; None where a function of it is a Python callable.
    """
    program, sizes = layout.program, layout.architecture
    s_ops = []
    for number, (op, name) in enumerate(zip(program.ops, program.names, strict=True)):
        entry = layout.sets[number + FIRST_OP]
        values = entry.values if isinstance(entry, ValueSet) else ()
        s_ops.append(
            {
                "name": name,
                "op": op.kind,
                "encoding": op.encoding,
                "half_layer": half_layer_name(layout, number) or None,
                "values": [literal(value) for value in values],
            }
        )
    return {
        "program": text,
        "s_ops": s_ops,
        "layers": [asdict(layer) for layer in sizes.layers],
        "d_model": sizes.d_model,
        "weights": sizes.weight_count,
    }


def verification_record(path: object, result: Verification) -> dict[str, Any]:
    """A model's verification, as `tracrlab verify` prints it."""
    return {
        "path": str(path),
        "inputs": result.inputs,
        "mismatches": result.mismatches,
        "accuracy": result.accuracy,
        "max_error": float(result.max_error),
        "example": result.example or None,
        "passed": result.passed,
    }


def zoo_record(path: object, reports: Sequence[ShardReport]) -> dict[str, Any]:
    """The verification of a shard, or of a manifest's shards."""
    return {
        "path": str(path),
        "rows": sum(report.rows for report in reports),
        "inputs": sum(report.inputs for report in reports),
        "failures": sum(len(report.failures) for report in reports),
        "max_error": max((float(report.max_error) for report in reports), default=0.0),
        "passed": not any(report.failures for report in reports),
        "shards": [asdict(report) for report in reports],
    }


def plan_record(steps: Iterable[Step], cores: int, gpus: int = 0) -> list[dict[str, Any]]:
    """The steps of a plan with their costs, in seconds and bytes; None where none was measured."""
    return [
        asdict(step)
        | {
            "core_seconds": step.core_seconds,
            "gpu_seconds": step.gpu_seconds,
            "wall_seconds": step.wall_seconds(cores, gpus),
            "arrays": step.arrays,
        }
        for step in steps
    ]
