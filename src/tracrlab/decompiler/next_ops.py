"""Every op of a preset on many sequences or selectors at once, as arrays.

What is computed stands as in `bank`: a sequence is a row of numbers, one for each position of the
inputs that are searched on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tracrlab.decompiler.bank import NONE, Numbers, Step
from tracrlab.rasp.presets import ARRAY_FUNCTIONS, Preset
from tracrlab.rasp.primitives import (
    COMMUTATIVE,
    LINEAR_SEQUENCE_MAP,
    MAP,
    SEQUENCE_MAP,
    Primitive,
    constant_count,
)
from tracrlab.rasp.program import AGGREGATE, CATEGORICAL, NUMERICAL, SELECTOR_WIDTH
from tracrlab.rasp.values import is_number

#: Constants of a Map, the smallest of the values that are there, in so many sequences.
_CONSTANTS, _SHOWN = 16, 56
#: Numbers that are computed at once, about.
_AT_ONCE = 400_000


@dataclass(frozen=True)
class Rows:
    """Sequences on the inputs that are searched on.

    Attributes:
      values: float32 [sequences, places].
      what: a number of the bank or a step for each.
      likely: a logarithm for each, larger where it is likelier.
      needs: which numbers of the bank each needs, float32 [sequences, numbers].
      new: ops that each needs beyond the bank.
    """

    values: np.ndarray
    what: Sequence[int | Step]
    likely: np.ndarray
    needs: np.ndarray
    new: int = 0

    def __len__(self) -> int:
        return len(self.what)

    @cached_property
    def none(self) -> np.ndarray:
        """Where they are None, bool [sequences, places]."""
        return self.values == NONE

    @cached_property
    def ops(self) -> np.ndarray:
        """How many ops each needs, [sequences]."""
        return self.needs.sum(axis=1) + self.new

    def first(self, count: int) -> Rows:
        return replace(
            self,
            values=self.values[:count],
            what=self.what[:count],
            likely=self.likely[:count],
            needs=self.needs[:count],
        )


@dataclass(frozen=True)
class Selectors:
    """Selectors, in the same way; `matrices` is float32 [selectors, inputs, keys, queries]."""

    matrices: np.ndarray
    what: Sequence[int | Step]
    likely: np.ndarray
    needs: np.ndarray
    new: np.ndarray

    def __len__(self) -> int:
        return len(self.what)

    def take(self, rows: slice) -> Selectors:
        return Selectors(
            self.matrices[rows],
            self.what[rows],
            self.likely[rows],
            self.needs[rows],
            self.new[rows],
        )

    def joined(self, other: Selectors) -> Selectors:
        return Selectors(
            np.concatenate([self.matrices, other.matrices]),
            [*self.what, *other.what],
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in ("likely", "needs", "new")
            ),
        )


class Block(NamedTuple):
    """Results of one op on many operands.

    Attributes:
      values: float32 [results, places].
      likely: a logarithm for each.
      ops: how many ops each needs.
      step: the step of a result.
    """

    values: np.ndarray
    likely: np.ndarray
    ops: np.ndarray
    step: Callable[[int], Step]


class NextOps:
    """What one op more gives.

    Args:
      mask: positions of the inputs that are searched on, bool [inputs, positions].
      numbers: what stands for values.
      wanted: numbers whose values a Map may have as constants beside those of its operands.
      preset: the functions that are tried.
      max_ops: results that need more ops are left out, where that is known before.
    """

    def __init__(
        self, mask: np.ndarray, numbers: Numbers, wanted: np.ndarray, preset: Preset, max_ops: int
    ):
        self._mask, self._numbers, self._wanted = mask, numbers, wanted
        self._preset, self._max_ops = preset, max_ops
        self._place = np.flatnonzero(mask.ravel())

    def grid(self, values: np.ndarray) -> np.ndarray:
        """Rows as [inputs, rows, positions]."""
        inputs, positions = self._mask.shape
        grid = np.full((len(values), inputs * positions), NONE, dtype=np.float32)
        grid[:, self._place] = values
        return np.ascontiguousarray(grid.reshape(-1, inputs, positions).transpose(1, 0, 2))

    def mapped(self, operands: Iterable[Rows], encoding: str) -> Iterator[Block]:
        """Maps of each sequence, in the encoding that is asked for."""
        for rows in operands:
            if not len(rows):
                continue
            numbers = np.unique(np.append(rows.values[:_SHOWN], self._wanted)).tolist()
            values = self._numbers.values(numbers)
            plain = [one for one in values if is_number(one) and float(2 * one).is_integer()]
            choices = [(one,) for one in sorted(plain, key=abs)[:_CONSTANTS]]
            choices += [(one,) for one in values if not is_number(one)]
            for template in self._preset.maps:
                for chosen in choices if constant_count(template) else [()]:
                    yield self._map(rows, Primitive(MAP, template, chosen), encoding)

    def _map(self, rows: Rows, function: Primitive, encoding: str) -> Block:
        given = self._numbers.of(function.constants)[:-1]
        values = ARRAY_FUNCTIONS[function.template](rows.values, *given).astype(np.float32)
        np.copyto(values, NONE, where=rows.none)

        def step(row: int) -> Step:
            return Step(MAP, function, encoding, (rows.what[row],))

        return Block(values, rows.likely, rows.ops + 1, step)

    def paired(self, left: Rows, right: Rows, encoding: str) -> Iterator[Block]:
        """SequenceMaps of two categorical and LinearSequenceMaps of two numerical sequences."""
        for column in range(len(right) if len(left) else 0):
            shared = left.needs @ right.needs[column]
            ops = left.ops + right.ops[column] - shared + 1
            short = np.flatnonzero(ops <= self._max_ops)
            if not len(short):
                continue
            values, other = left.values[short], right.values[column]
            none = left.none[short] | right.none[column]
            likely, ops = left.likely[short] + right.likely[column], ops[short]
            for function, on_arrays, turned in self._pair_functions(encoding):
                first, second = (other, values) if turned else (values, other)
                results = on_arrays(first, second).astype(np.float32)
                np.copyto(results, NONE, where=none)

                def step(row, short=short, column=column, function=function, turned=turned):
                    operands = left.what[short[row]], right.what[column]
                    operands = operands[::-1] if turned else operands
                    return Step(function.op, function, encoding, operands)

                yield Block(results, likely, ops, step)

    def _pair_functions(self, encoding: str) -> Iterator[tuple[Primitive, Callable, bool]]:
        """Functions, what they do to arrays, and whether the operands are exchanged."""
        if encoding == NUMERICAL:
            for a, b in self._preset.factors:
                function = Primitive(LINEAR_SEQUENCE_MAP, "a * x + b * y", (a, b))
                for turned in (False, True)[: 1 + (a != b)]:
                    yield function, lambda x, y, a=a, b=b: a * x + b * y, turned
            return
        for template in self._preset.sequence_maps:
            commutes = template in COMMUTATIVE or template == "x + y"
            for turned in (False, True)[: 2 - commutes]:
                yield Primitive(SEQUENCE_MAP, template), ARRAY_FUNCTIONS[template], turned

    def aggregated(self, selectors: Selectors, rows: Rows, encoding: str) -> Iterator[Block]:
        """Aggregates of each sequence by each selector; those that are not defined are left out."""
        if not len(rows):
            return
        grid = self.grid(rows.values)
        none = grid == NONE
        values = np.where(none, np.float32(0), grid)
        squares = values * values
        at_once = max(1, _AT_ONCE // grid.size)
        for start in range(0, len(selectors), at_once):
            part = selectors.take(slice(start, start + at_once))
            shared = part.needs @ rows.needs.T
            ops = part.needs.sum(axis=1)[:, None] + part.new[:, None] + rows.ops - shared + 1
            matrices = part.matrices
            counts = matrices.sum(axis=2)[:, :, None]
            total = values @ matrices
            result = total / np.maximum(counts, 1)
            good = ops <= self._max_ops
            if none.any():
                nones = none.astype(np.float32) @ matrices
                good &= ~((nones > 0) & (counts > 1)).any(axis=(1, 3))
                result = np.where(nones > 0, NONE, result)
            if encoding == CATEGORICAL:  # categories have no mean
                mixed = np.abs(squares @ matrices * counts - total * total) > 1e-2
                good &= ~(mixed & (counts > 1)).any(axis=(1, 3))
            default = NONE if encoding == CATEGORICAL else np.float32(0)
            result = np.where(counts == 0, default, result)
            which, row = np.nonzero(good)
            flat = result.transpose(0, 2, 1, 3)[which, row].reshape(len(which), self._mask.size)

            def step(number: int, part=part, which=which, row=row) -> Step:
                operands = part.what[which[number]], rows.what[row[number]]
                return Step(AGGREGATE, None, encoding, operands)

            likely = part.likely[which] + rows.likely[row]
            yield Block(flat[:, self._place], likely, ops[which, row], step)

    def counted(self, selectors: Selectors, encoding: str) -> Iterator[Block]:
        """The SelectorWidth of each."""
        widths = selectors.matrices.sum(axis=2).reshape(len(selectors), self._mask.size)
        ops = selectors.needs.sum(axis=1) + selectors.new + 1

        def step(row: int) -> Step:
            return Step(SELECTOR_WIDTH, None, encoding, (selectors.what[row],))

        yield Block(widths[:, self._place], selectors.likely, ops, step)
