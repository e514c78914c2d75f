"""Which padded shapes a set of teachers and students is trained in.

A shape is compiled once and costs seconds; padding costs time at every step. So models whose sizes
are rare are padded to those of others, until every shape has enough of them. The plan depends on
the set alone, not on how it is cut into jobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

from tracrlab.compiler.architecture import Architecture
from tracrlab.students.stacking import Bucket

#: Numbers of a bucket before its causality, which every model of a zoo shares.
_SIZES = len(fields(Bucket)) - 1


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
        student, teacher = _multiplications(self.student), _multiplications(self.teacher)
        readout = 2 * self.student.layers * self.student.d_model * self.teacher.d_model
        return 3 * (student + readout) + teacher

    def union(self, other: Shape) -> Shape:
        """The smallest shape that holds both."""
        pairs = zip(self.numbers, other.numbers, strict=True)
        return Shape.from_numbers([max(pair) for pair in pairs], self.teacher.causal)


def _multiplications(bucket: Bucket) -> int:
    attention = 2 * bucket.heads * (bucket.key_size + bucket.value_size)
    layer = bucket.d_model * (attention + 2 * bucket.mlp_hidden)
    return bucket.layers * layer + bucket.d_model * bucket.outputs


def plan(shapes: Sequence[Shape], fewest: int) -> list[Shape]:
    """The shape that each model is trained in.

    Args:
      shapes: the smallest shape of each model.
      fewest: models that a shape should have; the rarest are merged where it costs least until all
        have so many, or one is left.
    """
    counts = Counter(shapes)
    target = {shape: shape for shape in counts}
    while len(counts) > 1:
        rarest = min(counts, key=lambda shape: (counts[shape], shape.numbers))
        if counts[rarest] >= fewest:
            break

        def waste(other: Shape, rarest: Shape = rarest) -> tuple[int, tuple[int, ...]]:
            union = rarest.union(other)
            more = (union.cost - other.cost) * counts[other]
            return more + (union.cost - rarest.cost) * counts[rarest], other.numbers

        partner = min((shape for shape in counts if shape != rarest), key=waste)
        union = rarest.union(partner)
        total = counts.pop(rarest) + counts.pop(partner)
        counts[union] += total
        target = {own: union if to in (rarest, partner) else to for own, to in target.items()}
    return [target[shape] for shape in shapes]
