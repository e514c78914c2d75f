"""Targets and looks of single models in numpy, each in its own sizes.

What `stepping.targets` and `stepping.look` give. One lane of a CPU gains nothing from XLA there: a
model without its padding is run as fast, and nothing has to be compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracrlab.compiler.forward import Trace, forward
from tracrlab.compiler.model import PRESENT, CompiledModel
from tracrlab.students.transformer import Outputs

if TYPE_CHECKING:
    from tracrlab.students.training import Job


def targets(job: Job, codes: np.ndarray, lengths: np.ndarray) -> Outputs:
    """What a job's teacher gives.

    Args:
      job: the job.
      codes: the inputs [inputs, positions].
      lengths: theirs [inputs].

    Returns:
      outputs, padded as the job's arrays are.
    """
    trace = Trace()
    model = job.model
    logits = forward(model.architecture, model.weights, codes, lengths, trace)
    layers, width = job.teacher["linear_1"].shape[:2]
    blocks = np.zeros((2 * layers, *codes.shape, width), np.float32)
    own = model.architecture.d_model
    for number in range(len(trace.residuals) - 1):
        before, after = trace.residuals[number : number + 2]
        np.subtract(after, before, out=blocks[number, ..., :own])
    padded = np.zeros((*codes.shape, job.teacher["unembed"].shape[1]), np.float32)
    padded[..., : logits.shape[-1]] = logits
    return Outputs(padded, blocks)


def look(
    model: CompiledModel,
    codes: np.ndarray,
    lengths: np.ndarray,
    wanted: np.ndarray,
    tolerance: float,
) -> tuple[np.ndarray, int]:
    """Which inputs a student gets wrong.

    Args:
      model: the student.
      codes: the inputs [inputs, positions].
      lengths: theirs [inputs].
      wanted: as in `training.Job` [inputs, positions - 1].
      tolerance: likewise.

    Returns:
      the wrong inputs, bool [inputs], and how many of their positions are wrong.
    """
    with np.errstate(all="ignore"):  # a model of infinite weights is wrong, and no more is said
        logits = forward(model.architecture, model.weights, codes, lengths)[:, 1:]
    if tolerance:
        bad = ~(np.abs(logits[..., 0] - wanted) < tolerance)
    else:
        bad = np.where(logits.max(axis=-1) >= PRESENT, logits.argmax(axis=-1), -1) != wanted
    bad &= np.arange(bad.shape[1]) < lengths[:, None] - 1
    return bad.any(axis=1), int(np.count_nonzero(bad))
