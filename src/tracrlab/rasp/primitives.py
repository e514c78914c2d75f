"""The functions that Map, SequenceMap, LinearSequenceMap and Select take, with their constants.

A `Primitive` is a template such as ``x < c`` with a value for every constant in it. It is an
ordinary callable, so it can stand in any ``tracr.rasp`` object, and it is data: it has a text and
token form, it can be compared, and it is found again when a program comes back from Tracr.

The templates cover thesis Table 4.1, the operators that ``tracr.rasp`` overloads, and what the
programs of Tracr's library need.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from tracrlab.errors import TracrLabError
from tracrlab.rasp.values import Value, is_number, literal, parse_literal

MAP = "Map"
SEQUENCE_MAP = "SequenceMap"
LINEAR_SEQUENCE_MAP = "LinearSequenceMap"
SELECT = "Select"


def _append(x: Value, y: Value) -> tuple:
    """Tuples of growing length, as Tracr's make_nary_sequencemap builds them."""
    return (*x, y) if isinstance(x, tuple) else (x, y)


_COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "or": lambda x, y: x or y,
    "and": lambda x, y: x and y,
}


def _reversed(function: Callable) -> Callable:
    return lambda x, c: function(c, x)


def _map_templates() -> dict[str, Callable]:
    table: dict[str, Callable] = {"x": lambda x: x, "not x": operator.not_}
    table |= {f"x {symbol} c": f for symbol, f in (_COMPARISONS | _ARITHMETIC).items()}
    table |= {f"c {symbol} x": _reversed(f) for symbol, f in _ARITHMETIC.items()}
    table["x[0] + x[1] - x[2]"] = lambda x: x[0] + x[1] - x[2]
    table["x[0] * x[1] / x[2]"] = lambda x: x[0] * x[1] / x[2]
    return table


def _sequence_map_templates() -> dict[str, Callable]:
    table: dict[str, Callable] = {
        f"x {symbol} y": f for symbol, f in (_ARITHMETIC | _COMPARISONS).items()
    }
    table["min(x, y)"] = min
    table["max(x, y)"] = max
    table["x + y / c"] = lambda x, y, c: x + y / c
    table["(x, y)"] = _append
    return table


def _select_templates() -> dict[str, Callable]:
    table: dict[str, Callable] = {f"key {symbol} query": f for symbol, f in _COMPARISONS.items()}
    table["True"] = lambda key, query: True
    table["False"] = lambda key, query: False
    for symbol, f in _COMPARISONS.items():
        table[f"key {symbol} c"] = lambda key, query, c, f=f: f(key, c)
    table["query == key + c"] = lambda key, query, c: query == key + c
    return table


#: Every template, by the op that takes it. The order is fixed: token ids are made from it.
TEMPLATES: dict[str, dict[str, Callable[..., Any]]] = {
    MAP: _map_templates(),
    SEQUENCE_MAP: _sequence_map_templates(),
    LINEAR_SEQUENCE_MAP: {"a * x + b * y": lambda x, y, a, b: a * x + b * y},
    SELECT: _select_templates(),
}

#: SequenceMaps whose operands may be exchanged whatever the values are. ``x + y`` is not one of
#: them: it concatenates strings.
COMMUTATIVE = frozenset({"x * y", "x == y", "x != y", "min(x, y)", "max(x, y)"})

_CONSTANT = re.compile(r"\b[abc]\b")
_LITERAL = r"(\"(?:[^\"\\]|\\.)*\"|-?[0-9][0-9.eE+\-]*|True|False)"


@dataclass(frozen=True)
class Primitive:
    """A function of a RASP op: a template and its constants.

    Attributes:
      op: the op that takes it: Map, SequenceMap, LinearSequenceMap or Select.
      template: a key of ``TEMPLATES[op]``; ``a``, ``b`` and ``c`` in it are constants.
      constants: one value for each of these, in the order in which they are written.
    """

    op: str
    template: str
    constants: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES[self.op]:
            raise TracrLabError(_unknown(self.op, self.template))
        wanted = constant_count(self.template)
        if wanted != len(self.constants):
            raise TracrLabError(
                f"the {self.op} function {self.template!r} takes {wanted} constants, "
                f"not {len(self.constants)}."
            )
        for constant in self.constants:
            if not (isinstance(constant, str) or is_number(constant)):
                raise TracrLabError(
                    f"{constant!r} cannot be a constant of {self.template!r}; constants are finite "
                    "numbers, True, False and strings."
                )

    @cached_property
    def _function(self) -> Callable[..., Any]:
        return TEMPLATES[self.op][self.template]

    def __call__(self, *arguments: Value) -> Value:
        """Applies the function. A Select raises ValueError on None, as Tracr's Comparison does."""
        if self.op == SELECT and None in arguments:
            raise ValueError("a selector cannot compare None")
        return self._function(*arguments, *self.constants)

    @cached_property
    def text(self) -> str:
        """The template with its constants written in."""
        constants = iter(self.constants)
        return _CONSTANT.sub(lambda _: literal(next(constants)), self.template)

    def __str__(self) -> str:
        return self.text


@cache
def constant_count(template: str) -> int:
    """How many constants a template takes."""
    return len(_CONSTANT.findall(template))


@cache
def _pattern(template: str) -> re.Pattern:
    pieces = _CONSTANT.split(template)
    return re.compile(_LITERAL.join(re.escape(piece) for piece in pieces))


def parse_primitive(op: str, text: str) -> Primitive:
    """Reads a function as `Primitive.text` writes it, e.g. ``parse_primitive("Map", "x < 3")``.

    Raises:
      TracrLabError: if no template of `op` matches.
    """
    text = " ".join(text.split()) if '"' not in text else text.strip()
    for template in TEMPLATES[op]:
        match = _pattern(template).fullmatch(text)
        if match:
            return Primitive(op, template, tuple(parse_literal(item) for item in match.groups()))
    raise TracrLabError(_unknown(op, text))


def _unknown(op: str, text: str) -> str:
    known = ", ".join(f"`{template}`" for template in TEMPLATES[op])
    return f"{text!r} is not a function that {op} takes; it takes {known} (a, b and c: constants)."
