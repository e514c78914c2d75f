"""Targets and looks of the students in the lanes: by `plain` for one lane of a CPU, else by XLA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tracrlab.students import plain, stepping
from tracrlab.students.stacking import stack
from tracrlab.students.transformer import Outputs

if TYPE_CHECKING:
    from tracrlab.students.training import Arrays, Fixed, Inputs, Trained, TrainingSettings


def targets(
    fixed: Fixed,
    codes: np.ndarray,
    lengths: np.ndarray,
    inputs: Inputs,
    settings: TrainingSettings,
) -> Outputs:
    """What the teachers give on the pools of their lanes."""
    if not settings.is_plain:
        return stepping.compiled(stepping.targets)(fixed.teachers, codes, lengths, inputs.causal)
    right = plain.targets(fixed.jobs[0], codes[0], lengths[0])
    return Outputs(right.logits[None], right.blocks[None])


def looked_at(
    states: Sequence[Trained],
    orders: Sequence[np.ndarray],
    fixed: Fixed,
    inputs: Inputs,
    settings: TrainingSettings,
) -> list[Trained]:
    """The states with what a look says: block after block, while a model may be right.

    Args:
      states: after a chunk.
      orders: all inputs in the order in which each model is run on them.
      fixed: the jobs in the lanes.
      inputs: every input.
      settings: how many are run at once.
    """
    looks = _looks(states, fixed, inputs, settings)
    wrong = [state.wrong.copy() for state in states]
    right_positions, positions = np.zeros(len(states)), np.zeros(len(states))
    size = min(settings.looked, len(inputs.codes))
    for start in range(0, len(inputs.codes), size):
        # The last block is filled up with inputs of the first: a block has one size.
        rows = np.stack(
            [np.take(order, range(start, start + size), mode="wrap") for order in orders]
        )
        found, bad = looks(rows)
        block_positions = (inputs.lengths[rows] - 1).sum(axis=1)
        right_positions += block_positions - bad
        positions += block_positions
        for known, looked, result in zip(wrong, rows, found, strict=True):
            known[looked] = result
        if all(known.any() for known in wrong):
            break
    return [
        replace(state, accuracy=float(right / total), wrong=known)
        for state, right, total, known in zip(
            states, right_positions, positions, wrong, strict=True
        )
    ]


def _looks(
    states: Sequence[Trained], fixed: Fixed, inputs: Inputs, settings: TrainingSettings
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Says of rows of inputs [lanes, rows] which are wrong, and how many of their positions."""
    if settings.is_plain:
        (state,), (job,) = states, fixed.jobs
        model = job.plain(state.parameters)

        def of_one(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            of = inputs.codes[rows[0]], inputs.lengths[rows[0]]
            found, bad = plain.look(model, *of, job.wanted[rows[0]], job.tolerance)
            return found[None], np.array([bad])

        return of_one
    teachers = [_one(fixed.teachers, number) for number in range(len(states))]
    weights = stack(
        [
            stepping.student_weights(state.parameters, teacher, settings.trained)
            for state, teacher in zip(states, teachers, strict=True)
        ]
    )
    weights.pop("readout")
    lanes = np.arange(len(states))[:, None]

    def of_all(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, bad = stepping.compiled(stepping.look)(
            weights,
            inputs.codes[rows],
            inputs.lengths[rows],
            fixed.wanted[lanes, rows],
            fixed.tolerances,
            inputs.causal,
        )
        return np.asarray(found), np.asarray(bad)

    return of_all


def _one(stacked: Arrays, number: int) -> Arrays:
    return {name: value[number] for name, value in stacked.items()}
