"""Students of many teachers of one shape: started, trained in lanes, judged, kept across a kill."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import CompiledModel
from tracrlab.compiler.verification import model_inputs, verify
from tracrlab.students.checkpoints import Checkpoint
from tracrlab.students.folding import rotate
from tracrlab.students.refining import Refinement
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
      refinement: how every weight of a compression that W alone did not make exact is trained on;
        None leaves it as it is.
    """

    training: TrainingSettings = field(default_factory=TrainingSettings)
    target_loss: float = 0.05
    snapshots: int = 0
    rotate: bool = False
    refinement: TrainingSettings | None = None


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
    saved = checkpoint or Checkpoint(None, "")
    if making.refinement is None:
        for student, _ in _trained(teachers, shape, method, making, saved):
            yield student
        return
    left_over: dict[int, tuple[Student, Arrays]] = {}
    for student, state in _trained(teachers, shape, method, making, saved):
        if student.snapshot or is_good(student, making):
            yield student
        else:
            left_over[student.id] = student, state.parameters
    starts = {
        id_: parameters
        for id_, (student, parameters) in left_over.items()
        if student.refusal != "not_finite"
    }
    refinement = Refinement(method, starts)
    second = replace(making, training=making.refinement)
    remaining = {teacher.id: teacher for teacher in teachers if teacher.id in starts}
    trained_is_best: dict[int, bool] = {}
    for student, state in _trained(
        list(remaining.values()), shape, refinement, second, saved.of_refinement()
    ):
        alone, _ = left_over[student.id]
        trained = replace(student, refined=True, steps=alone.steps + state.steps)
        if student.snapshot:
            if trained_is_best[student.id]:
                yield trained
            continue
        candidates = [alone, trained]
        if not (alone.rank or trained.rank):
            candidates.append(_solved(remaining[student.id], refinement, making, alone.steps))
        # A refinement that gained nothing is not stored: W alone is the purer model.
        best = max(candidates, key=lambda one: one.rank)
        trained_is_best[student.id] = best is trained
        yield best
    yield from (alone for id_, (alone, _) in left_over.items() if id_ not in starts)


def is_good(student: Student, making: Making) -> bool:
    """Whether a student leaves training."""
    return student.exact and student.loss <= making.target_loss


def _trained(
    teachers: Sequence[Teacher], shape: Shape, method: Method, making: Making, saved: Checkpoint
) -> Iterator[tuple[Student, Trained]]:
    """Students of one method with their states, as they leave their lanes."""
    if not teachers:
        return
    inputs = all_inputs(teachers[0])
    settings = replace(making.training, trained=method.trained)
    by_id = {teacher.id: method.teacher(teacher) for teacher in teachers}
    given = {id_: len(saved.given.get(id_, ())) for id_ in by_id}
    judged: dict[int, Student] = {}

    def student(state: Trained) -> Student:
        """The verdict on a state, which is asked for more than once in a row."""
        last, snapshot = judged.get(state.id), given[state.id]
        if last is None or (last.steps, last.snapshot) != (state.steps, snapshot):
            judged[state.id] = _student(by_id[state.id], method, making, state, snapshot)
        return judged[state.id]

    def look(state: Trained) -> Look:
        good = bool(given[state.id])
        if not good and np.isfinite(state.loss) and not state.wrong.any():
            good = is_good(student(state), making)
        return Look(good, good and given[state.id] >= making.snapshots)

    jobs = []
    for id_, teacher in by_id.items():
        for snapshot, state in enumerate(saved.given.get(id_, ())):
            yield _student(teacher, method, making, state, snapshot), state
        if saved.has_left(id_):
            continue
        job = method.job(teacher, shape)
        job.state = saved.lanes.get(id_)
        start = _untrained(job)
        begins = job.state is None and not making.snapshots
        if begins and _may_be_exact(teacher, method, start) and is_good(student(start), making):
            saved.give(start, leaves=True)
            yield student(start), start
            continue
        jobs.append(job)
    for state in train(jobs, inputs, settings, look, saved.after_chunk):
        leaves = look(state).leave or not np.isfinite(state.loss) or state.steps >= settings.steps
        saved.give(state, leaves=leaves)
        yield student(state), state
        given[state.id] += 1
    saved.write_if_kept()


def _student(
    teacher: Teacher, method: Method, making: Making, state: Trained, snapshot: int
) -> Student:
    """The student that a state is, judged."""
    found = method.finished(teacher, state.parameters)
    return _judged(teacher, found, making, state.steps, snapshot)


def _solved(teacher: Teacher, refinement: Refinement, making: Making, steps: int) -> Student:
    """The student that solving gives, judged; for one that training made no better."""
    own = refinement.teacher(teacher)
    return replace(_judged(own, refinement.solved(own), making, steps, 0), refined=True)


def _judged(
    teacher: Teacher,
    found: tuple[CompiledModel, np.ndarray],
    making: Making,
    steps: int,
    snapshot: int,
) -> Student:
    model, readout = found
    if making.rotate:
        rng = np.random.default_rng([making.training.seed, teacher.id, snapshot])
        model, readout = rotate(model, readout, rng)
    return judge(teacher, model, readout, all_inputs(teacher), steps=steps, snapshot=snapshot)


def _may_be_exact(teacher: Teacher, method: Method, state: Trained) -> bool:
    """Whether a state is right on some inputs: a tenth of the time of a verdict."""
    model, _ = method.finished(teacher, state.parameters)
    return verify(teacher.read_as(model), teacher.table).passed


def all_inputs(teacher: Teacher) -> Inputs:
    """Every input of a teacher's domain."""
    domain = teacher.table.domain
    codes, lengths = model_inputs(teacher.model, domain, np.arange(len(domain.codes)))
    return Inputs(codes, lengths, domain.causal)


def _untrained(job: Job) -> Trained:
    return Trained(job.id, job.parameters, ({}, {}), 0.0, 0, 0.0, np.zeros(0, bool))
