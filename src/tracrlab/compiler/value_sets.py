"""What values each op takes: from truth tables where the domain is enumerated, inferred elsewhere.

Inference gives a superset of the values that are reached, so a program compiled from it is right on
every input. It is the second step of Tracr's compiler, mended: a numerical Aggregate takes every
mean of up to `max_seq_len` values, not only v/n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracrlab.compiler.architecture import Limits, ModelTooLargeError
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.kernels import predicate_table
from tracrlab.rasp.primitives import LINEAR_SEQUENCE_MAP, MAP, SELECT, SEQUENCE_MAP
from tracrlab.rasp.program import AGGREGATE, CATEGORICAL, FIRST_OP, NUMERICAL, Program
from tracrlab.rasp.tables import SelectorTable
from tracrlab.rasp.truth_table import TruthTable
from tracrlab.rasp.values import Value, distinct, is_number

#: More values or combinations of values than this are not inferred.
MAX_COMBINATIONS = 4_000_000


@dataclass(frozen=True, eq=False)
class ValueSet:
    """The values of a sequence op.

    Attributes:
      values: in order.
      mapping: code of the result by the operands' codes, as in `SOpTable.mapping`; results of None
        have code ``len(values)``, combinations that do not occur -1.
    """

    values: tuple[Value, ...]
    mapping: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class PredicateSet:
    """A selector's predicate on all pairs of values, bool [query values, key values]."""

    predicate: np.ndarray


def value_sets(table: TruthTable, limits: Limits) -> list[ValueSet | PredicateSet]:
    """One for each operand number of the program: tokens, indices, then the ops.

    Raises:
      ModelTooLargeError: as soon as an op alone passes the limits.
      TracrLabError: if there are more combinations of values than can be inferred.
    """
    if table.domain.exhaustive:
        return [
            PredicateSet(entry.predicate)
            if isinstance(entry, SelectorTable)
            else ValueSet(entry.values, entry.mapping)
            for entry in table.tables
        ]
    return _infer(table.program, table.domain, limits)


def _infer(program: Program, domain: Domain, limits: Limits) -> list[ValueSet | PredicateSet]:
    length = domain.max_seq_len
    sets: list[ValueSet | PredicateSet] = [
        ValueSet(domain.vocab),
        ValueSet(tuple(range(length))),
    ]
    # A numerical Aggregate's values as (sum, count): those of one selector share their counts.
    fractions: dict[int, tuple[int, list[np.ndarray]]] = {}
    for number, (op, name) in enumerate(zip(program.ops, program.names, strict=True)):
        operands = [sets[ref] for ref in op.operands]
        if op.kind == SELECT:
            keys, queries = operands
            _check_count(len(keys.values) * len(queries.values), name)
            says, _ = predicate_table(op.function, keys.values, queries.values)
            sets.append(PredicateSet(says))
        elif op.kind == MAP:
            sets.append(_tabulate(op.function, [operands[0].values]))
        elif op.kind == LINEAR_SEQUENCE_MAP:
            both = [fractions.get(ref) for ref in op.operands]
            if all(both) and both[0][0] == both[1][0]:
                first, second = op.function.constants
                sets.append(_combined_fractions(both[0][1], both[1][1], first, second, name))
            else:
                _check_count(len(operands[0].values) * len(operands[1].values), name)
                x, y = np.meshgrid(*(np.array(entry.values) for entry in operands))
                first, second = op.function.constants
                sets.append(_numbers(first * x + second * y))
        elif op.kind == SEQUENCE_MAP:
            columns = [entry.values for entry in operands]
            _check_count(len(columns[0]) * len(columns[1]), name)
            sets.append(_tabulate(op.function, columns))
        elif op.kind == AGGREGATE:
            if op.encoding == NUMERICAL:
                sums = _sums(operands[1].values, length, name)
                fractions[number + FIRST_OP] = (op.operands[0], sums)
                means = [total / count for count, total in enumerate(sums, start=1)]
                sets.append(_numbers(np.concatenate([*means, [0]])))
            else:
                sets.append(ValueSet(operands[1].values))
        else:
            sets.append(ValueSet(tuple(range(length + 1))))
        if op.encoding == CATEGORICAL and len(sets[-1].values) > limits.d_model:
            raise ModelTooLargeError(
                f"the model would be too large: {name} has {len(sets[-1].values):,} values, one "
                f"residual direction each, and the limit is {limits.d_model:,}; shorten the "
                "program or raise the limit."
            )
    return sets


def _check_count(count: int, name: str) -> None:
    if count > MAX_COMBINATIONS:
        raise TracrLabError(
            f"{name} has {count:,} combinations of operand values, more than the "
            f"{MAX_COMBINATIONS:,} that can be compiled; shorten the inputs."
        )


def _tabulate(function, columns: Sequence[tuple[Value, ...]]) -> ValueSet:
    """A function on all combinations of values; where it fails, the combination does not occur."""
    shape = tuple(len(column) for column in columns)
    results: list[Value | None] = []
    failed: list[int] = []
    for flat, index in enumerate(np.ndindex(shape)):
        try:
            result = function(*(column[i] for column, i in zip(columns, index, strict=True)))
            if not (result is None or isinstance(result, str | tuple) or is_number(result)):
                raise ValueError(result)
            results.append(result)
        except Exception:
            results.append(None)
            failed.append(flat)
    values = distinct(result for result in results if result is not None)
    code_of = {value: code for code, value in enumerate(values)}
    mapping = np.array([code_of.get(result, len(values)) for result in results], dtype=np.int64)
    mapping[failed] = -1
    return ValueSet(values, mapping.reshape(shape))


def _numbers(values: np.ndarray) -> ValueSet:
    return ValueSet(tuple(np.unique(values).tolist()))


def _sums(values: Sequence[Value], length: int, name: str) -> list[np.ndarray]:
    """The sums of 1, 2, ..., `length` of the values, one array for each count."""
    single = np.unique(np.array(values, dtype=np.float64))
    sums = [single]
    for _ in range(length - 1):
        _check_count(len(sums[-1]) * len(single), name)
        sums.append(np.unique(sums[-1][:, None] + single))
    return sums


def _combined_fractions(
    first_sums: Sequence[np.ndarray],
    second_sums: Sequence[np.ndarray],
    first_factor: float,
    second_factor: float,
    name: str,
) -> ValueSet:
    """a * s/n + b * t/n for two means over the same n positions, and 0 where there are none."""
    _check_count(
        sum(len(s) * len(t) for s, t in zip(first_sums, second_sums, strict=True)),
        name,
    )
    values = [np.zeros(1)]
    for count, (s, t) in enumerate(zip(first_sums, second_sums, strict=True), start=1):
        values.append(
            np.unique(first_factor * (s[:, None] / count) + second_factor * (t / count)).ravel()
        )
    return _numbers(np.concatenate(values))
