"""RASP programs as immutable, executable values in canonical form.

A program is a tuple of ops. An op refers to its operands by number: 0 is ``tokens``, 1 is
``indices`` and ``i + 2`` is the program's i-th op. The last op is the output.

Canonical form depends on the computation graph alone. Ops that nothing leads to the output from
are left out, equal sub-graphs are one op, and ops are ordered by depth and then by a structural key
(kind, operands, function, encoding). The operands of functions that are commutative for every value
are ordered; all others stay where they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from tracrlab.errors import TracrLabError
from tracrlab.rasp.primitives import (
    COMMUTATIVE,
    LINEAR_SEQUENCE_MAP,
    MAP,
    SELECT,
    SEQUENCE_MAP,
    Primitive,
)

AGGREGATE = "Aggregate"
SELECTOR_WIDTH = "SelectorWidth"
KINDS = (MAP, SEQUENCE_MAP, LINEAR_SEQUENCE_MAP, SELECT, AGGREGATE, SELECTOR_WIDTH)
ARITY = {
    MAP: 1,
    SEQUENCE_MAP: 2,
    LINEAR_SEQUENCE_MAP: 2,
    SELECT: 2,
    AGGREGATE: 2,
    SELECTOR_WIDTH: 1,
}

CATEGORICAL = "categorical"
NUMERICAL = "numerical"

TOKENS = 0
INDICES = 1
INPUTS = ("tokens", "indices")
FIRST_OP = len(INPUTS)

Function = Primitive | Callable

_NOT_IN_NAMES = re.compile(r"^[\W\d]|[^\w.()+\-]")


class Op(NamedTuple):
    """One RASP op.

    Attributes:
      kind: one of `KINDS`.
      operands: numbers of the operands, in Tracr's order: (inner), (fst, snd), (keys, queries),
        (selector, sop), (selector).
      function: a `Primitive`, or any callable for a program that came from ``tracr.rasp``; None
        for Aggregate and SelectorWidth.
      encoding: how the output lies in the residual stream; None for Select, which has none.
    """

    kind: str
    operands: tuple[int, ...]
    function: Function | None = None
    encoding: str | None = CATEGORICAL

    @property
    def is_selector(self) -> bool:
        return self.kind == SELECT


def function_key(function: Function | None) -> str:
    """A text that is equal for equal functions; opaque callables are told apart by identity."""
    if function is None:
        return ""
    if isinstance(function, Primitive):
        return function.text
    return f"<{getattr(function, '__qualname__', 'function')} {id(function):#x}>"


@dataclass(frozen=True, eq=False)
class Program:
    """An executable RASP program in canonical form; build it with `Program.of`.

    Attributes:
      ops: the ops in canonical order.
      names: a name for every op, for people; not part of the program's identity.
    """

    ops: tuple[Op, ...]
    names: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, ops: Sequence[Op], names: Sequence[str | None] | None = None) -> Program:
        """Brings ops, the output last and operands before their users, into canonical form.

        Raises:
          TracrLabError: if there is no op, the output is a selector, or an operand is missing or
            of the wrong kind.
        """
        return canonical(ops, names)[0]

    @classmethod
    def from_text(cls, text: str) -> Program:
        """Reads the one-op-a-line text form (see `tracrlab.rasp.text`)."""
        from tracrlab.rasp.text import parse

        return parse(text)

    @classmethod
    def from_tokens(cls, ids: Iterable[int]) -> Program:
        """Reads token ids (see `tracrlab.rasp.tokens`)."""
        from tracrlab.rasp.tokens import decode

        return decode(ids)

    @classmethod
    def from_tracr(cls, sop: object) -> Program:
        """Converts a ``tracr.rasp`` SOp (see `tracrlab.rasp.convert`)."""
        from tracrlab.rasp.convert import from_tracr

        return from_tracr(sop)

    def text(self, *, names: bool = False) -> str:
        """The text form; ``names=True`` keeps the ops' names instead of v1, v2, ..."""
        from tracrlab.rasp.text import render

        return render(self, self.names if names else None)

    def tokens(self) -> list[int]:
        """Token ids, without start and end symbols."""
        from tracrlab.rasp.tokens import encode

        return encode(self)

    def to_tracr(self) -> object:
        """The same program as a ``tracr.rasp`` SOp."""
        from tracrlab.rasp.convert import to_tracr

        return to_tracr(self)

    @cached_property
    def key(self) -> tuple:
        """Equal for equal programs."""
        return tuple(
            (op.kind, op.operands, function_key(op.function), op.encoding) for op in self.ops
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __len__(self) -> int:
        return len(self.ops)

    def __str__(self) -> str:
        return self.text(names=True)

    @property
    def output(self) -> Op:
        return self.ops[-1]

    def label(self, ref: int) -> str:
        """The name of an operand: tokens, indices, or the op's own name."""
        return INPUTS[ref] if ref < FIRST_OP else self.names[ref - FIRST_OP]

    def encoding(self, ref: int) -> str | None:
        """The encoding of an operand."""
        return CATEGORICAL if ref < FIRST_OP else self.ops[ref - FIRST_OP].encoding


def _check(ops: Sequence[Op]) -> None:
    """Kinds, arities, scope and operand types."""
    if not ops:
        raise TracrLabError("the program is empty; it needs at least one op.")
    for number, op in enumerate(ops):
        where = f"op {number + 1} ({op.kind})"
        if op.kind not in ARITY:
            raise TracrLabError(f"{where} is not a RASP op; the ops are {', '.join(KINDS)}.")
        if len(op.operands) != ARITY[op.kind]:
            raise TracrLabError(f"{where} takes {ARITY[op.kind]} operands, not {len(op.operands)}.")
        for position, ref in enumerate(op.operands):
            if not 0 <= ref < number + FIRST_OP:
                raise TracrLabError(f"{where} uses an operand that is not computed before it.")
            wants_selector = op.kind in (AGGREGATE, SELECTOR_WIDTH) and position == 0
            is_selector = ref >= FIRST_OP and ops[ref - FIRST_OP].is_selector
            if wants_selector != is_selector:
                wanted = "a Select" if wants_selector else "a sequence, not a Select"
                raise TracrLabError(f"{where} takes {wanted} as operand {position + 1}.")
        if (op.function is None) != (op.kind in (AGGREGATE, SELECTOR_WIDTH)):
            raise TracrLabError(f"{where} has the wrong number of functions.")
        if isinstance(op.function, Primitive) and op.function.op != op.kind:
            raise TracrLabError(f"{where} cannot take the {op.function.op} function {op.function}.")
        allowed = (None,) if op.is_selector else (CATEGORICAL, NUMERICAL)
        if op.encoding not in allowed:
            raise TracrLabError(f"{where} has encoding {op.encoding!r}.")
    if ops[-1].is_selector:
        raise TracrLabError("the output of the program is a Select; it must be a sequence.")


def depths(ops: Sequence[Op]) -> list[int]:
    """Longest path from the inputs to each op, counted in ops; tokens and indices have depth 0."""
    depth = [0] * FIRST_OP
    for op in ops:
        depth.append(1 + max(depth[ref] for ref in op.operands))
    return depth[FIRST_OP:]


def canonical(
    ops: Sequence[Op], names: Sequence[str | None] | None = None
) -> tuple[Program, list[int]]:
    """As `Program.of`; gives also, for each op of the program, which of `ops` it was."""
    _check(ops)
    used = _ancestors(ops)
    opaque: dict[int, str] = {}  # opaque functions are ordered by where they come first
    for op in ops:
        if op.function is not None and not isinstance(op.function, Primitive):
            opaque.setdefault(id(op.function), f"<{len(opaque):04d}>")
    by_depth: dict[int, list[int]] = {}
    for number, depth in enumerate(depths(ops)):
        if number in used:
            by_depth.setdefault(depth, []).append(number)

    new_ref = {TOKENS: TOKENS, INDICES: INDICES}
    new_ops: list[Op] = []
    origins: list[int] = []
    for depth in sorted(by_depth):
        # Operands lie at smaller depths, so they have their final numbers by now.
        level: dict[tuple, list[int]] = {}
        renamed: dict[tuple, Op] = {}
        for number in by_depth[depth]:
            op = _ordered(_renumbered(ops[number], new_ref))
            function = opaque.get(id(op.function)) or function_key(op.function)
            key = (KINDS.index(op.kind), op.operands, function, op.encoding or "")
            level.setdefault(key, []).append(number)
            renamed.setdefault(key, op)
        for key in sorted(level):
            for number in level[key]:
                new_ref[number + FIRST_OP] = len(new_ops) + FIRST_OP
            new_ops.append(renamed[key])
            origins.append(level[key][0])
    new_names = [names[origin] if names else None for origin in origins]
    return Program(tuple(new_ops), _distinct_names(new_names)), origins


def _ancestors(ops: Sequence[Op]) -> set[int]:
    used = {len(ops) - 1}
    for number in range(len(ops) - 1, -1, -1):
        if number in used:
            used.update(ref - FIRST_OP for ref in ops[number].operands if ref >= FIRST_OP)
    return used


def _renumbered(op: Op, new_ref: dict[int, int]) -> Op:
    return op._replace(operands=tuple(new_ref[ref] for ref in op.operands))


def _ordered(op: Op) -> Op:
    """Puts the operands of commutative functions in order."""
    function = op.function
    if len(op.operands) != 2 or op.operands[0] <= op.operands[1]:
        return op
    if not isinstance(function, Primitive):
        return op
    swapped = op.operands[::-1]
    if op.kind == SEQUENCE_MAP and function.template in COMMUTATIVE:
        return op._replace(operands=swapped)
    if op.kind == LINEAR_SEQUENCE_MAP:
        factors = Primitive(LINEAR_SEQUENCE_MAP, function.template, function.constants[::-1])
        return op._replace(operands=swapped, function=factors)
    return op


def _distinct_names(names: Sequence[str | None]) -> tuple[str, ...]:
    """Every op gets a name of its own: the given one, numbered where it repeats, else v1, v2 ...

    Characters that the text form has no place for in a name become ``_``.
    """
    taken = set(INPUTS)
    result = []
    for number, name in enumerate(names):
        wanted = _NOT_IN_NAMES.sub("_", name) if name else f"v{number + 1}"
        candidate, count = wanted, 2
        while candidate in taken:
            candidate, count = f"{wanted}_{count}", count + 1
        taken.add(candidate)
        result.append(candidate)
    return tuple(result)
