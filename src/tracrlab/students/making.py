"""Students of many teachers of one shape: started, trained in lanes, judged, kept across a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Protocol

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import CompiledModel
from tracrlab.compiler.verification import model_inputs, verify
from tracrlab.students.checkpoints import Checkpoint
from tracrlab.students.folding import rotate
from tracrlab.students.refining import Refinement
from tracrlab.students.shapes import Shape
from tracrlab.students.student import EXACT, Student, Teacher, judge
from tracrlab.students.training import (
    Arrays,
    Inputs,
    Job,
    Look,
    Trained,
    TrainingSettings,
    train,
)

#: Share of the positions that must be right for the gate to be within reach of one more cycle.
WITHIN_REACH = 0.75


class Method(Protocol):
    """A way to make students: `compressing.Compression` or `natural.Natural`.

    Attributes:
      trained: as in `TrainingSettings`.
      may_begin_right: whether a start may be right before the first step.
    """

    trained: str
    may_begin_right: bool

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
      refinement: how every weight of a compression that W alone did not make exact is trained on,
        where solving for them makes none that is; of no steps, they are solved for and not trained.
        None leaves W alone.
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
        for made in _trained(teachers, shape, method, making, saved):
            yield made.student
        return
    left_over: dict[int, _Made] = {}
    for made in _trained(teachers, shape, method, making, saved):
        if made.snapshot or made.is_good:
            yield made.student
        else:
            left_over[made.state.id] = made
    starts = {id_: made.state.parameters for id_, made in left_over.items() if made.is_finite}
    second = replace(making, training=making.refinement)
    refinement = Refinement(method, starts, trains=second.training.steps > 0)
    remaining = {teacher.id: teacher for teacher in teachers if teacher.id in starts}
    trained_is_best: dict[int, bool] = {}
    for made in _trained(
        list(remaining.values()), shape, refinement, second, saved.of_refinement()
    ):
        id_ = made.state.id
        w_alone = left_over[id_]
        steps = w_alone.state.steps + made.state.steps
        refined = replace(made.student, refined=True, steps=steps)
        if made.snapshot:
            if trained_is_best[id_]:
                yield refined
            continue
        candidates = [refined]
        if refined.rank < EXACT or w_alone.state.is_right:
            candidates = [w_alone.student, refined]
            if second.training.steps and not max(one.rank for one in candidates):
                own = _solved(remaining[id_], refinement, making, w_alone.state.steps)
                candidates.append(own)
        # A refinement that gained nothing is not stored: W alone is the purer model.
        best = max(candidates, key=lambda one: (one.rank, 0 if one.rank else one.accuracy))
        trained_is_best[id_] = best is refined
        yield best
    yield from (made.student for id_, made in left_over.items() if id_ not in starts)


@dataclass
class _Made:
    """A state as it is given, and its student, judged when it is asked for.

    Attributes:
      state: the state.
      snapshot: as in `Student`.
      target_loss: as in `Making`.
      judge: gives the student.
    """

    state: Trained
    snapshot: int
    target_loss: float
    judge: Callable[[], Student]

    @cached_property
    def student(self) -> Student:
        """The student that the state is."""
        return self.judge()

    @property
    def is_finite(self) -> bool:
        """Whether all is a number."""
        finite = (np.isfinite(value).all() for value in self.state.parameters.values())
        return bool(np.isfinite(self.state.loss)) and all(finite)

    @property
    def is_good(self) -> bool:
        """Whether it may leave training; what is known to be wrong is not judged for that."""
        if not np.isfinite(self.state.loss) or not self.state.is_right:
            return False
        return self.student.exact and self.student.loss <= self.target_loss


def _trained(
    teachers: Sequence[Teacher], shape: Shape, method: Method, making: Making, saved: Checkpoint
) -> Iterator[_Made]:
    """States of one method, as they leave their lanes."""
    if not teachers:
        return
    inputs = all_inputs(teachers[0])
    settings = replace(making.training, trained=method.trained)
    by_id = {teacher.id: method.teacher(teacher) for teacher in teachers}
    given = {id_: len(saved.given.get(id_, ())) for id_ in by_id}
    known: dict[int, _Made] = {}

    def made(state: Trained, snapshot: int) -> _Made:
        """A state with its student, which is asked for more than once in a row."""
        last = known.get(state.id)
        if last is None or (last.state is not state) or last.snapshot != snapshot:
            judge = partial(_student, by_id[state.id], method, making, state, snapshot)
            known[state.id] = _Made(state, snapshot, making.target_loss, judge)
        return known[state.id]

    def look(state: Trained) -> Look:
        good = bool(given[state.id]) or made(state, given[state.id]).is_good
        leave = good and given[state.id] >= making.snapshots
        if settings.may_end(state) and not leave:
            student = made(state, given[state.id]).student
            leave = not student.refusal or student.accuracy < WITHIN_REACH
        return Look(good, leave)

    jobs = []
    for id_, teacher in by_id.items():
        for snapshot, state in enumerate(saved.given.get(id_, ())):
            yield made(state, snapshot)
        if saved.has_left(id_):
            continue
        job = method.job(teacher, shape)
        job.state = saved.lanes.get(id_)
        start = _untrained(job)
        begins = method.may_begin_right and job.state is None and not making.snapshots
        begins = begins and settings.steps > 0 and _may_be_exact(teacher, method, start)
        if not settings.steps or (begins and made(start, 0).is_good):
            saved.give(start, leaves=True)
            yield made(start, 0)
            saved.after_chunk(list(saved.lanes.values()))
            continue
        jobs.append(job)
    for state in train(jobs, inputs, settings, look, saved.after_chunk):
        leaves = look(state).leave or settings.ends(state)
        saved.give(state, leaves=leaves)
        yield made(state, given[state.id])
        given[state.id] += 1
    saved.write_if_kept()


def _student(
    teacher: Teacher, method: Method, making: Making, state: Trained, snapshot: int
) -> Student:
    """The student that a state is, judged."""
    found = method.finished(teacher, state.parameters)
    return _judged(teacher, found, making, state.steps, snapshot, state.error)


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
    error: float = np.nan,
) -> Student:
    model, readout = found
    if making.rotate:
        rng = np.random.default_rng([making.training.seed, teacher.id, snapshot])
        model, readout, error = *rotate(model, readout, rng), np.nan
    inputs = all_inputs(teacher)
    return judge(teacher, model, readout, inputs, steps=steps, snapshot=snapshot, error=error)


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
    walk, nothing_known = np.zeros((3, 0), np.float32), np.zeros(0, np.int8)
    return Trained(job.id, job.parameters, walk, 0.0, 0, 0.0, nothing_known)
