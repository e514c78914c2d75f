"""Natural students: every weight trained from scratch against the teacher's block outputs.

Thesis, chapter 7: the architecture of a compressed model, Xavier initialisation, the teacher's
half-layers as targets. A readout from the student's stream to the teacher's is trained beside it.

All layers have the sizes of the largest, as in Tracr's models, and heads and MLPs a least size: in
exactly the neurons that a compiled model needs, training from scratch rarely finds the program.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracrlab.compiler.architecture import Architecture, Layer
from tracrlab.compiler.model import CompiledModel
from tracrlab.students.compressing import width_of
from tracrlab.students.shapes import Shape
from tracrlab.students.stacking import padded_weights, unpadded_weights
from tracrlab.students.student import Teacher
from tracrlab.students.training import Arrays, Job

#: Least key and value size of a head, and least width of an MLP.
LEAST_HEAD, LEAST_MLP = 16, 32


class Natural:
    """The method: which student a teacher gets, where it starts, and what comes out."""

    trained = "weights"

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
        layers = teacher.layers

        def largest(name: str) -> int:
            return max(getattr(layer, name) for layer in layers)

        heads = largest("heads")
        layer = Layer(
            heads=heads,
            key_size=max(largest("key_size"), LEAST_HEAD) if heads else 0,
            value_size=max(largest("value_size"), LEAST_HEAD) if heads else 0,
            mlp_hidden=max(largest("mlp_hidden"), LEAST_MLP),
        )
        width = width_of(self.ratio, teacher.d_model)
        return replace(teacher, d_model=width, layers=(layer,) * len(layers))

    def job(self, teacher: Teacher, shape: Shape) -> Job:
        """The start of a training (Glorot and Bengio 2010, normal)."""
        rng = np.random.default_rng([self.seed, teacher.id])
        architecture = self.student_architecture(teacher.model.architecture)
        start = {
            name: _xavier(rng, rows, columns)
            for name, (rows, columns) in architecture.shapes.items()
        }
        d_model, own = architecture.d_model, teacher.model.architecture.d_model
        for name in ("token_embed", "pos_embed"):  # rows are looked up, not summed over
            start[name] = rng.normal(size=start[name].shape) / np.sqrt(d_model)
        parameters = self._padded(teacher.model, architecture, start, shape)
        ones = {name: np.ones_like(value) for name, value in start.items()}
        mask = self._padded(teacher.model, architecture, ones, shape)
        mask = {name: (value != 0).astype(np.float32) for name, value in mask.items()}
        for arrays, readout in (
            (parameters, _xavier(rng, d_model, own)),
            (mask, np.ones((d_model, own))),
        ):
            arrays["readout"] = np.zeros((shape.student.d_model, shape.teacher.d_model), np.float32)
            arrays["readout"][:d_model, :own] = readout
        return Job(
            teacher.id,
            padded_weights(teacher.model, shape.teacher),
            parameters,
            mask,
            teacher.wanted,
            teacher.tolerance,
        )

    def _padded(
        self, teacher: CompiledModel, architecture: Architecture, weights: Arrays, shape: Shape
    ) -> Arrays:
        model = replace(teacher, architecture=architecture, weights=weights, labels=())
        padded = padded_weights(model, shape.student)
        del padded["output_mask"]
        return padded

    def finished(self, teacher: Teacher, parameters: Arrays) -> tuple[CompiledModel, np.ndarray]:
        """The student as a model of its own, and its readout."""
        architecture = self.student_architecture(teacher.model.architecture)
        model = replace(
            teacher.model,
            architecture=architecture,
            weights=unpadded_weights(parameters, architecture),
            labels=(),
        )
        own = teacher.model.architecture.d_model
        return model, np.ascontiguousarray(parameters["readout"][: architecture.d_model, :own])


def _xavier(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return (rng.normal(size=(rows, columns)) * np.sqrt(2 / (rows + columns))).astype(np.float32)
