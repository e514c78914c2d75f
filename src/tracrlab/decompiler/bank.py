"""What candidates compute on a sample of inputs: the bank that endings go on from.

On these inputs a sequence is a row of numbers. A symbol that is no number stands there as one that
no arithmetic reaches, and so does None.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.primitives import Primitive
from tracrlab.rasp.program import CATEGORICAL, FIRST_OP, Op, Program, function_key
from tracrlab.rasp.tables import Table
from tracrlab.rasp.truth_table import evaluate_op, input_tables
from tracrlab.rasp.values import Value, is_number

#: Stands for None in rows; no result of an op is as low.
NONE = np.float32(-7777.25)
#: Inputs of a sample.
INPUTS = 64


class Step(NamedTuple):
    """An op beyond the bank; its operands are numbers of the bank, or steps."""

    kind: str
    function: Primitive | None
    encoding: str | None
    operands: tuple[int | Step, ...]


class Numbers:
    """What stands in rows for values: numbers for themselves, and others for other values."""

    _FIRST = 1000.5

    def __init__(self) -> None:
        self._of: dict[Value, float] = {}

    def of(self, values: Iterable[Value]) -> np.ndarray:
        """Numbers for values, and one more for None; float32 [values + 1]."""
        found = [
            one if is_number(one) else self._of.setdefault(one, self._FIRST + len(self._of))
            for one in values
        ]
        return np.array([*found, NONE], dtype=np.float32)

    def values(self, numbers: Iterable[float]) -> list[Value]:
        """The values that numbers stand for; None is left out."""
        words = {number: word for word, number in self._of.items()}
        plain = (one for one in numbers if one != NONE)
        return [words.get(one, int(one) if one.is_integer() else one) for one in plain]


@dataclass(frozen=True)
class Goal:
    """What a model says on a sample of inputs.

    Attributes:
      domain: the sample, the inputs that tell most first.
      outputs: what it says, float32 [inputs, positions]; `NONE` where that is None.
      encoding: of its output.
      numbers: what stands for values.
    """

    domain: Domain
    outputs: np.ndarray
    encoding: str
    numbers: Numbers

    @classmethod
    def sampled(cls, domain: Domain, outputs: np.ndarray, encoding: str, numbers: Numbers) -> Goal:
        """A sample of `INPUTS` inputs, drawn by the seed 0; those with rare outputs come first.

        Args:
          domain: all inputs.
          outputs: what the model says on them, [inputs, positions], and `NONE`.
          encoding: of its output.
          numbers: what stands for values in the outputs.
        """
        _, which, counts = np.unique(outputs, return_inverse=True, return_counts=True)
        rarity = np.where(domain.mask, 1 / counts[which.reshape(outputs.shape)], 0).sum(axis=1)
        # Drawn without replacement, in proportion (Efraimidis and Spirakis 2006).
        keys = np.random.default_rng(0).exponential(size=len(outputs)) / rarity
        chosen = np.argsort(keys, kind="stable")[:INPUTS]
        inputs = tuple(tuple(domain.input(number)) for number in chosen.tolist())
        sample = Domain(domain.vocab, domain.max_seq_len, domain.causal, inputs)
        return cls(sample, outputs[chosen].astype(np.float32), encoding, numbers)


class Bank:
    """What candidates compute on a sample.

    Args:
      domain: the sample.

    Attributes:
      ops: the ops, whose operands are numbers: 0 and 1 the inputs, i + 2 the i-th op.
      tables: one for each number.
      likely: log of the summed probability of the candidates that compute it, one for each number.
      before: for each number the ops that it needs, itself among them, as a set of bits; as few
        as are known.
      ways: for each number the ops that are known to compute it.
    """

    def __init__(self, domain: Domain):
        self.domain = domain
        self.ops: list[Op] = []
        self.tables: list[Table] = list(input_tables(domain))
        self.likely: list[float] = [0.0] * FIRST_OP
        self.before: list[int] = [0] * FIRST_OP
        self.ways: list[list[Op]] = [[] for _ in range(FIRST_OP)]
        self._number: dict[tuple, int | None] = {}
        self._of_table: dict[tuple, int] = {}

    def add(self, program: Program, log_probability: float) -> int | None:
        """Adds what a candidate computes, as far as it can be evaluated; likely ones come first.

        Returns:
          the number of its output; None where that cannot be evaluated.
        """
        numbers: list[int | None] = [*range(FIRST_OP)]
        for op in program.ops:
            operands = tuple(numbers[ref] for ref in op.operands)
            numbers.append(None if None in operands else self._added(op, operands))
        for number in {one for one in numbers[FIRST_OP:] if one is not None}:
            self.likely[number] = float(np.logaddexp(self.likely[number], log_probability))
        return numbers[-1]

    def offer(self, step: Step) -> None:
        """Adds an op on numbers of the bank, which may be another way to compute one of them."""
        if all(isinstance(one, int) for one in step.operands):
            self._added(Op(step.kind, (), step.function, step.encoding), step.operands)

    def rewritten(self, program: Program) -> list[Program]:
        """Programs with one op exchanged for another that computes the same on the sample."""
        last = self.add(program, -np.inf)
        if last is None:
            return []
        return [
            self.program(last, (number, other))
            for number in members(self.before[last])
            for other in self.ways[number]
            if other != self.ops[number - FIRST_OP] and not self._needed(other) >> number & 1
        ]

    def _added(self, op: Op, operands: tuple[int, ...]) -> int | None:
        key = op.kind, function_key(op.function), op.encoding, operands
        if key in self._number:
            return self._number[key]
        op = op._replace(operands=operands)
        self._number[key] = None
        try:
            table = evaluate_op(op, self.tables, self.domain, average=False)
        except (TracrLabError, OverflowError):
            return None
        number = self._of_table.setdefault((op.encoding, table.fingerprint), len(self.tables))
        if number == len(self.tables):
            self.ops.append(op)
            self.tables.append(table)
            self.likely.append(-np.inf)
            self.before.append(1 << number | self._needed(op))
            self.ways.append([])
        self.ways[number].append(op)
        self._number[key] = number
        return number

    def _needed(self, op: Op) -> int:
        needed = 0
        for ref in op.operands:
            needed |= self.before[ref]
        return needed

    def shorten(self) -> None:
        """Takes for each number the way that needs the fewest ops, as far as is seen."""
        fewest = [before.bit_count() for before in self.before]
        changed = True
        while changed:
            changed = False
            for number in range(FIRST_OP, len(self.tables)):
                for op in self.ways[number]:
                    needed = self._needed(op)
                    if not needed >> number & 1 and needed.bit_count() + 1 < fewest[number]:
                        self.before[number] = 1 << number | needed
                        fewest[number] = needed.bit_count() + 1
                        self.ops[number - FIRST_OP] = op
                        changed = True
        # An operand that was shortened later needs other ops than it did; none needs more than its
        # user, so that those with the fewest come first.
        for number in sorted(range(FIRST_OP, len(self.tables)), key=fewest.__getitem__):
            self.before[number] = 1 << number | self._needed(self.ops[number - FIRST_OP])

    def encoding(self, number: int) -> str | None:
        """The encoding of a sequence; None for a selector."""
        return CATEGORICAL if number < FIRST_OP else self.ops[number - FIRST_OP].encoding

    def likeliest(self, encoding: str | None, count: int, most_ops: int) -> list[int]:
        """Numbers of an encoding that need at most so many ops, likeliest first."""
        found = [
            number
            for number, before in enumerate(self.before)
            if self.encoding(number) == encoding and before.bit_count() <= most_ops
        ]
        return sorted(found, key=lambda number: -self.likely[number])[:count]

    def evaluated(self, what: int | Step) -> Table | None:
        """The table of a step; None where it cannot be evaluated."""
        if isinstance(what, int):
            return self.tables[what]
        tables = [self.evaluated(one) for one in what.operands]
        if any(table is None for table in tables):
            return None
        op = Op(what.kind, tuple(range(len(tables))), what.function, what.encoding)
        try:
            return evaluate_op(op, tables, self.domain, average=False)
        except (TracrLabError, OverflowError):
            return None

    def program(self, last: int | Step, instead: tuple[int, Op] | None = None) -> Program:
        """The program that ends in a step, or in an op of the bank.

        Args:
          last: the step, or the number.
          instead: a number of the bank and another op for it.
        """
        ops: list[Op] = []
        numbers: dict[int | Step, int] = {number: number for number in range(FIRST_OP)}

        def place(what: int | Step) -> int:
            if what not in numbers:
                if isinstance(what, Step):
                    op = Op(what.kind, (), what.function, what.encoding)
                    operands = what.operands
                else:
                    op = self.ops[what - FIRST_OP]
                    if instead and instead[0] == what:
                        op = instead[1]
                    operands = op.operands
                op = op._replace(operands=tuple(place(one) for one in operands))
                ops.append(op)
                numbers[what] = FIRST_OP + len(ops) - 1
            return numbers[what]

        place(last)
        return Program.of(ops)

    def needs(self, what: int | Step) -> int:
        """The numbers of the bank that a step needs, as a set of bits."""
        if isinstance(what, int):
            return self.before[what]
        needed = 0
        for one in what.operands:
            needed |= self.needs(one)
        return needed


def members(bits: int) -> list[int]:
    """The numbers in a set of bits."""
    return [number for number in range(bits.bit_length()) if bits >> number & 1]
