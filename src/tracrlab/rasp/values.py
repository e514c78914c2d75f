"""RASP values: what they are, how they are ordered, and how they are written as text.

A value is a number, a bool, a string or a tuple of values. As in Tracr, values are told apart by
Python equality, so ``True``, ``1`` and ``1.0`` are one value. ``None`` is the absence of a value:
a position where nothing was selected, or where an operand was ``None``.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable

from tracrlab.errors import TracrLabError

Value = bool | int | float | str | tuple

#: Characters that end a line for ``str.splitlines``, or have no UTF-8 form.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def sort_key(value: Value) -> tuple:
    """Order of values in every basis and table: numbers by size, then strings, then tuples."""
    if isinstance(value, int | float):
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    return (2, tuple(sort_key(item) for item in value))


def distinct(values: Iterable[Value]) -> tuple[Value, ...]:
    """The distinct values in order. Where bools meet other numbers they are written as 0 and 1."""
    unique = dict.fromkeys(values)
    try:
        ordered = sorted(unique)  # numbers only, the usual case
    except TypeError:
        ordered = sorted(unique, key=sort_key)
    if any(isinstance(value, bool) for value in ordered) and not all(
        isinstance(value, bool) for value in ordered
    ):
        ordered = [int(value) if isinstance(value, bool) else value for value in ordered]
    return tuple(ordered)


def is_number(value: object) -> bool:
    """Whether a value can be encoded numerically (bools count as 0 and 1)."""
    return isinstance(value, int | float) and math.isfinite(value)


def literal(value: Value) -> str:
    """The text of a value, on one line: JSON for strings, ``repr`` for everything else."""
    if isinstance(value, str):
        return _UNSAFE.sub(_escape, json.dumps(value, ensure_ascii=False))
    if isinstance(value, tuple):
        return f"({', '.join(literal(item) for item in value)}{',' if len(value) == 1 else ''})"
    return repr(value)


def _escape(match: re.Match) -> str:
    return f"\\u{ord(match[0]):04x}"


def parse_literal(text: str) -> Value:
    """The inverse of `literal`.

    Raises:
      TracrLabError: if `text` is not a finite number, True, False, a double-quoted string or a
        tuple of these.
    """
    text = text.strip()
    try:
        value = json.loads(text) if text.startswith('"') else ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        value = None
    if isinstance(value, str | int | tuple) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise TracrLabError(
        f"{text!r} is not a constant; write a number, True, False or a double-quoted string."
    )
