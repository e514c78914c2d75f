"""What each token of `tracrlab.rasp.tokens.VOCABULARY` is, as arrays over token ids.

An op token begins an op and stands nowhere else, a reference stands only where an operand does; so
a program's ids are taken apart by looking ids up, without parsing.
"""

from __future__ import annotations

import numpy as np

from tracrlab.rasp.primitives import constant_count
from tracrlab.rasp.program import ARITY, CATEGORICAL, FIRST_OP, INPUTS, KINDS, NUMERICAL
from tracrlab.rasp.tokens import END, MAX_OPS, PAD, START, VOCABULARY

SIZE = len(VOCABULARY)
ID = {token: number for number, token in enumerate(VOCABULARY)}

FIRST_REF = ID[INPUTS[0]]
N_REFS = FIRST_OP + MAX_OPS
SPELL, SPELL_END = ID["<spell>"], ID["</spell>"]
FIRST_BYTE = ID["byte 0"]
ENCODINGS = ("", CATEGORICAL, NUMERICAL)


def _op_parts(token: str) -> tuple[str, str, str] | None:
    parts = token.split("|")
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None


#: (kind, function template or "", encoding or "") of an op token; None for every other token.
OP_PARTS: tuple[tuple[str, str, str] | None, ...] = tuple(map(_op_parts, VOCABULARY))

#: Whether a token begins an op.
IS_OP = np.array([parts is not None for parts in OP_PARTS])
#: Index into `KINDS`, -1 where the token is no op.
OP_KIND = np.array([KINDS.index(parts[0]) if parts else -1 for parts in OP_PARTS])
#: Index into `ENCODINGS`, -1 where the token is no op.
OP_ENCODING = np.array([ENCODINGS.index(parts[2]) if parts else -1 for parts in OP_PARTS])
#: Number of operands and of constants of an op token; 0 for every other token.
OP_ARITY = np.array([ARITY[parts[0]] if parts else 0 for parts in OP_PARTS])
OP_CONSTANTS = np.array([constant_count(parts[1]) if parts else 0 for parts in OP_PARTS])

#: The operand number of a reference token; -1 for every other token.
REF = np.full(SIZE, -1)
REF[FIRST_REF : FIRST_REF + N_REFS] = np.arange(N_REFS)

#: Tokens that are a constant by themselves.
IS_CONSTANT = np.array([token.startswith("=") for token in VOCABULARY])
#: Tokens that are not part of a program.
IS_FRAME = np.isin(np.arange(SIZE), (PAD, START, END))
