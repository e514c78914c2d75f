"""Targets and looks of single models in numpy, each in its own sizes.

What `stepping.targets` and `stepping.look` give. One lane of a CPU gains nothing from XLA there: a
model without its padding is run as fast, and nothing has to be compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracrlab.compiler.forward import Trace, forward
from tracrlab.compiler.model import PRESENT, CompiledModel
from tracrlab.students.marks import SURE, UNSURE, WRONG, Wanted
from tracrlab.students.transformer import Outputs

if TYPE_CHECKING:
    from tracrlab.students.training import Job


def targets(job: Job, codes: np.ndarray, lengths: np.ndarray, places: int) -> Outputs:
    """What a job's teacher gives.

    Args:
      job: the job.
      codes: the inputs [inputs, positions].
      lengths: theirs [inputs].
      places: for how many inputs there is room in what is returned, at least as many as there are;
        the rest holds nothing.

    Returns:
      outputs, padded as the job's arrays are.
    """
    trace = Trace()
    model = job.model
    logits = forward(model.architecture, model.weights, codes, lengths, trace)
    layers, width = job.teacher["linear_1"].shape[:2]
    count, positions = codes.shape
    blocks = np.empty((2 * layers, places, positions, width), np.float32)
    own, halves = model.architecture.d_model, len(trace.residuals) - 1
    for number in range(halves):
        before, after = trace.residuals[number : number + 2]
        np.subtract(after, before, out=blocks[number, :count, :, :own])
    blocks[halves:, :count] = 0
    blocks[:halves, :count, :, own:] = 0
    padded = np.zeros((places, positions, job.teacher["unembed"].shape[1]), np.float32)
    padded[:count, :, : logits.shape[-1]] = logits
    return Outputs(padded, blocks)


class Looked(NamedTuple):
    """What a look at inputs found.

    Attributes:
      marks: of `marks` [inputs].
      bad: how many of their positions are wrong.
      error: the largest distance of an output from its ideal (one-hot, zero for None, or the
        number), as in `compiler.verification`.
    """

    marks: np.ndarray
    bad: int
    error: float


def look(
    model: CompiledModel, codes: np.ndarray, lengths: np.ndarray, wanted: Wanted, numerical: bool
) -> Looked:
    """Which inputs a student gets wrong.

    Args:
      model: the student.
      codes: the inputs [inputs, positions].
      lengths: theirs [inputs].
      wanted: the right outputs on them.
      numerical: whether the output is a number.
    """
    with np.errstate(all="ignore"):  # a model of infinite weights is wrong, and no more is said
        logits = forward(model.architecture, model.weights, codes, lengths)[:, 1:]
        if numerical:
            off = logits[..., 0] - wanted.values
            room = np.where(off < 0, wanted.below, wanted.above)
            error = np.abs(off)
            bad = ~(error < room)
        else:
            outputs = logits.shape[-1]
            columns = wanted.values.astype(int)
            bad = np.where(logits.max(axis=-1) >= PRESENT, logits.argmax(axis=-1), -1) != columns
            ideal = np.eye(outputs + 1, outputs, dtype=np.float32)  # None, -1, is the last row
            error, room = np.abs(logits - ideal[columns]).max(axis=-1), wanted.below
        unsure = ~(error < SURE * np.minimum(room, 0.5))
    visible = np.arange(bad.shape[1]) < lengths[:, None] - 1
    bad &= visible
    unsure &= visible
    marks = np.maximum(WRONG * bad.any(axis=1), UNSURE * unsure.any(axis=1)).astype(np.int8)
    return Looked(marks, int(np.count_nonzero(bad)), float(error[visible].max()))
