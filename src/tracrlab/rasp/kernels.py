"""Each op on whole tables: a call of its function for every value, and array look-ups."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.tables import SelectorTable, SOpTable, unsigned
from tracrlab.rasp.values import Value, distinct, is_number


class AveragedCategoriesError(TracrLabError):
    """A categorical Aggregate over several different values."""


class UndefinedError(Exception):
    """Carries the reason and the position from a kernel to where the op's name is known."""

    def __init__(self, reason: str, where: np.ndarray):
        self.reason = reason
        self.where = where


def _call(function: Callable, arguments: tuple, where: Callable[[], np.ndarray]) -> Value | None:
    """Applies a program's function; whatever it raises makes the program undefined there."""
    try:
        result = function(*arguments)
    except Exception as error:
        shown = ", ".join(map(repr, arguments))
        raise UndefinedError(f"its function fails on ({shown}) with {error}", where()) from None
    if result is None or isinstance(result, str | tuple) or is_number(result):
        return result
    shown = ", ".join(map(repr, arguments))
    raise UndefinedError(f"its function gives {result!r} on ({shown})", where())


def columns_mask(domain: Domain) -> np.ndarray:
    """Which positions hold a symbol, bool [positions, inputs]."""
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
    codes = look_up.astype(unsigned(none)).take(columns, mode="clip")
    nones = int(np.count_nonzero(codes == none) - (mask.size - np.count_nonzero(mask)))
    return values, codes, look_up[:-1], nones


def map_values(function: Callable, inner: SOpTable, domain: Domain) -> SOpTable:
    """Map: the function is called once for each value."""
    results = [
        _call(function, (value,), lambda code=code: inner.columns == code)
        for code, value in enumerate(inner.values)
    ]
    values, columns, mapping, nones = _tabulate(results, inner.columns, columns_mask(domain))
    return SOpTable(values, columns, nones, mapping)


def pair_codes(first: SOpTable, second: SOpTable) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of codes as one number each, and which pairs are reached.

    Returns:
      ``first * (len(second.values) + 1) + second``, unsigned [positions, inputs], and bool
      [values of the first, values of the second]; pairs with None are not among these.
    """
    width = len(second.values) + 1
    size = (len(first.values) + 1) * width
    dtype = unsigned(size)
    pairs = first.columns.astype(dtype) * dtype.type(width) + second.columns.astype(dtype)
    reached = np.zeros(size, dtype=bool)
    reached[pairs] = True
    return pairs, reached.reshape(-1, width)[:-1, :-1]


def map_pairs(function: Callable, first: SOpTable, second: SOpTable, domain: Domain) -> SOpTable:
    """SequenceMap: the function is called once for each pair of values that is reached."""
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
        results, number.take(pairs, mode="clip"), columns_mask(domain)
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


def select(predicate: Callable, keys: SOpTable, queries: SOpTable, domain: Domain) -> SelectorTable:
    """Select: the predicate is called once for each pair of values, None among them if reached."""
    # None stands behind the values where it is reached; padding never selects nor is selected.
    key_values = (*keys.values, None) if keys.nones else keys.values
    query_values = (*queries.values, None) if queries.nones else queries.values
    says, raised = predicate_table(predicate, key_values, query_values)
    width = len(keys.values) + 1
    look_up = np.zeros((len(queries.values) + 1, width), dtype=bool)
    look_up[: len(query_values), : len(key_values)] = says
    dtype = unsigned(look_up.size)
    rows = queries.columns.astype(dtype) * dtype.type(width)
    pairs = rows[None, :, :] + keys.columns.astype(dtype)[:, None, :]
    matrix = look_up.ravel().take(pairs, mode="clip")
    if keys.nones or queries.nones or raised.any():
        # Only here can padding be mistaken for None, or a failing pair be reached.
        mask = columns_mask(domain)
        valid = mask[:, None, :] & mask[None, :, :]
        matrix &= valid
        failing = np.zeros_like(look_up)
        failing[: len(query_values), : len(key_values)] = raised
        hit = failing.ravel().take(pairs, mode="clip") & valid
        if hit.any():
            raise UndefinedError("its predicate cannot compare the values", hit)
    if domain.causal:
        matrix &= np.tri(domain.max_seq_len, dtype=bool).T[:, :, None]
    selects_none = says[:, len(keys.values) :].any() or says[len(queries.values) :].any()
    return SelectorTable(
        matrix, says[: len(queries.values), : len(keys.values)], bool(selects_none)
    )


def selector_width(selector: SelectorTable, domain: Domain) -> SOpTable:
    """SelectorWidth: how many keys each query selects."""
    widths = tuple(range(domain.max_seq_len + 1))
    return compact(widths, selector.counts, columns_mask(domain))


def aggregate(
    selector: SelectorTable, operand: SOpTable, domain: Domain, *, numerical: bool, average: bool
) -> SOpTable:
    """Aggregate: the one selected value, the mean of several, or the default.

    Args:
      selector: what is selected.
      operand: the values.
      domain: the inputs.
      numerical: whether the default is 0 rather than None.
      average: whether a categorical op may average different values.
    """
    counts, none = selector.counts, len(operand.values)
    # The lowest and highest selected code, each as a maximum of masked codes.
    dtype = unsigned(none + 1)
    selected = selector.matrix.view(np.uint8).astype(dtype, copy=False)
    codes = operand.columns.astype(dtype, copy=False)[:, None, :]
    highest = (selected * (codes + dtype.type(1))).max(axis=0)
    lowest = dtype.type(none + 1) - (selected * (dtype.type(none + 1) - codes)).max(axis=0)
    several = counts > 1
    if operand.nones:
        several_with_none = (highest == none + 1) & several
        if several_with_none.any():
            raise UndefinedError("None would be averaged", several_with_none)
    mixed = several & (highest != lowest + dtype.type(1))
    if not mixed.any():
        # One value wherever something is selected; the default stands behind None.
        values: tuple = (*operand.values, None, 0 if numerical else None)
        columns = np.where(counts == 0, dtype.type(none + 1), lowest)
        return compact(values, columns, columns_mask(domain))
    if not operand.numeric:
        raise UndefinedError("values that are not numbers would be averaged", mixed)
    if not average and not numerical:
        raise AveragedCategoriesError("different categorical values would be averaged.")
    return _average(selector, operand, domain, numerical=numerical)


def _average(
    selector: SelectorTable, operand: SOpTable, domain: Domain, *, numerical: bool
) -> SOpTable:
    """The mean of the selected numbers, summed in the order of the keys."""
    counts, mask = selector.counts, columns_mask(domain)
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
    table = compact(values, np.where(defined, columns, len(values)), mask)
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


def compact(values: tuple[Value | None, ...], columns: np.ndarray, mask: np.ndarray) -> SOpTable:
    """Keeps the values that are reached, merged and in order, and makes padding None."""
    columns = np.where(mask, columns, len(values))
    reached = np.zeros(len(values) + 1, dtype=bool)
    reached[columns] = True
    results = [value if hit else None for value, hit in zip(values, reached, strict=False)]
    new_values, new_columns, _, nones = _tabulate(results, columns, mask)
    return SOpTable(new_values, new_columns, nones)
