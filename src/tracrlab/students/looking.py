"""Targets and looks of the students in the lanes: by `plain` for one lane of a CPU, else by XLA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tracrlab.students import plain, stepping
from tracrlab.students.marks import WRONG
from tracrlab.students.stacking import stack
from tracrlab.students.transformer import Outputs

if TYPE_CHECKING:
    from tracrlab.students.training import Fixed, Inputs, Trained, TrainingSettings

#: Inputs that students are run on at a time.
AT_ONCE = 256


def targets(
    fixed: Fixed,
    pools: np.ndarray,
    distinct: Sequence[int],
    inputs: Inputs,
    settings: TrainingSettings,
) -> Outputs:
    """What the teachers give on the pools of their lanes.

    Args:
      fixed: the jobs in the lanes.
      pools: rows of the inputs [lanes, pool].
      distinct: how many of a pool are used, the first; one lane of a CPU has no others.
      inputs: every input.
      settings: whether `plain` computes them.
    """
    if not settings.is_plain:
        codes, lengths = inputs.codes[pools], inputs.lengths[pools]
        return stepping.compiled(stepping.targets)(fixed.teachers, codes, lengths, inputs.causal)
    rows = pools[0, : distinct[0]]
    right = plain.targets(fixed.jobs[0], inputs.codes[rows], inputs.lengths[rows], len(pools[0]))
    return Outputs(right.logits[None], right.blocks[None])


def looked_at(
    states: Sequence[Trained],
    orders: Sequence[np.ndarray],
    fixed: Fixed,
    inputs: Inputs,
    settings: TrainingSettings,
) -> list[Trained]:
    """The states with what a look says: block after block, while a model may be right.

    Fewer inputs are run where many are wrong: these are enough to draw the next pool from.

    Args:
      states: after a chunk.
      orders: all inputs in the order in which each model is run on them.
      fixed: the jobs in the lanes.
      inputs: every input.
      settings: how many are run at once.
    """
    looks = _looks(states, fixed, inputs, settings)
    marks = [state.marks.copy() for state in states]
    lanes = len(states)
    found_wrong, right_positions, positions = np.zeros((3, lanes), int)
    errors = np.zeros(lanes)
    size = min(AT_ONCE, settings.looked, len(inputs.codes))
    for start in range(0, len(inputs.codes), size):
        # The last block is filled up with inputs of the first: a block has one size.
        rows = np.stack(
            [np.take(order, range(start, start + size), mode="wrap") for order in orders]
        )
        found, bad, error = looks(rows)
        block_positions = (inputs.lengths[rows] - 1).sum(axis=1)
        right_positions += block_positions - bad
        positions += block_positions
        found_wrong += np.count_nonzero(found == WRONG, axis=1)
        errors = np.maximum(errors, error)
        for known, looked, result in zip(marks, rows, found, strict=True):
            known[looked] = result
        if (found_wrong >= settings.sought).all():
            break
        if start + size >= settings.looked and all((known == WRONG).any() for known in marks):
            break
    looked_at = [
        replace(state, accuracy=float(right / total), marks=known, error=float(error))
        for state, right, total, known, error in zip(
            states, right_positions, positions, marks, errors, strict=True
        )
    ]
    return [state if state.is_right else replace(state, error=np.nan) for state in looked_at]


def _looks(
    states: Sequence[Trained], fixed: Fixed, inputs: Inputs, settings: TrainingSettings
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Says of rows of inputs [lanes, rows] what is what, and of each lane what `Looked` has."""
    if settings.is_plain:
        (state,), (job,) = states, fixed.jobs
        model = job.plain(state.parameters)

        def of_one(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            codes, lengths = inputs.codes[rows[0]], inputs.lengths[rows[0]]
            wanted = job.wanted.of(rows[0])
            found = plain.look(model, codes, lengths, wanted, job.tolerance > 0)
            return found.marks[None], np.array([found.bad]), np.array([found.error])

        return of_one
    weights = stack(
        [
            stepping.student_weights(state.parameters, job.teacher, settings.trained)
            for state, job in zip(states, fixed.jobs, strict=True)
        ]
    )
    weights.pop("readout")
    lanes = np.arange(len(states))[:, None]

    def of_all(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found, bad = stepping.compiled(stepping.look)(
            weights,
            inputs.codes[rows],
            inputs.lengths[rows],
            fixed.wanted.of((lanes, rows)),
            fixed.tolerances > 0,
            inputs.causal,
        )
        return np.asarray(found), np.asarray(bad), np.full(len(states), np.nan)

    return of_all
