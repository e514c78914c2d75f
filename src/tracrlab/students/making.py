"""Students of many teachers of one shape: started, trained in lanes, judged, kept across a kill."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import CompiledModel
from tracrlab.compiler.verification import model_inputs
from tracrlab.students.checkpoints import Checkpoint
from tracrlab.students.folding import rotate
from tracrlab.students.shapes import Shape
from tracrlab.students.student import Student, Teacher, judge
from tracrlab.students.training import (
    Arrays,
    Inputs,
    Job,
    Look,
    Trained,
    TrainingSettings,
    train,
)


class Method(Protocol):
    """A way to make students: `compressing.Compression` or `natural.Natural`."""

    trained: str

    def teacher(self, teacher: Teacher) -> Teacher:
        """The teacher as this method uses it."""

    def student_architecture(self, teacher: Architecture) -> Architecture:
        """Sizes of the student."""

    def job(self, teacher: Teacher, shape: Shape) -> Job:
        """The start of a training."""

    def finished(self, teacher: Teacher, parameters: Arrays) -> tuple[CompiledModel, np.ndarray]:
        """The student as plain weights, and its readout."""


@dataclass(frozen=True)
class Making:
    """What is asked for beside the method.

    Attributes:
      training: how students are trained.
      target_loss: an exact student leaves training when its loss (`Student.loss`) is at most this.
      snapshots: how many times a student that is good enough is trained on for a chunk and given
        again.
      rotate: whether each student's residual basis is turned at random, which changes no function.
    """

    training: TrainingSettings = field(default_factory=TrainingSettings)
    target_loss: float = 0.05
    snapshots: int = 0
    rotate: bool = False


def make(
    teachers: Sequence[Teacher],
    shape: Shape,
    method: Method,
    making: Making,
    checkpoint: Checkpoint | None = None,
) -> Iterator[Student]:
    """Makes a student (and its snapshots) of every teacher, in no fixed order.

    Args:
      teachers: of one domain; none may be larger than the shape.
      shape: the padded sizes.
      method: the kind of student.
      making: how.
      checkpoint: where the state is kept; what it holds is not made again.
    """
    if not teachers:
        return
    saved = checkpoint or Checkpoint(None, "")
    inputs = all_inputs(teachers[0])
    settings = replace(making.training, trained=method.trained)
    by_id = {teacher.id: method.teacher(teacher) for teacher in teachers}
    given = {id_: len(saved.given.get(id_, ())) for id_ in by_id}

    def student(state: Trained, snapshot: int) -> Student:
        teacher = by_id[state.id]
        model, readout = method.finished(teacher, state.parameters)
        if making.rotate:
            rng = np.random.default_rng([settings.seed, state.id, snapshot])
            model, readout = rotate(model, readout, rng)
        return judge(teacher, model, readout, shape, inputs, steps=state.steps, snapshot=snapshot)

    def is_good(state: Trained) -> bool:
        if state.wrong.any() or not np.isfinite(state.loss):
            return False
        judged = student(state, 0)
        return judged.exact and judged.loss <= making.target_loss

    def look(state: Trained) -> Look:
        good = bool(given[state.id]) or is_good(state)
        return Look(good, good and given[state.id] >= making.snapshots)

    jobs = []
    for id_, teacher in by_id.items():
        for snapshot, state in enumerate(saved.given.get(id_, ())):
            yield student(state, snapshot)
        if saved.has_left(id_):
            continue
        job = method.job(teacher, shape)
        job.state = saved.lanes.get(id_)
        start = _untrained(job)
        if job.state is None and not making.snapshots and is_good(start):
            saved.give(start, leaves=True)
            yield student(start, 0)
            continue
        jobs.append(job)
    for state in train(jobs, inputs, settings, look, saved.after_chunk):
        leaves = look(state).leave or not np.isfinite(state.loss) or state.steps >= settings.steps
        saved.give(state, leaves=leaves)
        yield student(state, given[state.id])
        given[state.id] += 1


def all_inputs(teacher: Teacher) -> Inputs:
    """Every input of a teacher's domain."""
    domain = teacher.table.domain
    codes, lengths = model_inputs(teacher.model, domain, np.arange(len(domain.codes)))
    return Inputs(codes, lengths, domain.causal)


def _untrained(job: Job) -> Trained:
    return Trained(job.id, job.parameters, ({}, {}), 0.0, 0, 0.0, np.zeros(0, bool))
