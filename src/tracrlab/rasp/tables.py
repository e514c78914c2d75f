"""The values of one op on every input of a domain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tracrlab.rasp.domain import Domain
from tracrlab.rasp.values import Value, is_number


def unsigned(largest: int) -> np.dtype:
    """The smallest unsigned type that holds a number."""
    return np.min_scalar_type(largest)


@dataclass(frozen=True, eq=False)
class SOpTable:
    """A sequence op on every input.

    Attributes:
      values: the distinct values that are reached, in order; None is not among them.
      columns: numbers into `values`, unsigned [positions, inputs]; ``len(values)`` is None or
        padding. Inputs lie side by side in memory, which is what makes the kernels fast.
      nones: at how many positions (padding not counted) the op is None.
      mapping: for Map [values of the operand] and SequenceMap [values of the first, of the second]
        the code of the result, -1 where the combination is not reached; None for other ops.
      averages: whether several different values are averaged somewhere.
    """

    values: tuple[Value, ...]
    columns: np.ndarray
    nones: int = 0
    mapping: np.ndarray | None = None
    averages: bool = False

    @property
    def codes(self) -> np.ndarray:
        """`columns` as [inputs, positions]."""
        return self.columns.T

    @cached_property
    def numeric(self) -> bool:
        """Whether every value is a number."""
        return all(is_number(value) for value in self.values)

    @cached_property
    def fingerprint(self) -> tuple:
        """Equal for equal tables over one domain, within one process."""
        return (self.values, hash(self.columns.tobytes()))

    def decoded(self, domain: Domain, number: int) -> list[Value | None]:
        """The op's values on one input of the domain."""
        padded = (*self.values, None)
        return [padded[code] for code in self.columns[: domain.lengths[number], number]]


@dataclass(frozen=True, eq=False)
class SelectorTable:
    """A selector on every input.

    Attributes:
      matrix: bool [keys, queries, inputs], False at padding.
      predicate: what the predicate says of each pair of values, bool [query values, key values].
      selects_none: whether a None key or query is selected somewhere.
    """

    matrix: np.ndarray
    predicate: np.ndarray
    selects_none: bool = False

    @cached_property
    def counts(self) -> np.ndarray:
        """How many keys each query selects, unsigned [queries, inputs]."""
        return self.matrix.view(np.uint8).sum(axis=0, dtype=unsigned(len(self.matrix)))

    @cached_property
    def fingerprint(self) -> tuple:
        """Equal for equal tables over one domain, within one process."""
        return ("selector", hash(np.packbits(self.matrix).tobytes()))


Table = SOpTable | SelectorTable
