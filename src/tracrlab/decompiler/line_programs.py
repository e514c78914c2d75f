"""Programs that the thesis's lines may stand for.

Lines leave out constants, encodings and the order of operands (`program_encoding`), so a program
of them cannot be run as it is. Here what is left out is filled in, likeliest first, and only where
the grammar allows it; execution then says whether one of the programs is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tracrlab.decompiler.grammar import AT_CONSTANT, AT_END, AT_OPERAND, Grammar, GrammarState
from tracrlab.decompiler.program_encoding import ARGUMENT_SLOT, SLOT_VOCABULARIES
from tracrlab.decompiler.token_tables import (
    ENCODINGS,
    FIRST_REF,
    ID,
    OP_PARTS,
)
from tracrlab.rasp.primitives import LINEAR_SEQUENCE_MAP, SELECT, SEQUENCE_MAP
from tracrlab.rasp.program import (
    AGGREGATE,
    CATEGORICAL,
    FIRST_OP,
    INPUTS,
    KINDS,
    NUMERICAL,
    Program,
)
from tracrlab.rasp.tokens import END, VOCABULARY

#: Constants that are filled in, in the order in which they are tried.
CONSTANTS = tuple(ID[name] for name in ("=1", "=2", "=0", "=3", "=-1", "=4", "=0.5"))
#: Prefixes that are tried for one program's lines before the search is given up.
MOST_PREFIXES = 500

_FIRST_VARIABLE = ARGUMENT_SLOT.index(INPUTS[0])


def completions(lines: np.ndarray, grammar: Grammar) -> Iterator[Program]:
    """Programs with these lines, what they leave out filled in.

    Args:
      lines: int64 [15, 5]; lines after the last are all 0.
      grammar: what is valid.

    Yields:
      different programs, those first that differ from the first choices in the last lines alone;
      none where no valid program has these lines.
    """
    used = np.flatnonzero(lines[:, 0] > 0)
    if not len(used) or (used != np.arange(len(used))).any() or len(used) > grammar.max_ops:
        return
    found = [_line(row) for row in lines[: len(used)].tolist()]
    written = _with_known_encodings([line for line in found if line is not None])
    if any(line is None for line in found) or not all(ops for ops, _ in written):
        return
    seen: set[Program] = set()
    for ids in _walk(grammar, written):
        program = Program.from_tokens(ids)
        if program not in seen:
            seen.add(program)
            yield program


_Line = tuple[list[int], list[int]]


def _line(row: Sequence[int]) -> _Line | None:
    """Op tokens that a line may mean and its operands' reference tokens; None if it means none."""
    kind, arguments = KINDS[row[0] - 1], [symbol for symbol in row[1:4] if symbol]
    functions = [symbol for symbol in arguments if symbol < _FIRST_VARIABLE]
    operands = [
        FIRST_REF + symbol - _FIRST_VARIABLE for symbol in arguments if symbol >= _FIRST_VARIABLE
    ]
    if len(functions) > 1 or any(ref >= len(VOCABULARY) for ref in operands):
        return None
    function = SLOT_VOCABULARIES[1][functions[0]] if functions else ""
    ops = [ID.get(f"{kind}|{function}|{encoding}") for encoding in ENCODINGS]
    ops = [op for op in ops if op is not None and OP_PARTS[op] is not None]
    return (ops, operands) if ops else None


#: What an op takes of its operands; an Aggregate's value is encoded as its result.
_TAKEN = {SEQUENCE_MAP: CATEGORICAL, SELECT: CATEGORICAL, LINEAR_SEQUENCE_MAP: NUMERICAL}


def _with_known_encodings(lines: Sequence[_Line]) -> list[_Line]:
    """Leaves the op tokens of each line that fit what later lines do with its result."""
    needed: dict[int, set[str]] = {}
    result: list[_Line] = []
    for number in reversed(range(len(lines))):
        ops, operands = lines[number]
        wanted = needed.get(FIRST_REF + FIRST_OP + number, set())
        ops = [op for op in ops if {OP_PARTS[op][2]} >= wanted or not OP_PARTS[op][2]]
        result.append((ops, operands))
        encodings = {OP_PARTS[op][2] for op in ops}
        kind = OP_PARTS[ops[0]][0] if ops else ""
        taken = encodings if kind == AGGREGATE and len(encodings) == 1 else {_TAKEN.get(kind)}
        for ref in operands:
            needed.setdefault(ref, set()).update(taken - {None})
    return result[::-1]


def _walk(grammar: Grammar, lines: Sequence[_Line]) -> Iterator[list[int]]:
    """Depth first through what the lines leave open, as far as the mask allows."""
    tried = 0

    def choices(state: GrammarState, line: int, operands: tuple[int, ...]) -> list[tuple]:
        """Tokens that the lines allow next, with the line and operands still to be written."""
        phase = state.phase[0]
        if phase == AT_CONSTANT:
            return [(token, line, operands) for token in CONSTANTS]
        if phase == AT_OPERAND:
            # One after the other in either order; equal ones once.
            order = dict.fromkeys(range(len(operands)))
            return [(operands[i], line, operands[:i] + operands[i + 1 :]) for i in order]
        if operands:  # an op takes fewer operands than its line has
            return []
        if line == len(lines):
            return [(END, line, ())]
        ops, refs = lines[line]
        return [(op, line + 1, tuple(refs)) for op in ops]

    def go(state: GrammarState, ids: list[int], line: int, operands: tuple[int, ...]):
        nonlocal tried
        if state.phase[0] == AT_END:
            yield ids[:-1]
            return
        mask = grammar.mask(state)[0]
        for token, next_line, rest in choices(state, line, operands):
            if not mask[token] or tried >= MOST_PREFIXES:
                continue
            tried += 1
            after = state.take(np.array([0]))
            grammar.advance(after, np.array([token]))
            yield from go(after, [*ids, token], next_line, rest)

    yield from go(grammar.start(1), [], 0, ())
