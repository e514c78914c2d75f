"""Programs as targets of a meta-model, in two forms.

*Token form* (ours): the ids of `tracrlab.rasp.tokens` between a start and an end symbol. It is
executable: constants, encodings and the order of operands are in it.

*Line form* (Inverse Tracr, section 5.1.1 and Figure 5.1): 15 lines of five slots, the op, up to
three arguments (lambda or predicate first, then variables in alphabetical order) and the result,
padded with NA. It leaves out constants, encodings and, because it sorts them, the order of
operands. `line_form` can also keep the written order; with what `left_out` gives, the
program then comes back whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracrlab.decompiler.token_tables import (
    FIRST_REF,
    ID,
    IS_FRAME,
    IS_OP,
    OP_KIND,
    OP_PARTS,
    REF,
)
from tracrlab.errors import TracrLabError
from tracrlab.rasp.primitives import TEMPLATES
from tracrlab.rasp.program import INPUTS, KINDS, Program
from tracrlab.rasp.tokens import END, PAD, START

MAX_LINES = 15
SLOTS = ("op", "p1", "p2", "p3", "r")
NA = "NA"

_FUNCTIONS = tuple(dict.fromkeys(template for table in TEMPLATES.values() for template in table))
_RESULTS = tuple(f"v{number + 1}" for number in range(MAX_LINES))

OP_SLOT: tuple[str, ...] = (NA, *KINDS)
ARGUMENT_SLOT: tuple[str, ...] = (NA, *_FUNCTIONS, *INPUTS, *_RESULTS)
RESULT_SLOT: tuple[str, ...] = (NA, *_RESULTS)
#: The symbols of each of the five slots; number 0 is NA.
SLOT_VOCABULARIES = (OP_SLOT, ARGUMENT_SLOT, ARGUMENT_SLOT, ARGUMENT_SLOT, RESULT_SLOT)

_FIRST_VARIABLE = ARGUMENT_SLOT.index(INPUTS[0])
_VARIABLES = (*INPUTS, *_RESULTS)
#: Place of each operand number among the variables in alphabetical order.
_ALPHABETICAL = np.argsort(np.argsort(np.array(_VARIABLES)))
#: The argument slot's number of an op token's function; 0 where it has none.
_FUNCTION_OF = np.array(
    [ARGUMENT_SLOT.index(parts[1]) if parts and parts[1] else 0 for parts in OP_PARTS]
)


def pad_programs(programs: Sequence[Sequence[int]], length: int | None = None) -> np.ndarray:
    """Token ids with start and end symbols, int64 [programs, length], padded at the end.

    Args:
      programs: the ids of each program, without start and end.
      length: width of the array; the longest program's by default.

    Raises:
      TracrLabError: if a program does not fit.
    """
    longest = max((len(ids) for ids in programs), default=0) + 2
    if length is not None and longest > length:
        raise TracrLabError(
            f"a program has {longest} tokens with start and end, and the limit is {length}; raise "
            "the limit or leave the program out."
        )
    padded = np.full((len(programs), length or longest), PAD, dtype=np.int64)
    for row, ids in zip(padded, programs, strict=True):
        row[0] = START
        row[1 : len(ids) + 1] = ids
        row[len(ids) + 1] = END
    return padded


def unpad_programs(padded: np.ndarray) -> list[list[int]]:
    """The inverse of `pad_programs`: what stands before the first end symbol, frames left out."""
    ended = np.cumsum(padded == END, axis=1) > 0
    kept = ~ended & ~IS_FRAME[padded]
    return [row[keep].tolist() for row, keep in zip(padded, kept, strict=True)]


def line_form(programs: Sequence[Sequence[int]], *, sort_operands: bool = True) -> np.ndarray:
    """The five-slot lines of many programs.

    Args:
      programs: token ids of each program, without start and end.
      sort_operands: variables in alphabetical order, as in the thesis; else as they are written.

    Returns:
      numbers into `SLOT_VOCABULARIES`, int64 [programs, 15, 5]; lines after the last are all 0.

    Raises:
      TracrLabError: if a program has more than 15 ops.
    """
    lines = np.zeros((len(programs), MAX_LINES, len(SLOTS)), dtype=np.int64)
    lengths = np.array([len(ids) for ids in programs], dtype=np.int64)
    if not lengths.sum():
        return lines
    flat = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in programs])
    program = np.repeat(np.arange(len(programs)), lengths)
    is_op = IS_OP[flat]
    op = np.cumsum(is_op) - 1  # number of the op that a token belongs to, over all programs
    op_tokens, op_program = flat[is_op], program[is_op]
    first_op = np.searchsorted(op_program, np.arange(len(programs)))
    line = np.arange(len(op_tokens)) - first_op[op_program]
    if line.max() >= MAX_LINES:
        raise TracrLabError(
            f"a program has {line.max() + 1} ops; the line form holds at most {MAX_LINES}."
        )
    lines[op_program, line, 0] = OP_KIND[op_tokens] + 1
    functions = _FUNCTION_OF[op_tokens]
    lines[op_program, line, 1] = functions
    lines[op_program, line, 4] = line + 1

    is_ref = REF[flat] >= 0
    refs, ref_op = REF[flat[is_ref]], op[is_ref]
    if sort_operands:
        order = np.lexsort((_ALPHABETICAL[refs], ref_op))
        refs = refs[order]
    first_ref = np.searchsorted(ref_op, np.arange(len(op_tokens)))
    slot = 1 + (functions > 0)[ref_op] + np.arange(len(refs)) - first_ref[ref_op]
    lines[op_program[ref_op], line[ref_op], slot] = _FIRST_VARIABLE + refs
    return lines


def lines_text(lines: np.ndarray) -> list[tuple[str, ...]]:
    """The lines [15, 5] of one program as symbols, without the padding after the last one."""
    used = np.flatnonzero(lines.any(axis=1))
    last = used[-1] + 1 if len(used) else 0
    return [
        tuple(symbols[code] for symbols, code in zip(SLOT_VOCABULARIES, row, strict=True))
        for row in lines[:last].tolist()
    ]


def parse_lines(text: Sequence[Sequence[str]]) -> np.ndarray:
    """The inverse of `lines_text`: int64 [15, 5].

    Raises:
      TracrLabError: if there are too many lines, or a slot holds a symbol that it does not know.
    """
    if len(text) > MAX_LINES:
        raise TracrLabError(f"{len(text)} lines were given; the line form holds {MAX_LINES}.")
    lines = np.zeros((MAX_LINES, len(SLOTS)), dtype=np.int64)
    for number, row in enumerate(text):
        if len(row) != len(SLOTS):
            raise TracrLabError(f"line {number + 1} has {len(row)} slots; a line has 5.")
        for slot, symbol in enumerate(row):
            if symbol not in SLOT_VOCABULARIES[slot]:
                raise TracrLabError(
                    f"line {number + 1} has {symbol!r} as {SLOTS[slot]}, which that slot does not "
                    "know."
                )
            lines[number, slot] = SLOT_VOCABULARIES[slot].index(symbol)
    return lines


@dataclass(frozen=True)
class LeftOut:
    """What the line form does not say of a program, op by op.

    Attributes:
      encodings: categorical, numerical, or "" for Select.
      constants: token ids of the constants.
    """

    encodings: tuple[str, ...]
    constants: tuple[tuple[int, ...], ...]


def left_out(ids: Sequence[int]) -> LeftOut:
    """The part of a program's token ids that its lines do not hold."""
    encodings: list[str] = []
    constants: list[list[int]] = []
    for token in ids:
        parts = OP_PARTS[token]
        if parts:
            encodings.append(parts[2])
            constants.append([])
        elif REF[token] < 0:
            constants[-1].append(token)
    return LeftOut(tuple(encodings), tuple(map(tuple, constants)))


def program_of_lines(lines: np.ndarray, rest: LeftOut) -> Program:
    """The program of lines [15, 5] with operands in written order, and what they leave out.

    Raises:
      TracrLabError: if they are not a valid program.
    """
    ids: list[int] = []
    for (kind, *arguments, _), encoding, constants in zip(
        lines_text(lines), rest.encodings, rest.constants, strict=True
    ):
        function = arguments[0] if arguments[0] in _FUNCTIONS else ""
        token = ID.get(f"{kind}|{function}|{encoding}")
        if token is None:
            raise TracrLabError(f"{kind} does not take the function {function!r}.")
        ids += [token, *constants]
        variables = [argument for argument in arguments if argument in _VARIABLES]
        ids += [FIRST_REF + _VARIABLES.index(variable) for variable in variables]
    return Program.from_tokens(ids)


def content_slots(lines: np.ndarray) -> np.ndarray:
    """Which slots are not predetermined: neither NA nor the result; bool, as `lines`."""
    content = lines > 0
    content[..., 4] = False
    return content
