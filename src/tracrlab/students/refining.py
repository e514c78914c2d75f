"""Refinement: every weight of a compressed model is trained on, from where W alone came to.

W is folded into the weights first (thesis, Algorithm 2), and the student keeps that stream of W's
width. It is given the layer sizes of a natural student: what they have more than the compiled ones
starts without effect, so training starts at exactly the function that W alone gave. What comes out
is close to the compiled program seen through W, but is no longer it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import CompiledModel
from tracrlab.students.compressing import Compression
from tracrlab.students.enlarging import balanced, enlarged
from tracrlab.students.natural import weights_job, weights_model
from tracrlab.students.shapes import Shape
from tracrlab.students.sizes import uniform, width_of
from tracrlab.students.student import Teacher
from tracrlab.students.training import Arrays, Job


class Refinement:
    """The method: which student a teacher gets, where it starts, and what comes out."""

    trained = "weights"

    def __init__(self, compression: Compression, starts: Mapping[int, Arrays]):
        """Goes on from compressions.

        Args:
          compression: how they were made.
          starts: their padded parameters, by the teacher's id.
        """
        self.compression, self.starts = compression, starts

    def teacher(self, teacher: Teacher) -> Teacher:
        """The teacher with softer attention, that of the compression."""
        return self.compression.teacher(teacher)

    def student_architecture(self, teacher: Architecture) -> Architecture:
        """Every layer as large as the teacher's largest, and the stream as wide as W."""
        return uniform(teacher, width_of(self.compression.ratio, teacher.d_model))

    def job(self, teacher: Teacher, shape: Shape) -> Job:
        """The start of a training: the folded compression."""
        folded, readout = self.compression.finished(teacher, self.starts[teacher.id])
        architecture = self.student_architecture(teacher.model.architecture)
        rng = np.random.default_rng([self.compression.seed, teacher.id, 1])
        start = enlarged(balanced(folded), architecture, rng)
        return weights_job(teacher, architecture, start, readout, shape)

    def finished(self, teacher: Teacher, parameters: Arrays) -> tuple[CompiledModel, np.ndarray]:
        """The student as a model of its own, and its readout."""
        architecture = self.student_architecture(teacher.model.architecture)
        return weights_model(teacher, architecture, parameters)
