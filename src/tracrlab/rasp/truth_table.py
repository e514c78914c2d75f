"""The interpreter: every op evaluated on every input of a domain at once.

A sequence is held as its distinct values and an array of numbers into them, so a Map costs one call
of its function for each value and one array look-up. The tables are what everything else is made
from: exact value sets for the compiler, rejection while sampling, functional equality, duplicate
removal and verification.

The semantics are those of ``tracr.rasp``: None operands give None, a single selected value is
passed on, several are averaged, none give the default (None, or 0 for numerical). An op that
``tracr.rasp`` cannot evaluate on some input of the domain makes the program undefined, but for one
thing: several equal values that are not numbers give that value, as several equal numbers do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.kernels import (
    UndefinedError,
    aggregate,
    compact,
    map_pairs,
    map_values,
    select,
    selector_width,
)
from tracrlab.rasp.primitives import LINEAR_SEQUENCE_MAP, MAP, SELECT, SEQUENCE_MAP
from tracrlab.rasp.program import AGGREGATE, NUMERICAL, Op, Program
from tracrlab.rasp.tables import SOpTable, Table, unsigned
from tracrlab.rasp.values import Value, is_number


class UndefinedProgramError(TracrLabError):
    """A program that cannot be evaluated on some input of its domain."""


@dataclass(frozen=True)
class TruthTable:
    """A program on every input of a domain.

    Attributes:
      tables: one table for each operand number: tokens, indices, then the ops.
    """

    program: Program
    domain: Domain
    tables: tuple[Table, ...]

    @property
    def output(self) -> SOpTable:
        return self.tables[-1]

    @cached_property
    def behaviour(self) -> str:
        """Hash of the function that the program computes (32 hexadecimal digits).

        Equal for programs with equal outputs on every input of the domain, however written.
        """
        return behaviour_hash(self.output, self.domain)


def evaluate(program: Program, domain: Domain) -> TruthTable:
    """Evaluates every op of a program on every input of a domain.

    Raises:
      UndefinedProgramError: naming the op, the reason and an input, where ``tracr.rasp`` could not
        evaluate the program either.
    """
    tables: list[Table] = list(input_tables(domain))
    for op, name in zip(program.ops, program.names, strict=True):
        tables.append(evaluate_op(op, tables, domain, name))
    return TruthTable(program, domain, tuple(tables))


def input_tables(domain: Domain) -> tuple[SOpTable, SOpTable]:
    """The tables of tokens and indices."""
    mask = np.ascontiguousarray(domain.mask.T)
    tokens = compact(domain.vocab, np.ascontiguousarray(domain.codes.T), mask)
    positions = np.broadcast_to(np.arange(domain.max_seq_len)[:, None], mask.shape)
    return tokens, compact(tuple(range(domain.max_seq_len)), positions, mask)


def evaluate_op(
    op: Op,
    tables: Sequence[Table],
    domain: Domain,
    name: str = "op",
    *,
    average: bool = True,
) -> Table:
    """Evaluates one op, given the tables of everything before it.

    Args:
      op: the op.
      tables: one table for each operand number before it.
      domain: the inputs.
      name: what to call the op in errors.
      average: whether a categorical Aggregate may average different values, which has no weights.

    Raises:
      UndefinedProgramError: as `evaluate`.
      AveragedCategoriesError: where `average` is false and it would.
    """
    operands = [tables[ref] for ref in op.operands]
    try:
        if op.kind == MAP:
            return map_values(op.function, *operands, domain)
        if op.kind in (SEQUENCE_MAP, LINEAR_SEQUENCE_MAP):
            return map_pairs(op.function, *operands, domain)
        if op.kind == SELECT:
            return select(op.function, *operands, domain)
        if op.kind == AGGREGATE:
            numerical = op.encoding == NUMERICAL
            return aggregate(*operands, domain, numerical=numerical, average=average)
        return selector_width(*operands, domain)
    except UndefinedError as undefined:
        row = int(np.argmax(undefined.where.reshape(-1, len(domain.codes)).any(axis=0)))
        raise UndefinedProgramError(
            f"{name} ({op.kind}) is undefined on the input {domain.input(row)}: "
            f"{undefined.reason}; restrict the inputs or change the op."
        ) from None


def behaviour_hash(output: SOpTable, domain: Domain) -> str:
    """Hash of an output table that does not depend on how numbers are written (1, True, 1.0)."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(domain.description.encode())
    digest.update("\0".join(_canonical_text(value) for value in output.values).encode())
    digest.update(output.columns.astype(unsigned(len(output.values))).tobytes())
    return digest.hexdigest()


def _canonical_text(value: Value) -> str:
    if isinstance(value, tuple):
        return f"({','.join(_canonical_text(item) for item in value)})"
    return format(float(value) + 0.0, ".9g") if is_number(value) else repr(value)  # -0.0 is 0
