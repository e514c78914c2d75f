"""Natural students: every weight trained from scratch against the teacher's block outputs.

Thesis, chapter 7: the architecture of a compressed model, Xavier initialisation, the teacher's
half-layers as targets. A readout from the student's stream to the teacher's is trained beside it.

All layers have the sizes of the largest, as in Tracr's models, and heads and MLPs a least size: in
exactly the neurons that a compiled model needs, training from scratch rarely finds the program.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import CompiledModel
from tracrlab.students.enlarging import xavier
from tracrlab.students.shapes import Shape
from tracrlab.students.sizes import uniform, width_of
from tracrlab.students.stacking import padded_weights, unpadded_weights
from tracrlab.students.student import Teacher
from tracrlab.students.training import Arrays, Job


class Natural:
    """The method: which student a teacher gets, where it starts, and what comes out."""

    trained = "weights"
    may_begin_right = False

    def __init__(self, ratio: float = 0.5, seed: int = 0):
        """Chooses the kind of student.

        Args:
          ratio: width of the student's stream over the teacher's.
          seed: root of the random numbers of the starts.
        """
        self.ratio, self.seed = ratio, seed

    def teacher(self, teacher: Teacher) -> Teacher:
        """The teacher as it is."""
        return teacher

    def student_architecture(self, teacher: Architecture) -> Architecture:
        """Every layer as large as the teacher's largest."""
        return uniform(teacher, width_of(self.ratio, teacher.d_model))

    def job(self, teacher: Teacher, shape: Shape) -> Job:
        """The start of a training (Glorot and Bengio 2010, normal)."""
        rng = np.random.default_rng([self.seed, teacher.id])
        architecture = self.student_architecture(teacher.model.architecture)
        start = {
            name: xavier(rng, rows, columns)
            for name, (rows, columns) in architecture.shapes.items()
        }
        d_model, own = architecture.d_model, teacher.model.architecture.d_model
        for name in ("token_embed", "pos_embed"):  # rows are looked up, not summed over
            start[name] = rng.normal(size=start[name].shape) / np.sqrt(d_model)
        return weights_job(teacher, architecture, start, xavier(rng, d_model, own), shape)

    def finished(self, teacher: Teacher, parameters: Arrays) -> tuple[CompiledModel, np.ndarray]:
        """The student as a model of its own, and its readout."""
        architecture = self.student_architecture(teacher.model.architecture)
        return weights_model(teacher, architecture, parameters)


def weights_job(
    teacher: Teacher, architecture: Architecture, start: Arrays, readout: np.ndarray, shape: Shape
) -> Job:
    """A training of every weight and of the readout.

    Args:
      teacher: the teacher.
      architecture: the student's.
      start: its weights, by the names of `Architecture.shapes`.
      readout: from its stream to the teacher's [d_model, the teacher's d_model].
      shape: the padded sizes.
    """
    width, own = readout.shape
    ones = {name: np.ones_like(value) for name, value in start.items()}
    padded = []
    for weights, out in ((start, readout), (ones, np.ones_like(readout))):
        model = replace(teacher.model, architecture=architecture, weights=weights, labels=())
        arrays = padded_weights(model, shape.student)
        del arrays["output_mask"]
        arrays["readout"] = np.zeros((shape.student.d_model, shape.teacher.d_model), np.float32)
        arrays["readout"][:width, :own] = out
        padded.append(arrays)
    parameters, mask = padded
    return Job(
        teacher.id,
        padded_weights(teacher.model, shape.teacher),
        parameters,
        {name: (value != 0).astype(np.float32) for name, value in mask.items()},
        teacher.wanted,
        teacher.tolerance,
        teacher.model,
        lambda parameters: weights_model(teacher, architecture, parameters)[0],
    )


def weights_model(
    teacher: Teacher, architecture: Architecture, parameters: Arrays
) -> tuple[CompiledModel, np.ndarray]:
    """A student out of padded weights, and its readout."""
    model = replace(
        teacher.model,
        architecture=architecture,
        weights=unpadded_weights(parameters, architecture),
        labels=(),
    )
    own = teacher.model.architecture.d_model
    return model, np.ascontiguousarray(parameters["readout"][: architecture.d_model, :own])
