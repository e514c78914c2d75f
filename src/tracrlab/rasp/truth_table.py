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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.primitives import LINEAR_SEQUENCE_MAP, MAP, SELECT, SEQUENCE_MAP
from tracrlab.rasp.program import AGGREGATE, NUMERICAL, Op, Program
from tracrlab.rasp.values import Value, distinct, is_number


class UndefinedProgramError(TracrLabError):
    """A program that cannot be evaluated on some input of its domain."""


class AveragedCategoriesError(TracrLabError):
    """A categorical Aggregate over several different values."""


class _Undefined(Exception):
    """Carries the reason and the position from a kernel to where the op's name is known."""

    def __init__(self, reason: str, where: np.ndarray):
        self.reason = reason
        self.where = where


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
        return self.matrix.view(np.uint8).sum(axis=0, dtype=_unsigned(len(self.matrix)))

    @cached_property
    def fingerprint(self) -> tuple:
        """Equal for equal tables over one domain, within one process."""
        return ("selector", hash(np.packbits(self.matrix).tobytes()))


Table = SOpTable | SelectorTable


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
    tokens = _compact(domain.vocab, np.ascontiguousarray(domain.codes.T), mask)
    positions = np.broadcast_to(np.arange(domain.max_seq_len)[:, None], mask.shape)
    return tokens, _compact(tuple(range(domain.max_seq_len)), positions, mask)


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
            return _map(op.function, *operands, domain)
        if op.kind in (SEQUENCE_MAP, LINEAR_SEQUENCE_MAP):
            return _sequence_map(op.function, *operands, domain)
        if op.kind == SELECT:
            return _select(op.function, *operands, domain)
        if op.kind == AGGREGATE:
            numerical = op.encoding == NUMERICAL
            return _aggregate(*operands, domain, numerical=numerical, average=average)
        return _selector_width(*operands, domain)
    except _Undefined as undefined:
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
    digest.update(output.columns.astype(_unsigned(len(output.values))).tobytes())
    return digest.hexdigest()


def _canonical_text(value: Value) -> str:
    if isinstance(value, tuple):
        return f"({','.join(_canonical_text(item) for item in value)})"
    return format(float(value) + 0.0, ".9g") if is_number(value) else repr(value)  # -0.0 is 0


def _call(function: Callable, arguments: tuple, where: Callable[[], np.ndarray]) -> Value | None:
    """Applies a program's function; whatever it raises makes the program undefined there."""
    try:
        result = function(*arguments)
    except Exception as error:
        shown = ", ".join(map(repr, arguments))
        raise _Undefined(f"its function fails on ({shown}) with {error}", where()) from None
    if result is None or isinstance(result, str | tuple) or is_number(result):
        return result
    shown = ", ".join(map(repr, arguments))
    raise _Undefined(f"its function gives {result!r} on ({shown})", where())


def _unsigned(largest: int) -> np.dtype:
    """The smallest unsigned type that holds a number."""
    return np.min_scalar_type(largest)


def _columns_mask(domain: Domain) -> np.ndarray:
    return domain.mask.T


def _tabulate(
    results: Sequence[Value | None], columns: np.ndarray, mask: np.ndarray
) -> tuple[tuple[Value, ...], np.ndarray, np.ndarray, int]:
    """Turns results by combination and a combination at every position into a table's fields.

    `columns` must be ``len(results)`` at padding and wherever an operand is None.
    """
    values = distinct(result for result in results if result is not None)
    code_of = {value: code for code, value in enumerate(values)}
    none = len(values)
    look_up = np.array([*(code_of.get(result, none) for result in results), none])
    codes = look_up.astype(_unsigned(none)).take(columns, mode="clip")
    nones = int(np.count_nonzero(codes == none) - (mask.size - np.count_nonzero(mask)))
    return values, codes, look_up[:-1], nones


def _map(function: Callable, inner: SOpTable, domain: Domain) -> SOpTable:
    results = [
        _call(function, (value,), lambda code=code: inner.columns == code)
        for code, value in enumerate(inner.values)
    ]
    values, columns, mapping, nones = _tabulate(results, inner.columns, _columns_mask(domain))
    return SOpTable(values, columns, nones, mapping)


def pair_codes(first: SOpTable, second: SOpTable) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of codes as one number each, and which pairs are reached.

    Returns:
      ``first * (len(second.values) + 1) + second``, unsigned [positions, inputs], and bool
      [values of the first, values of the second]; pairs with None are not among these.
    """
    width = len(second.values) + 1
    size = (len(first.values) + 1) * width
    dtype = _unsigned(size)
    pairs = first.columns.astype(dtype) * dtype.type(width) + second.columns.astype(dtype)
    reached = np.zeros(size, dtype=bool)
    reached[pairs] = True
    return pairs, reached.reshape(-1, width)[:-1, :-1]


def _sequence_map(
    function: Callable, first: SOpTable, second: SOpTable, domain: Domain
) -> SOpTable:
    pairs, reached = pair_codes(first, second)
    width = len(second.values) + 1
    combinations = np.argwhere(reached)
    results = [
        _call(
            function,
            (first.values[i], second.values[j]),
            lambda pair=i * width + j: pairs == pair,
        )
        for i, j in combinations.tolist()
    ]
    number = np.full((len(first.values) + 1) * width, len(results), dtype=np.int64)
    number[combinations[:, 0] * width + combinations[:, 1]] = np.arange(len(results))
    values, columns, by_pair, nones = _tabulate(
        results, number.take(pairs, mode="clip"), _columns_mask(domain)
    )
    mapping = np.full(reached.shape, -1, dtype=np.int64)
    mapping[reached] = by_pair
    return SOpTable(values, columns, nones, mapping)


def predicate_table(
    predicate: Callable, keys: Sequence[Value | None], queries: Sequence[Value | None]
) -> tuple[np.ndarray, np.ndarray]:
    """A predicate on all pairs of values.

    Returns:
      what it says, bool [queries, keys], and where it raised an error, of the same shape.
    """
    says = np.zeros((len(queries), len(keys)), dtype=bool)
    raised = np.zeros_like(says)
    for i, query in enumerate(queries):
        for j, key in enumerate(keys):
            try:
                says[i, j] = bool(predicate(key, query))
            except Exception:
                raised[i, j] = True
    return says, raised


def _select(
    predicate: Callable, keys: SOpTable, queries: SOpTable, domain: Domain
) -> SelectorTable:
    # None stands behind the values where it is reached; padding never selects nor is selected.
    key_values = (*keys.values, None) if keys.nones else keys.values
    query_values = (*queries.values, None) if queries.nones else queries.values
    says, raised = predicate_table(predicate, key_values, query_values)
    width = len(keys.values) + 1
    look_up = np.zeros((len(queries.values) + 1, width), dtype=bool)
    look_up[: len(query_values), : len(key_values)] = says
    dtype = _unsigned(look_up.size)
    rows = queries.columns.astype(dtype) * dtype.type(width)
    pairs = rows[None, :, :] + keys.columns.astype(dtype)[:, None, :]
    matrix = look_up.ravel().take(pairs, mode="clip")
    if keys.nones or queries.nones or raised.any():
        # Only here can padding be mistaken for None, or a failing pair be reached.
        mask = _columns_mask(domain)
        valid = mask[:, None, :] & mask[None, :, :]
        matrix &= valid
        failing = np.zeros_like(look_up)
        failing[: len(query_values), : len(key_values)] = raised
        hit = failing.ravel().take(pairs, mode="clip") & valid
        if hit.any():
            raise _Undefined("its predicate cannot compare the values", hit)
    if domain.causal:
        matrix &= np.tri(domain.max_seq_len, dtype=bool).T[:, :, None]
    selects_none = says[:, len(keys.values) :].any() or says[len(queries.values) :].any()
    return SelectorTable(
        matrix, says[: len(queries.values), : len(keys.values)], bool(selects_none)
    )


def _selector_width(selector: SelectorTable, domain: Domain) -> SOpTable:
    widths = tuple(range(domain.max_seq_len + 1))
    return _compact(widths, selector.counts, _columns_mask(domain))


def _aggregate(
    selector: SelectorTable, operand: SOpTable, domain: Domain, *, numerical: bool, average: bool
) -> SOpTable:
    counts, none = selector.counts, len(operand.values)
    # The lowest and highest selected code, each as a maximum of masked codes.
    dtype = _unsigned(none + 1)
    selected = selector.matrix.view(np.uint8).astype(dtype, copy=False)
    codes = operand.columns.astype(dtype, copy=False)[:, None, :]
    highest = (selected * (codes + dtype.type(1))).max(axis=0)
    lowest = dtype.type(none + 1) - (selected * (dtype.type(none + 1) - codes)).max(axis=0)
    several = counts > 1
    if operand.nones:
        several_with_none = (highest == none + 1) & several
        if several_with_none.any():
            raise _Undefined("None would be averaged", several_with_none)
    mixed = several & (highest != lowest + dtype.type(1))
    if not mixed.any():
        # One value wherever something is selected; the default stands behind None.
        values: tuple = (*operand.values, None, 0 if numerical else None)
        columns = np.where(counts == 0, dtype.type(none + 1), lowest)
        return _compact(values, columns, _columns_mask(domain))
    if not operand.numeric:
        raise _Undefined("values that are not numbers would be averaged", mixed)
    if not average and not numerical:
        raise AveragedCategoriesError("different categorical values would be averaged.")
    return _average(selector, operand, domain, numerical=numerical)


def _average(
    selector: SelectorTable, operand: SOpTable, domain: Domain, *, numerical: bool
) -> SOpTable:
    """The mean of the selected numbers, summed in the order of the keys."""
    counts, mask = selector.counts, _columns_mask(domain)
    integral = all(isinstance(value, int) for value in operand.values)
    numbers = np.array([*operand.values, 0], dtype=np.int32 if integral else np.float64)
    if integral and np.abs(numbers).max() > np.iinfo(np.int32).max // domain.max_seq_len:
        numbers = np.array([*operand.values, 0], dtype=np.int64)
    selected = selector.matrix.view(np.uint8)
    total = np.zeros(counts.shape, dtype=numbers.dtype)
    for chosen, column in zip(selected, numbers.take(operand.columns, mode="clip"), strict=True):
        total += chosen * column
    defined = mask if numerical else mask & (counts > 0)
    if operand.nones:
        none_selected = selector.matrix & (operand.columns == len(operand.values))[:, None, :]
        defined = defined & ~none_selected.any(axis=0)
    if integral:
        values, columns = _quotients(total, counts, defined)
    else:
        means = np.where(defined, total / np.maximum(counts, 1), 0)
        means, inverse = np.unique(means, return_inverse=True)
        values, columns = tuple(means.tolist()), inverse.reshape(counts.shape)
    table = _compact(values, np.where(defined, columns, len(values)), mask)
    return SOpTable(table.values, table.columns, table.nones, averages=True)


def _quotients(
    total: np.ndarray, counts: np.ndarray, defined: np.ndarray
) -> tuple[tuple[Value, ...], np.ndarray]:
    """Integer totals over counts, as distinct values and codes."""
    lowest = int(total.min())
    base = int(counts.max()) + 1
    combined = (total - lowest).astype(np.int64) * base + counts
    reached = np.zeros((int(total.max()) - lowest + 1) * base, dtype=bool)
    reached[combined[defined]] = True
    combinations = np.flatnonzero(reached)
    quotients = []
    for combination in combinations.tolist():
        numerator, count = combination // base + lowest, combination % base
        quotients.append(numerator / count if count > 1 else numerator)
    values = distinct(quotients)
    code_of = {value: code for code, value in enumerate(values)}
    look_up = np.zeros(len(reached), dtype=np.int64)
    look_up[combinations] = [code_of[quotient] for quotient in quotients]
    return values, look_up[combined]


def _compact(values: tuple[Value | None, ...], columns: np.ndarray, mask: np.ndarray) -> SOpTable:
    """Keeps the values that are reached, merged and in order, and makes padding None."""
    columns = np.where(mask, columns, len(values))
    reached = np.zeros(len(values) + 1, dtype=bool)
    reached[columns] = True
    results = [value if hit else None for value, hit in zip(values, reached, strict=False)]
    new_values, new_columns, _, nones = _tabulate(results, columns, mask)
    return SOpTable(new_values, new_columns, nones)
