"""Which token may come next in a program: the mask that decoding is restricted to.

After any prefix the mask holds exactly the tokens from which a valid program can still be reached:
kinds and encodings as weights need them (`tracrlab.compiler.compiling`), operands that are
computed before and have the right type, constants where a function takes them, an end only where
every op leads to the output, and never more than `max_ops` ops. Numbers may be spelled byte by
byte.

The mask knows types, not values: a walk through it ends in a program that can be read and
evaluated, but a function may be undefined on some input (a division by zero, say), and what cannot
be evaluated has no verdict (`tracrlab.decompiler.checking`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np

from tracrlab.decompiler.completion import (
    ABSENT,
    NUMBER,
    SELECTOR,
    SEQUENCE,
    SIGNATURES,
    TYPES,
    Completion,
)
from tracrlab.decompiler.constant_bytes import byte_automaton
from tracrlab.decompiler.token_tables import (
    FIRST_BYTE,
    FIRST_REF,
    IS_CONSTANT,
    OP_CONSTANTS,
    OP_PARTS,
    SIZE,
    SPELL,
    SPELL_END,
)
from tracrlab.errors import TracrLabError
from tracrlab.rasp.presets import preset
from tracrlab.rasp.primitives import LINEAR_SEQUENCE_MAP, MAP, SELECT, SEQUENCE_MAP
from tracrlab.rasp.program import AGGREGATE, FIRST_OP, SELECTOR_WIDTH
from tracrlab.rasp.tokens import END, MAX_OPS, PAD, VOCABULARY

#: What is written next.
AT_OP, AT_CONSTANT, AT_BYTE, AT_OPERAND, AT_END = range(5)

#: Functions whose constants must be numbers.
_NUMBERS_ONLY = {(LINEAR_SEQUENCE_MAP, "a * x + b * y"), (SEQUENCE_MAP, "x + y / c")}

_SIGNATURE_OF = np.array(
    [
        next(
            (
                number
                for number, signature in enumerate(SIGNATURES)
                if parts and (signature.kind, signature.encoding) == (parts[0], parts[2])
            ),
            -1,
        )
        for parts in OP_PARTS
    ]
)
_ARITY = np.array([len(signature.operands) for signature in SIGNATURES])
_RESULT = np.array([signature.result for signature in SIGNATURES], dtype=np.uint8)
#: Whether an operand place takes a type, bool [signatures, places, types].
_TAKES = np.zeros((len(SIGNATURES), 2, 4), dtype=bool)
for _number, _signature in enumerate(SIGNATURES):
    for _place, _types in enumerate(_signature.operands):
        _TAKES[_number, _place, list(_types)] = True
_TAKES_NUMBERS_ONLY = np.array([parts and parts[:2] in _NUMBERS_ONLY for parts in OP_PARTS], bool)


@dataclass
class GrammarState:
    """Where a batch of prefixes stands; one entry, or row, for each.

    Attributes:
      phase: what comes next: `AT_OP`, `AT_CONSTANT`, `AT_BYTE`, `AT_OPERAND` or `AT_END`.
      n_ops: ops that are complete.
      op: token id of the op that is being written.
      place: constants and operands of it that are written.
      types: type of every operand number, `ABSENT` where there is none yet.
      unused: which of them are ops that nothing uses yet.
      byte_state, byte_count: where the spelled constant stands.
    """

    phase: np.ndarray
    n_ops: np.ndarray
    op: np.ndarray
    place: np.ndarray
    types: np.ndarray
    unused: np.ndarray
    byte_state: np.ndarray
    byte_count: np.ndarray

    def __len__(self) -> int:
        return len(self.phase)

    def take(self, rows: np.ndarray) -> GrammarState:
        """A copy of the given rows, in that order and as often as they are given."""
        return replace(
            self, **{field.name: getattr(self, field.name)[rows] for field in fields(self)}
        )

    def counts(self) -> tuple[np.ndarray, ...]:
        """How many selectors, categorical and numerical sequences are unused."""
        return tuple(((self.types == kind) & self.unused).sum(axis=1) for kind in TYPES)

    @property
    def done(self) -> np.ndarray:
        """Which programs have ended, bool [rows]."""
        return self.phase == AT_END


class Grammar:
    """The mask over `VOCABULARY`, for programs of at most `max_ops` ops.

    Args:
      max_ops: the longest program.
      ops: token ids of the ops that may be used; all that have weights by default.
      constants: token ids of the constants that may be used; all by default.
      spelled: which constants may be spelled byte by byte: "none", "numbers" or "all".
    """

    def __init__(
        self,
        max_ops: int,
        *,
        ops: Iterable[int] | None = None,
        constants: Iterable[int] | None = None,
        spelled: str = "numbers",
    ):
        if not 1 <= max_ops <= MAX_OPS:
            raise TracrLabError(f"a program has 1 to {MAX_OPS} ops; max_ops is {max_ops}.")
        if spelled not in ("none", "numbers", "all"):
            raise TracrLabError(f"spelled is none, numbers or all, not {spelled!r}.")
        self.max_ops = max_ops
        typed = np.flatnonzero(_SIGNATURE_OF >= 0)
        self._ops = np.intersect1d(typed, list(ops)) if ops is not None else typed
        wanted = np.flatnonzero(IS_CONSTANT)
        self._constants = (
            np.intersect1d(wanted, list(constants)) if constants is not None else wanted
        )
        self._spelled = spelled
        self._automata = [byte_automaton(False), byte_automaton(spelled == "all")]
        if not len(self._constants) and spelled == "none":
            self._ops = self._ops[OP_CONSTANTS[self._ops] == 0]
        signatures = _SIGNATURE_OF[self._ops]
        usable = tuple(bool((signatures == number).any()) for number in range(len(SIGNATURES)))
        self._completion = Completion(max_ops, usable)
        self._stacked = {
            name: np.stack(getattr(self._completion, name))
            for name in ("after", "after_first", "after_all")
        }
        start = self.mask(self.start(1))
        if not start.any():
            raise TracrLabError(f"no program of at most {max_ops} ops can be made of these ops.")

    @classmethod
    def of_preset(cls, name: str, max_ops: int, *, spelled: str = "numbers") -> Grammar:
        """The ops that a preset of the sampler draws from (`tracrlab.rasp.presets`)."""
        chosen = preset(name)
        kinds = {kind for kind, weight in chosen.kinds if weight}
        functions = {
            MAP: chosen.maps,
            SEQUENCE_MAP: chosen.sequence_maps,
            LINEAR_SEQUENCE_MAP: ("a * x + b * y",) if chosen.factors else (),
            SELECT: chosen.predicates,
            AGGREGATE: ("",),
            SELECTOR_WIDTH: ("",),
        }
        ops = [
            token
            for token, parts in enumerate(OP_PARTS)
            if parts and parts[0] in kinds and parts[1] in functions[parts[0]]
        ]
        return cls(max_ops, ops=ops, spelled=spelled)

    def start(self, rows: int) -> GrammarState:
        """The state before the first op (after the start symbol) of `rows` programs."""
        types = np.full((rows, FIRST_OP + self.max_ops), ABSENT, dtype=np.uint8)
        types[:, :FIRST_OP] = SEQUENCE

        def zeros() -> np.ndarray:
            return np.zeros(rows, dtype=np.int64)

        return GrammarState(
            zeros(), zeros(), zeros(), zeros(), types, np.zeros_like(types, bool), zeros(), zeros()
        )

    def mask(self, state: GrammarState) -> np.ndarray:
        """Which tokens may come next, bool [rows, len(VOCABULARY)]; padding after the end."""
        mask = np.zeros((len(state), SIZE), dtype=bool)
        for phase, fill in (
            (AT_OP, self._mask_ops),
            (AT_CONSTANT, self._mask_constants),
            (AT_BYTE, self._mask_bytes),
            (AT_OPERAND, self._mask_operands),
        ):
            rows = np.flatnonzero(state.phase == phase)
            if len(rows):
                fill(mask, state, rows)
        mask[state.phase == AT_END, PAD] = True
        return mask

    def _mask_ops(self, mask: np.ndarray, state: GrammarState, rows: np.ndarray) -> None:
        part = state.take(rows)
        counts = part.counts()
        room = self.max_ops - part.n_ops - 1
        possible = room[:, None] >= self._stacked["after_all"][(slice(None), *counts)].T
        present = np.stack(
            [np.zeros(len(rows), bool)]
            + [(part.types == kind).any(axis=1) for kind in (SEQUENCE, NUMBER, SELECTOR)]
        )
        for place in (0, 1):
            found = (_TAKES[:, place, :, None] & present).any(axis=1).T
            possible &= found | (place >= _ARITY)
        possible &= (room >= 0)[:, None]
        mask[np.ix_(rows, self._ops)] = possible[:, _SIGNATURE_OF[self._ops]]
        mask[rows, END] = self._completion.ops[counts] == 0

    def _mask_constants(self, mask: np.ndarray, state: GrammarState, rows: np.ndarray) -> None:
        mask[np.ix_(rows, self._constants)] = True
        mask[rows, SPELL] = self._spelled != "none"

    def _mask_bytes(self, mask: np.ndarray, state: GrammarState, rows: np.ndarray) -> None:
        numbers_only = _TAKES_NUMBERS_ONLY[state.op[rows]]
        for only, automaton in zip((True, False), self._automata, strict=True):
            group = rows[numbers_only == only]
            where, length = state.byte_state[group], state.byte_count[group]
            mask[group, FIRST_BYTE : FIRST_BYTE + 256] = automaton.allowed(where, length)
            mask[group, SPELL_END] = automaton.accepting[where]

    def _mask_operands(self, mask: np.ndarray, state: GrammarState, rows: np.ndarray) -> None:
        part = state.take(rows)
        signature = _SIGNATURE_OF[part.op]
        place = part.place - OP_CONSTANTS[part.op]
        last = place == _ARITY[signature] - 1
        counts = part.counts()
        room = self.max_ops - part.n_ops - 1

        def reachable(*counts: np.ndarray) -> np.ndarray:
            after = self._stacked["after"][(signature, *counts)]
            after_first = self._stacked["after_first"][(signature, *counts)]
            return np.where(last, after, after_first) <= room

        takes = _TAKES[signature, place]
        if_used, if_unused = np.zeros_like(takes), np.zeros_like(takes)
        kept = reachable(*counts)
        for axis, kind in enumerate(TYPES):
            fewer = [np.maximum(count - (axis == other), 0) for other, count in enumerate(counts)]
            if_used[:, kind] = takes[:, kind] & kept
            if_unused[:, kind] = takes[:, kind] & reachable(*fewer)
        index = np.arange(len(rows))[:, None]
        allowed = np.where(part.unused, if_unused[index, part.types], if_used[index, part.types])
        mask[rows, FIRST_REF : FIRST_REF + allowed.shape[1]] = allowed

    def advance(self, state: GrammarState, tokens: np.ndarray) -> None:
        """Adds one token to every prefix, in place; the tokens [rows] must be in the mask."""
        tokens = np.asarray(tokens, dtype=np.int64)
        phase = state.phase.copy()
        at_op = phase == AT_OP
        ends = at_op & (tokens == END)
        state.phase[ends] = AT_END
        begins = np.flatnonzero(at_op & ~ends)
        state.op[begins] = tokens[begins]
        state.place[begins] = 0
        self._next_place(state, begins)

        spells = (phase == AT_CONSTANT) & (tokens == SPELL)
        state.phase[spells] = AT_BYTE
        state.byte_state[spells] = 0
        state.byte_count[spells] = 0

        in_bytes = phase == AT_BYTE
        closes = in_bytes & (tokens == SPELL_END)
        spelling = np.flatnonzero(in_bytes & ~closes)
        if len(spelling):
            self._advance_bytes(state, spelling, tokens[spelling] - FIRST_BYTE)

        constants = np.flatnonzero(closes | (phase == AT_CONSTANT) & ~spells)
        state.place[constants] += 1
        self._next_place(state, constants)

        operands = np.flatnonzero(phase == AT_OPERAND)
        state.unused[operands, tokens[operands] - FIRST_REF] = False
        state.place[operands] += 1
        self._next_place(state, operands)

    def _advance_bytes(self, state: GrammarState, rows: np.ndarray, symbols: np.ndarray) -> None:
        numbers_only = _TAKES_NUMBERS_ONLY[state.op[rows]]
        before = state.byte_state[rows]
        first, second = (automaton.next for automaton in self._automata)
        number_next = first[np.where(numbers_only, before, 0), symbols]
        any_next = second[np.where(numbers_only, 0, before), symbols]
        state.byte_state[rows] = np.where(numbers_only, number_next, any_next)
        state.byte_count[rows] += 1

    def _next_place(self, state: GrammarState, rows: np.ndarray) -> None:
        """The phase after an op, a constant or an operand; completes ops."""
        op, place = state.op[rows], state.place[rows]
        signature = _SIGNATURE_OF[op]
        constants = OP_CONSTANTS[op]
        complete = place >= constants + _ARITY[signature]
        state.phase[rows] = np.where(place < constants, AT_CONSTANT, AT_OPERAND)
        finished = rows[complete]
        state.phase[finished] = AT_OP
        ref = FIRST_OP + state.n_ops[finished]
        state.types[finished, ref] = _RESULT[signature[complete]]
        state.unused[finished, ref] = True
        state.n_ops[finished] += 1

    def refusal(self, ids: Iterable[int]) -> str:
        """Why a program's token ids (frames left out) are not allowed; empty if they are."""
        state = self.start(1)
        for number, token in enumerate([*ids, END]):
            if not self.mask(state)[0, token]:
                return f"token {number + 1} ({VOCABULARY[token]!r}) is not allowed there"
            self.advance(state, np.array([token]))
        return ""

    def walk(self, rows: int, rng: np.random.Generator) -> list[list[int]]:
        """Random walks through the mask, each token drawn evenly: ids without start and end."""
        state = self.start(rows)
        columns = []
        while not state.done.all():
            allowed_rows, allowed = np.nonzero(self.mask(state))
            counts = np.bincount(allowed_rows, minlength=rows)
            chosen = allowed[np.cumsum(counts) - 1 - (rng.random(rows) * counts).astype(np.int64)]
            self.advance(state, chosen)
            columns.append(chosen)
        tokens = np.stack(columns, axis=1)
        ends = (tokens == END).argmax(axis=1)
        return [row[:end].tolist() for row, end in zip(tokens, ends, strict=True)]


def allowed_tokens(grammar: Grammar, programs: np.ndarray) -> np.ndarray:
    """What the grammar allows after each prefix of true programs, bool [batch, length - 1, ids]."""
    state = grammar.start(len(programs))
    steps = []
    for place in range(1, programs.shape[1]):
        steps.append(grammar.mask(state))
        grammar.advance(state, programs[:, place])
    return np.stack(steps, axis=1)
