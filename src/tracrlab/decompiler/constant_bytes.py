"""Which byte may come next in a spelled constant: a finite automaton over bytes.

It accepts the numbers that ``repr`` writes and JSON strings in valid UTF-8, a part of what
`tracrlab.rasp.values.parse_literal` reads. Every number it accepts is finite: at most
`MAX_BYTES` digits and a positive exponent of two digits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Bytes of the longest spelled constant.
MAX_BYTES = 48

_DIGITS = range(0x30, 0x3A)
_TAIL = range(0x80, 0xC0)


def _chars(text: str) -> list[int]:
    return [ord(character) for character in text]


def _numbers() -> list[tuple[str, list[int] | range, str]]:
    exponent = _chars("eE")
    arcs = [("start", _chars("-"), "minus")]
    for state in ("start", "minus"):
        arcs += [(state, _chars("0"), "zero"), (state, _chars("123456789"), "whole")]
    for state in ("zero", "whole", "fraction"):
        arcs.append((state, exponent, "exponent"))
    arcs += [
        ("whole", _DIGITS, "whole"),
        ("zero", _chars("."), "point"),
        ("whole", _chars("."), "point"),
        ("point", _DIGITS, "fraction"),
        ("fraction", _DIGITS, "fraction"),
        ("exponent", _chars("-"), "small"),
        ("exponent", _chars("+"), "large"),
        ("small", _DIGITS, "small1"),
        ("small1", _DIGITS, "small2"),
        ("small2", _DIGITS, "small3"),
        ("large", _DIGITS, "large1"),
        ("large1", _DIGITS, "large2"),
    ]
    return arcs


def _strings() -> list[tuple[str, list[int] | range, str]]:
    plain = [byte for byte in range(0x20, 0x80) if byte not in _chars('"\\')]
    arcs = [
        ("start", _chars('"'), "string"),
        ("string", plain, "string"),
        ("string", _chars('"'), "closed"),
        ("string", _chars("\\"), "escape"),
        ("escape", _chars('"\\/bfnrt'), "string"),
        ("escape", _chars("u"), "hex1"),
    ]
    for number in range(1, 5):
        after = f"hex{number + 1}" if number < 4 else "string"
        arcs.append((f"hex{number}", _chars("0123456789abcdefABCDEF"), after))
    # UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
    arcs += [
        ("string", range(0xC2, 0xE0), "tail1"),
        ("string", [0xE0], "after_e0"),
        ("string", [*range(0xE1, 0xED), 0xEE, 0xEF], "tail2"),
        ("string", [0xED], "after_ed"),
        ("string", [0xF0], "after_f0"),
        ("string", range(0xF1, 0xF4), "tail3"),
        ("string", [0xF4], "after_f4"),
        ("tail1", _TAIL, "string"),
        ("tail2", _TAIL, "tail1"),
        ("tail3", _TAIL, "tail2"),
        ("after_e0", range(0xA0, 0xC0), "tail1"),
        ("after_ed", range(0x80, 0xA0), "tail1"),
        ("after_f0", range(0x90, 0xC0), "tail2"),
        ("after_f4", range(0x80, 0x90), "tail2"),
    ]
    return arcs


_ACCEPTING = {"zero", "whole", "fraction", "small1", "small2", "small3"}
_ACCEPTING |= {"large1", "large2", "closed"}


class ByteAutomaton:
    """The automaton as tables; state 0 is the start.

    Attributes:
      next: the state after a byte, int64 [states, 256]; -1 where the byte may not come.
      accepting: whether the constant may end, bool [states].
      distance: fewest bytes from a state to one where it may end, int64 [states].
    """

    def __init__(self, *, strings: bool):
        arcs = _numbers() + (_strings() if strings else [])
        names = list(dict.fromkeys(["start", *(name for a, _, b in arcs for name in (a, b))]))
        number = {name: place for place, name in enumerate(names)}
        self.next = np.full((len(names), 256), -1, dtype=np.int64)
        for source, symbols, target in arcs:
            self.next[number[source], list(symbols)] = number[target]
        self.accepting = np.array([name in _ACCEPTING for name in names])
        self.distance = np.where(self.accepting, 0, MAX_BYTES + 1)
        for _ in names:
            beyond = np.where(self.next >= 0, self.distance[self.next], MAX_BYTES + 1)
            self.distance = np.minimum(self.distance, 1 + beyond.min(axis=1))

    def allowed(self, states: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Which bytes may come next, bool [rows, 256], for states and bytes so far [rows]."""
        after = self.next[states]
        room = MAX_BYTES - 1 - lengths
        return (after >= 0) & (self.distance[after] <= room[:, None])


@lru_cache(maxsize=2)
def byte_automaton(strings: bool) -> ByteAutomaton:
    """The automaton of numbers, or of numbers and strings."""
    return ByteAutomaton(strings=strings)
