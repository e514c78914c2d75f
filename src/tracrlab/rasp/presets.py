"""What the sampler draws from: kinds of ops, functions and constants.

Functions are canonical: of all functions of a preset that give the same results on the values that
are reached (``x < 2`` and ``x <= 1`` on integers), the first in the preset's order is taken. What
cannot be told from weights is thus never asked of a decompiler.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.rasp.primitives import (
    LINEAR_SEQUENCE_MAP,
    MAP,
    SELECT,
    SEQUENCE_MAP,
    Primitive,
    constant_count,
)
from tracrlab.rasp.program import AGGREGATE, SELECTOR_WIDTH
from tracrlab.rasp.values import Value, is_number

#: At most this many constants are tried for one operand.
MAX_CONSTANTS = 16


@dataclass(frozen=True)
class Preset:
    """A distribution over programs.

    Attributes:
      kinds: relative weight of each kind of op.
      maps, sequence_maps, predicates: function templates, drawn uniformly; earlier ones are
        preferred where two give the same results.
      factors: factors of LinearSequenceMap.
      numerical: share of Map and SelectorWidth outputs that are encoded numerically.
      noise: share of Map constants that are moved by a half or one.
    """

    kinds: tuple[tuple[str, float], ...]
    maps: tuple[str, ...]
    sequence_maps: tuple[str, ...]
    predicates: tuple[str, ...]
    factors: tuple[tuple[int, int], ...]
    numerical: float
    noise: float


PRESETS: dict[str, Preset] = {
    "default": Preset(
        kinds=(
            (MAP, 3),
            (SEQUENCE_MAP, 2),
            (LINEAR_SEQUENCE_MAP, 1),
            (SELECT, 3),
            (AGGREGATE, 3),
            (SELECTOR_WIDTH, 2),
        ),
        maps=(
            "x",
            "not x",
            "x == c",
            "x != c",
            "x < c",
            "x <= c",
            "x > c",
            "x >= c",
            "x + c",
            "x - c",
            "c - x",
            "x * c",
            "x or c",
            "x and c",
        ),
        sequence_maps=(
            "x + y",
            "x * y",
            "max(x, y)",
            "min(x, y)",
            "x == y",
            "x != y",
            "x - y",
            "x < y",
            "x <= y",
            "x or y",
            "x and y",
        ),
        predicates=(
            "key == query",
            "key != query",
            "key < query",
            "key <= query",
            "key > query",
            "key >= query",
            "True",
            "key == c",
            "key != c",
        ),
        factors=((1, 1), (1, -1)),
        numerical=0.35,
        noise=0.0,
    ),
    # Thesis section 4 and Table 4.1: five ops, equally often; constants from the operand's own
    # values, now and then moved.
    "thesis": Preset(
        kinds=((MAP, 1), (SEQUENCE_MAP, 1), (SELECT, 1), (AGGREGATE, 1), (SELECTOR_WIDTH, 1)),
        maps=(
            "x",
            "not x",
            "x == c",
            "x != c",
            "x < c",
            "x <= c",
            "x > c",
            "x >= c",
            "x + c",
            "x - c",
            "x * c",
            "x or c",
            "x and c",
        ),
        sequence_maps=("x + y", "x * y", "x - y", "x or y", "x and y"),
        predicates=(
            "key == query",
            "key != query",
            "key < query",
            "key <= query",
            "key > query",
            "key >= query",
            "True",
            "False",
        ),
        factors=(),
        numerical=0.35,
        noise=0.1,
    ),
}


def preset(name: str) -> Preset:
    """A preset by name.

    Raises:
      TracrLabError: if there is none of this name.
    """
    if name not in PRESETS:
        raise TracrLabError(f"{name!r} is not a sampler preset; they are {', '.join(PRESETS)}.")
    return PRESETS[name]


@dataclass(frozen=True)
class Menu:
    """The functions that can be drawn for given operand values.

    Attributes:
      drawn: functions by template, then by constant; each entry is the canonical function, or None
        where the result is constant or an error.
    """

    drawn: tuple[tuple[Primitive | None, ...], ...]


def constants(values: Sequence[Value], *, noise: bool = False) -> tuple[Value, ...]:
    """Constants that a function of these values may have: those that are multiples of a half.

    Where fewer than two are (means, say), all halves between them; `noise` moves each.
    """
    numbers = [value for value in values if is_number(value)]
    if not numbers:
        return tuple(values)[:MAX_CONSTANTS]
    halves = {float(2 * value) for value in numbers if float(2 * value).is_integer()}
    if noise:
        halves = {half + step for half in halves for step in (-2, -1, 1, 2)}
    elif len(halves) < 2:
        lowest, highest = math.ceil(2 * min(numbers)), math.floor(2 * max(numbers))
        halves |= {float(half) for half in range(lowest, min(highest, lowest + MAX_CONSTANTS) + 1)}
    chosen = [half / 2 for half in sorted(halves)]
    if len(chosen) > MAX_CONSTANTS:
        steps = np.linspace(0, len(chosen) - 1, MAX_CONSTANTS).round().astype(int)
        chosen = [chosen[step] for step in steps]
    return tuple(int(number) if number.is_integer() else number for number in chosen)


@lru_cache(maxsize=4096)
def map_menu(templates: tuple[str, ...], values: tuple[Value, ...], noise: bool) -> Menu:
    """Functions of one variable."""
    return _menu(MAP, templates, (values,), constants(values, noise=noise))


@lru_cache(maxsize=4096)
def predicate_menu(
    templates: tuple[str, ...], keys: tuple[Value, ...], queries: tuple[Value, ...]
) -> Menu:
    """Predicates on all pairs of a key and a query value."""
    columns = (keys * len(queries), tuple(q for q in queries for _ in keys))
    return _menu(SELECT, templates, columns, constants(keys))


@lru_cache(maxsize=4096)
def pair_menu(templates: tuple[str, ...], pairs: tuple[tuple[Value, Value], ...]) -> Menu:
    """Functions of two variables on the pairs that are reached."""
    columns = tuple(zip(*pairs, strict=True))
    return _menu(SEQUENCE_MAP, templates, columns, ())


def _menu(
    op: str,
    templates: tuple[str, ...],
    columns: tuple[tuple[Value, ...], ...],
    choices: tuple[Value, ...],
) -> Menu:
    numeric = all(is_number(value) for column in columns for value in column)
    arrays = [np.array(column, dtype=np.float64) for column in columns] if numeric else []
    canonical: dict[tuple | bytes, Primitive] = {}
    drawn = []
    for template in templates:
        row: list[Primitive | None] = []
        for arguments in _constant_tuples(template, choices):
            function = Primitive(op, template, arguments)
            if template in ARRAY_FUNCTIONS and numeric and all(map(is_number, arguments)):
                results = _results_on_arrays(template, arrays, arguments)
            else:
                results = _results(function, columns)
            # A Select that selects everything is worth having; its table is not that of an s-op.
            if results is None and template == "True":
                results = (True,)
            row.append(None if results is None else canonical.setdefault(results, function))
        drawn.append(tuple(row))
    return Menu(tuple(drawn))


def _constant_tuples(template: str, choices: tuple[Value, ...]) -> list[tuple[Value, ...]]:
    return [(choice,) for choice in choices] if constant_count(template) else [()]


def _results(function: Callable, columns: tuple[tuple[Value, ...], ...]) -> tuple | None:
    """Results on each row of arguments; None where the function fails on one or is constant."""
    try:
        results = tuple(function(*arguments) for arguments in zip(*columns, strict=True))
    except (ArithmeticError, TypeError, ValueError):
        return None
    if None in results or len(set(results)) < 2:
        return None
    return results


def _results_on_arrays(
    template: str, arrays: list[np.ndarray], arguments: tuple[Value, ...]
) -> bytes | None:
    """As `_results`, on numbers; the results' bytes stand for them."""
    results = ARRAY_FUNCTIONS[template](*arrays, *arguments).astype(np.float64)
    if not np.isfinite(results).all() or (results == results[0]).all():
        return None
    return (results + 0.0).tobytes()  # one zero


_BINARY_ON_ARRAYS: dict[str, Callable[..., np.ndarray]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "or": lambda x, y: np.where(x != 0, x, y),
    "and": lambda x, y: np.where(x != 0, y, x),
}

#: What templates give on arrays of numbers; the same as the functions themselves (a test sees to
#: it), many times faster.
ARRAY_FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "x": lambda x: x,
    "not x": lambda x: x == 0,
    "c - x": lambda x, c: c - x,
    "max(x, y)": np.maximum,
    "min(x, y)": np.minimum,
    **{f"x {symbol} c": f for symbol, f in _BINARY_ON_ARRAYS.items()},
    **{f"x {symbol} y": f for symbol, f in _BINARY_ON_ARRAYS.items()},
    **{f"key {symbol} query": f for symbol, f in _BINARY_ON_ARRAYS.items()},
    "key == c": lambda key, query, c: key == c,
    "key != c": lambda key, query, c: key != c,
}
