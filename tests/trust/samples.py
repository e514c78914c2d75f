"""Small things of every kind that is written: what the tests of files share."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tracrlab.compiler.compiling import compile_table
from tracrlab.compiler.verification import verify
from tracrlab.rasp.sampler import SamplerSettings, sample
from tracrlab.students.training import Trained
from tracrlab.zoo.building import AS_COMPILED, zoo_columns

SETTINGS = SamplerSettings((0, 1, 2), 4, False, min_ops=3, max_ops=5)


@cache
def sampled_row(index: int) -> dict[str, Any]:
    """A zoo row of a sampled program, as the workflow writes it."""
    table = sample(SETTINGS, 7, index).table
    model = compile_table(table)
    return {
        "id": index,
        "split": ("train", "validation", "test")[index % 3],
        "n_ops": len(table.program),
        "behaviour": table.behaviour,
        "tokens": table.program.tokens(),
        **zoo_columns(model, table, verify(model, table, 64)),
        **AS_COMPILED,
        "teacher_d_model": model.architecture.d_model,
    }


def zoo_row(weights: int) -> dict[str, Any]:
    """A row of the real columns with random weights of any number."""
    numbers = np.random.default_rng(0).standard_normal(weights, dtype=np.float32)
    return sampled_row(0) | {"weights": numbers}


def student_state(steps: int) -> Trained:
    """A student in training, with other weights at each step."""
    generator = np.random.default_rng(steps)
    weights = {"w": generator.standard_normal((40, 30), dtype=np.float32)}
    walk = np.stack([factor * weights["w"].ravel() for factor in (1.0, 0.1, 0.2)])
    return Trained(3, weights, walk, 0.5, steps, 0.25, np.zeros(17, np.int8))
