"""How many ops it takes, at least, until every op of a program leads to its output.

A program in canonical form has no op that nothing uses. While one is written, some values are not
used yet: selectors, categorical and numerical sequences. The fewest ops that join them into one
sequence depend on their three counts alone, because used values and the inputs can stand as second
operands wherever they are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracrlab.rasp.program import (
    AGGREGATE,
    CATEGORICAL,
    LINEAR_SEQUENCE_MAP,
    MAP,
    NUMERICAL,
    SELECT,
    SELECTOR_WIDTH,
    SEQUENCE_MAP,
)

#: Types of values: 0 is no value.
ABSENT, SEQUENCE, NUMBER, SELECTOR = range(4)
TYPES = (SELECTOR, SEQUENCE, NUMBER)  # the order of the three counts
_AXIS = {kind: axis for axis, kind in enumerate(TYPES)}

FAR = 127


@dataclass(frozen=True)
class Signature:
    """The types of an op: what its operands may be and what it makes."""

    kind: str
    encoding: str
    operands: tuple[tuple[int, ...], ...]
    result: int


#: Every typing of an op that has weights (`tracrlab.compiler.compiling`).
SIGNATURES = (
    Signature(MAP, CATEGORICAL, ((SEQUENCE, NUMBER),), SEQUENCE),
    Signature(MAP, NUMERICAL, ((SEQUENCE, NUMBER),), NUMBER),
    Signature(SEQUENCE_MAP, CATEGORICAL, ((SEQUENCE,), (SEQUENCE,)), SEQUENCE),
    Signature(LINEAR_SEQUENCE_MAP, NUMERICAL, ((NUMBER,), (NUMBER,)), NUMBER),
    Signature(SELECT, "", ((SEQUENCE,), (SEQUENCE,)), SELECTOR),
    Signature(AGGREGATE, CATEGORICAL, ((SELECTOR,), (SEQUENCE,)), SEQUENCE),
    Signature(AGGREGATE, NUMERICAL, ((SELECTOR,), (NUMBER,)), NUMBER),
    Signature(SELECTOR_WIDTH, CATEGORICAL, ((SELECTOR,),), SEQUENCE),
    Signature(SELECTOR_WIDTH, NUMERICAL, ((SELECTOR,),), NUMBER),
)


def shifted(table: np.ndarray, kind: int, step: int) -> np.ndarray:
    """``table`` read at counts of which that of `kind` is `step` more; `FAR` outside."""
    result = np.full_like(table, FAR)
    axis = _AXIS[kind]
    source, target = [slice(None)] * 3, [slice(None)] * 3
    if step > 0:
        source[axis], target[axis] = slice(step, None), slice(None, -step)
    else:
        source[axis], target[axis] = slice(None, step), slice(-step, None)
    result[tuple(target)] = table[tuple(source)]
    return result


def spent(table: np.ndarray, types: tuple[int, ...]) -> np.ndarray:
    """The least of ``table`` after an operand of one of `types`, an unused value where it helps."""
    return np.minimum(table, np.minimum.reduce([shifted(table, kind, -1) for kind in types]))


class Completion:
    """Tables over the counts of unused selectors, categorical and numerical sequences.

    Attributes:
      ops: fewest ops to a finished program, int8 [selectors, categorical, numerical].
      after: for each signature the same after its result has been added, its operands gone.
      after_first: for each signature with two operands, the same with the second operand still to
        be chosen.
      after_all: for each signature, the same with all operands still to be chosen.
    """

    def __init__(self, max_ops: int, usable: tuple[bool, ...]):
        size = max_ops + 3
        table = np.full((size, size, size), FAR, dtype=np.int8)
        table[0, 1, 0] = table[0, 0, 1] = 0
        self.ops = table
        while True:
            self._join()
            best = self.ops
            for signature, can in enumerate(usable):
                if can:
                    after = self.after_all[signature]
                    best = np.minimum(best, np.where(after < FAR, after + 1, FAR).astype(np.int8))
            if np.array_equal(best, self.ops):
                return
            self.ops = best

    def _join(self) -> None:
        self.after, self.after_first, self.after_all = [], [], []
        for signature in SIGNATURES:
            after = shifted(self.ops, signature.result, 1)
            first = spent(after, signature.operands[1]) if len(signature.operands) == 2 else after
            self.after.append(after)
            self.after_first.append(first)
            self.after_all.append(spent(first, signature.operands[0]))
