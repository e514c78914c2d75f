"""Compression of the residual stream: W alone is trained, from a start from data.

The student reads r W^T and writes y W, all else as compiled (Tracr paper, section 5; thesis,
chapter 6, Algorithm 1), and is folded to plain weights in the end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.students.folding import fold
from tracrlab.students.initialisation import (
    FEW_ITERATIONS,
    ITERATIONS,
    from_data,
    random_orthogonal,
    softened,
)
from tracrlab.students.shapes import Shape
from tracrlab.students.sizes import uniform, width_of
from tracrlab.students.stacking import padded_weights
from tracrlab.students.student import Teacher
from tracrlab.students.training import Arrays, Job

STARTS = ("data", "random")


class Compression:
    """The method: which student a teacher gets, where it starts, and what comes out."""

    trained = "compression"
    may_begin_right = True

    def __init__(
        self,
        ratio: float = 0.5,
        start: str = "data",
        noise: float = 0.0,
        seed: int = 0,
        *,
        refined: bool = False,
    ):
        """Chooses the kind of compression.

        Args:
          ratio: width of the student's stream over the teacher's.
          start: "data" (`initialisation.from_data`) or "random" (orthonormal columns).
          noise: standard deviation of noise on the start, over that of the start itself.
          seed: root of the random numbers of random starts and of noise.
          refined: whether shapes must hold what `refining.Refinement` makes of a student.

        Raises:
          TracrLabError: if there is no such start.
        """
        if start not in STARTS:
            raise TracrLabError(f"{start!r} is not a start; they are {', '.join(STARTS)}.")
        self.ratio, self.start, self.noise, self.seed = ratio, start, noise, seed
        self.refined = refined

    def teacher(self, teacher: Teacher) -> Teacher:
        """The teacher with softer attention, which compression can keep."""
        return Teacher(teacher.id, softened(teacher.model, teacher.table), teacher.table)

    def student_architecture(self, teacher: Architecture) -> Architecture:
        """The teacher's, narrower; the larger one of its refinement where there may be one."""
        width = width_of(self.ratio, teacher.d_model)
        return uniform(teacher, width) if self.refined else replace(teacher, d_model=width)

    def job(self, teacher: Teacher, shape: Shape) -> Job:
        """The start of a training."""
        d_model = teacher.model.architecture.d_model
        width = width_of(self.ratio, d_model)
        rng = np.random.default_rng([self.seed, teacher.id])
        if self.start == "data":
            iterations = FEW_ITERATIONS if self.refined else ITERATIONS
            write, _ = from_data(teacher.model, teacher.table, width, iterations)
        else:
            write = random_orthogonal(d_model, width, rng)
        write = write + self.noise * write.std() * rng.normal(size=write.shape)
        return Job(
            teacher.id,
            padded_weights(teacher.model, shape.teacher),
            {"write": _padded(write, shape)},
            {"write": _padded(np.ones_like(write), shape)},
            teacher.wanted,
            teacher.tolerance,
            teacher.model,
            lambda parameters: self.finished(teacher, parameters)[0],
        )

    def finished(self, teacher: Teacher, parameters: Arrays) -> tuple[CompiledModel, np.ndarray]:
        """The folded student and its readout W^T."""
        d_model = teacher.model.architecture.d_model
        write = parameters["write"][:d_model, : width_of(self.ratio, d_model)]
        return fold(teacher.model, write), np.ascontiguousarray(write.T)


def _padded(matrix: np.ndarray, shape: Shape) -> np.ndarray:
    padded = np.zeros((shape.teacher.d_model, shape.student.d_model), np.float32)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded
