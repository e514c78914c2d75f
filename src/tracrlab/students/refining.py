"""Refinement: every weight of a compressed model is changed, from where W alone came to.

The student keeps a stream of W's width, and is given the layer sizes of a natural student. Its
weights are solved for first (`solving`), which makes most students exact. The others are trained: W
is folded into the weights (thesis, Algorithm 2), and what the layers have more than the compiled
ones starts without effect, so training starts at exactly the function that W alone gave. What comes
out is close to the compiled program seen through W, but is no longer it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import CompiledModel
from tracrlab.students.compressing import Compression
from tracrlab.students.enlarging import balanced, enlarged
from tracrlab.students.natural import weights_job, weights_model
from tracrlab.students.shapes import Shape
from tracrlab.students.sizes import uniform, width_of
from tracrlab.students.solving import Solution, solved
from tracrlab.students.student import Teacher
from tracrlab.students.training import Arrays, Job


class Refinement:
    """The method: which student a teacher gets, where it starts, and what comes out."""

    trained = "weights"
    may_begin_right = True

    def __init__(
        self, compression: Compression, starts: Mapping[int, Arrays], *, trains: bool = True
    ):
        """Goes on from compressions.

        Args:
          compression: how they were made.
          starts: their padded parameters, by the teacher's id.
          trains: whether training follows.
        """
        self.compression, self.starts, self.trains = compression, starts, trains
        self._solutions: dict[int, Solution] = {}

    def teacher(self, teacher: Teacher) -> Teacher:
        """The teacher with softer attention, that of the compression."""
        return self.compression.teacher(teacher)

    def student_architecture(self, teacher: Architecture) -> Architecture:
        """Every layer as large as the teacher's largest, and the stream as wide as W."""
        return uniform(teacher, width_of(self.compression.ratio, teacher.d_model))

    def solution(self, teacher: Teacher) -> Solution:
        """What solving gives; the same whenever it is asked for."""
        if teacher.id not in self._solutions:
            architecture = self.student_architecture(teacher.model.architecture)
            write = self.starts[teacher.id]["write"]
            write = write[: teacher.model.architecture.d_model, : architecture.d_model]
            rng = np.random.default_rng([self.compression.seed, teacher.id, 2])
            self._solutions[teacher.id] = solved(teacher, write, architecture, rng)
        return self._solutions[teacher.id]

    def solved(self, teacher: Teacher) -> tuple[CompiledModel, np.ndarray]:
        """What solving gives, as a model of its own, and its readout."""
        architecture = self.student_architecture(teacher.model.architecture)
        found = self.solution(teacher)
        model = replace(teacher.model, architecture=architecture, weights=found.weights, labels=())
        return model, found.readout

    def folded(self, teacher: Teacher) -> tuple[Arrays, np.ndarray]:
        """The folded compression in the student's sizes, its function kept, and its readout."""
        folded, readout = self.compression.finished(teacher, self.starts[teacher.id])
        architecture = self.student_architecture(teacher.model.architecture)
        rng = np.random.default_rng([self.compression.seed, teacher.id, 1])
        return enlarged(balanced(folded), architecture, rng), readout

    def job(self, teacher: Teacher, shape: Shape) -> Job:
        """The start of a training: the solution where it is right, else the folded compression.

        A solution that is nearly right is no good start: its weights are large, and training
        undoes it. It is what there is where no training follows.
        """
        solution = self.solution(teacher)
        if solution.wrong and self.trains:
            return self.training_job(teacher, shape)
        return self._job(teacher, shape, solution.weights, solution.readout)

    def training_job(self, teacher: Teacher, shape: Shape) -> Job:
        """The start of a training from the folded compression."""
        return self._job(teacher, shape, *self.folded(teacher))

    def _job(self, teacher: Teacher, shape: Shape, start: Arrays, readout: np.ndarray) -> Job:
        architecture = self.student_architecture(teacher.model.architecture)
        return weights_job(teacher, architecture, start, readout, shape)

    def finished(self, teacher: Teacher, parameters: Arrays) -> tuple[CompiledModel, np.ndarray]:
        """The student as a model of its own, and its readout."""
        architecture = self.student_architecture(teacher.model.architecture)
        return weights_model(teacher, architecture, parameters)
