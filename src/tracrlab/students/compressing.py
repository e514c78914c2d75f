"""Compression of a model's residual stream: start from data, train where needed, fold, judge."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from tracrlab.compiler.model import CompiledModel
from tracrlab.compiler.verification import covering_inputs, model_inputs, verify
from tracrlab.errors import TracrLabError
from tracrlab.rasp.truth_table import TruthTable
from tracrlab.students.folding import fold
from tracrlab.students.initialisation import from_data
from tracrlab.students.stacking import Bucket, padded_weights
from tracrlab.students.training import Job, TrainingSettings, student_loss, train

#: The thesis's gate (section 6.1): a student is accepted from this accuracy, up to this loss.
GATE_ACCURACY, GATE_LOSS = 0.9, 0.05


@dataclass(frozen=True)
class CompressionSettings:
    """What is asked of a compression.

    Attributes:
      ratio: width of the student's residual stream over the teacher's.
      training: how matrices are trained that are not exact from the start.
      min_inputs: inputs on which a student is judged, at least.
    """

    ratio: float = 0.5
    training: TrainingSettings = field(default_factory=TrainingSettings)
    min_inputs: int = 256

    def width(self, d_model: int) -> int:
        """Width of the student of a teacher.

        Raises:
          TracrLabError: if the ratio leaves no dimension, or is no share.
        """
        if not 0 < self.ratio <= 1 or math.floor(self.ratio * d_model + 1e-9) < 1:
            raise TracrLabError(
                f"a compression ratio of {self.ratio:g} leaves no dimension of {d_model}; give one "
                f"from {1 / d_model:.3g} to 1."
            )
        return math.ceil(self.ratio * d_model - 1e-9)


@dataclass(frozen=True)
class Student:
    """A compressed model and how good it is.

    Attributes:
      id: the number that was given.
      model: folded to plain weights.
      compression: W [d_model, width].
      accuracy: share of the inputs on which every position is right.
      loss: Tracr's loss on these inputs: squared errors of block outputs and of outputs.
      steps: training steps; 0 where the start from data was exact.
    """

    id: int
    model: CompiledModel
    compression: np.ndarray
    accuracy: float
    loss: float
    steps: int

    @property
    def exact(self) -> bool:
        """Whether every input was right."""
        return self.accuracy == 1.0

    @property
    def passes_gate(self) -> bool:
        """The thesis's gate."""
        return self.accuracy >= GATE_ACCURACY and self.loss <= GATE_LOSS


def compress(
    teachers: Iterable[tuple[int, CompiledModel, TruthTable]], settings: CompressionSettings
) -> Iterator[Student]:
    """Compresses models of one domain.

    Args:
      teachers: id, compiled model and truth table of each.
      settings: how far, and how they are trained.

    Yields:
      a student for every teacher, in no fixed order; accepting it is up to the caller.
    """
    waiting: dict[Bucket, list[_Teacher]] = {}
    for id_, model, table in teachers:
        teacher = _Teacher(id_, model, table, settings)
        start = teacher.student(teacher.start, 0)
        if start.exact and start.passes_gate:
            yield start
        else:
            waiting.setdefault(teacher.bucket, []).append(teacher)
    for bucket, group in waiting.items():
        yield from _train(bucket, group, settings)


class _Teacher:
    """A teacher with the start of its student's compression."""

    def __init__(
        self, id_: int, model: CompiledModel, table: TruthTable, settings: CompressionSettings
    ):
        self.id, self.model, self.table = id_, model, table
        self.min_inputs = settings.min_inputs
        self.width = settings.width(model.architecture.d_model)
        self.bucket = Bucket.of(model.architecture, self.width)
        self.weights = padded_weights(model, self.bucket)
        self.inputs = model_inputs(model, table.domain, covering_inputs(table, self.min_inputs))
        self.start, _ = from_data(model, table, self.width)

    def padded(self, compression: np.ndarray) -> np.ndarray:
        """A matrix in the bucket's shape."""
        padded = np.zeros((self.bucket.d_model, self.bucket.width), np.float32)
        padded[: compression.shape[0], : compression.shape[1]] = compression
        return padded

    def own(self, padded: np.ndarray) -> np.ndarray:
        """A matrix without its padding."""
        return padded[: self.model.architecture.d_model, : self.width]

    def job(self) -> Job:
        return Job(
            self.id, self.weights, self.padded(self.start), self.padded(np.ones_like(self.start))
        )

    def student(self, compression: np.ndarray, steps: int) -> Student:
        """The folded student, judged. Numbers that are not finite are wrong everywhere."""
        folded = fold(self.model, compression)
        if not np.isfinite(compression).all():
            return Student(self.id, folded, compression, 0.0, np.inf, steps)
        result = verify(folded, self.table, self.min_inputs)
        loss = student_loss(
            self.weights, self.padded(compression), *self.inputs, self.bucket.causal
        )
        accuracy = 1 - result.mismatches / result.inputs
        return Student(self.id, folded, compression, accuracy, float(loss), steps)


def _train(
    bucket: Bucket, group: list[_Teacher], settings: CompressionSettings
) -> Iterator[Student]:
    teachers = {teacher.id: teacher for teacher in group}
    domain = group[0].table.domain
    codes, lengths = model_inputs(group[0].model, domain, np.arange(len(domain.codes)))

    def has_converged(job: Job, padded: np.ndarray, loss: float) -> bool:
        if loss > GATE_LOSS:
            return False
        teacher = teachers[job.id]
        student = teacher.student(teacher.own(padded), 0)
        return student.exact and student.passes_gate

    jobs = [teacher.job() for teacher in group]
    for trained in train(jobs, bucket, codes, lengths, settings.training, has_converged):
        teacher = teachers[trained.id]
        yield teacher.student(teacher.own(trained.compression), trained.steps)
