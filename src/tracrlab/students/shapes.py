"""Which padded shapes a set of teachers and students is trained in.

A shape is compiled once and costs seconds; padding costs time at every step. So models are padded
to the sizes of others while that costs less than compiling. The plan depends on the set alone, not
on how it is cut into jobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.students.stacking import Bucket

#: Numbers of a bucket before its causality, which every model of a zoo shares.
_SIZES = len(fields(Bucket)) - 1
_LAYERS, _D_MODEL = 2, 3
#: What a step takes apart from `Shape.cost`, in its unit: measured on one core, 0.3 ms against
#: 0.5 ms for a cost of 100,000.
STEP_COST = 60_000


@dataclass(frozen=True)
class Shape:
    """The padded sizes of a teacher and of its student."""

    teacher: Bucket
    student: Bucket

    @classmethod
    def of(cls, teacher: Architecture, student: Architecture) -> Shape:
        """The smallest shape for a pair."""
        return cls(Bucket.of(teacher, student.d_model), Bucket.of(student, student.d_model))

    @classmethod
    def from_numbers(cls, numbers: Sequence[int], causal: bool) -> Shape:
        """The inverse of `numbers`."""
        return cls(
            Bucket(*numbers[:_SIZES], causal=causal), Bucket(*numbers[_SIZES:], causal=causal)
        )

    @property
    def numbers(self) -> tuple[int, ...]:
        """All sizes, the teacher's first."""
        return (*astuple(self.teacher)[:_SIZES], *astuple(self.student)[:_SIZES])

    @property
    def cost(self) -> int:
        """Multiplications for a token in a training step, about."""
        return int(_costs(np.array(self.numbers)))

    def union(self, other: Shape) -> Shape:
        """The smallest shape that holds both."""
        pairs = zip(self.numbers, other.numbers, strict=True)
        return Shape.from_numbers([max(pair) for pair in pairs], self.teacher.causal)


def _costs(numbers: np.ndarray) -> np.ndarray:
    """`Shape.cost` of many shapes, [..., numbers]."""
    teachers, students = numbers[..., :_SIZES], numbers[..., _SIZES:]
    readout = 2 * students[..., _LAYERS] * students[..., _D_MODEL] * teachers[..., _D_MODEL]
    return 3 * (_multiplications(students) + readout) + _multiplications(teachers)


def _multiplications(bucket: np.ndarray) -> np.ndarray:
    """Of one forward pass, for a token."""
    _, _, layers, d_model, heads, key_size, value_size, mlp_hidden, outputs, _ = np.moveaxis(
        bucket, -1, 0
    )
    attention = 2 * heads * (key_size + value_size)
    return layers * d_model * (attention + 2 * mlp_hidden) + d_model * outputs


def plan(shapes: Sequence[Shape], worth: float) -> list[Shape]:
    """The shape that each model is trained in.

    Shapes are merged two at a time, those first where padding costs least, while it costs less than
    a shape is worth.

    Args:
      shapes: the smallest shape of each model.
      worth: how many models could be trained, each in its smallest shape, in the time that one
        shape takes to compile; 0 merges none.
    """
    counts = Counter(shapes)
    distinct = list(counts)
    numbers = np.array([shape.numbers for shape in distinct])
    models = np.array([counts[shape] for shape in distinct])
    costs = _costs(numbers) + STEP_COST
    most = worth * float(models @ costs) / len(shapes)
    merged_to = np.arange(len(distinct))

    def waste(row: int) -> np.ndarray:
        """What merging one shape with each of the others costs."""
        unions = _costs(np.maximum(numbers[row], numbers)) + STEP_COST
        more = (unions - costs[row]) * models[row] + (unions - costs) * models
        return np.where((models > 0) & (np.arange(len(models)) != row), more, np.inf)

    wastes = np.stack([waste(row) for row in range(len(distinct))])
    while True:
        row, other = divmod(int(np.argmin(wastes)), len(distinct))
        if not wastes[row, other] < most:
            break
        numbers[row] = np.maximum(numbers[row], numbers[other])
        costs[row] = _costs(numbers[row]) + STEP_COST
        models[row] += models[other]
        models[other] = 0
        merged_to[merged_to == other] = row
        wastes[other, :] = wastes[:, other] = np.inf
        wastes[row, :] = wastes[:, row] = waste(row)
    causal = shapes[0].teacher.causal if shapes else False
    target = {
        shape: Shape.from_numbers(numbers[row].tolist(), causal)
        for shape, row in zip(distinct, merged_to, strict=True)
    }
    return [target[shape] for shape in shapes]
