"""Programs that end in what candidates compute: what is tried where no candidate is right.

Candidates that are wrong as a whole compute much that is right on their way. What all of them
compute is a bank of sequences and selectors, and what likely candidates compute is likely. Every
op that could follow is run on a few inputs, and after those results every last op. What gives the
model's outputs there is a candidate of its own, and is executed like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tracrlab.decompiler.bank import Bank, Goal, Step, members
from tracrlab.decompiler.next_ops import Block, NextOps, Rows, Selectors
from tracrlab.rasp.presets import ARRAY_FUNCTIONS, Preset, constants
from tracrlab.rasp.primitives import SELECT, Primitive, constant_count
from tracrlab.rasp.program import CATEGORICAL, NUMERICAL, Program

if TYPE_CHECKING:
    from tracrlab.decompiler.checking import Candidate

#: Inputs of the bank's sample that results are searched on: about so many positions.
_SEARCHED, _PLACES = 20, 120
#: Sequences of either encoding and selectors of the bank, likeliest first: those that a last op is
#: tried on, and those that two ops are.
_WIDE, _NARROW = (320, 128), (56, 40)
#: Sequences that new Selects compare, and results of one op that a last op is tried on.
_COMPARED, _KEPT = 24, 8000
#: Ways to compute what is in the bank that are looked for, of each.
_WAYS = 16
#: Rounds in which ops are exchanged for others that compute the same, and of how many programs.
_EXCHANGES, _EXCHANGED = 2, 16


class Endings:
    """Searches for programs that go on from a bank and give what a model says.

    Args:
      bank: what candidates compute.
      goal: what the model says on the bank's sample.
      preset: the functions that are tried.
      max_ops: the longest program.
    """

    def __init__(self, bank: Bank, goal: Goal, preset: Preset, max_ops: int):
        self._bank, self._goal, self._preset, self._max_ops = bank, goal, preset, max_ops
        searched = min(_SEARCHED, max(_PLACES // bank.domain.max_seq_len, 4))
        self._mask = bank.domain.mask[:searched]
        self._wanted = goal.outputs[: len(self._mask)][self._mask]
        self._tolerance = _tolerance(self._wanted)
        self._numbers = goal.numbers
        self._ops = NextOps(self._mask, goal.numbers, self._wanted, preset, max_ops)
        wide = [bank.likeliest(one, _WIDE[0], max_ops - 1) for one in (CATEGORICAL, NUMERICAL)]
        selectors = bank.likeliest(None, _WIDE[1], max_ops - 1)
        needed = 0
        for number in (*wide[0], *wide[1], *selectors):
            needed |= bank.before[number]
        self._column = {number: column for column, number in enumerate(members(needed))}
        self._wide = {
            encoding: self._rows(numbers)
            for encoding, numbers in zip((CATEGORICAL, NUMERICAL), wide, strict=True)
        }
        self._known = self._selectors(
            selectors, [bank.tables[number].matrix for number in selectors]
        )

    def found(self, count: int) -> list[Step]:
        """At most `count` last steps whose results are the goal's outputs, likely ones first."""
        encoding = self._goal.encoding
        narrow = {name: rows.first(_NARROW[0]) for name, rows in self._wide.items()}
        known = self._known.take(slice(_NARROW[1]))
        new = self._new_selectors(narrow[CATEGORICAL].first(_COMPARED))
        hits = [
            *self._right(self._ops.mapped(self._wide.values(), encoding)),
            *self._right(self._ops.paired(self._wide[encoding], self._wide[encoding], encoding)),
            *self._right(self._ops.aggregated(self._known, self._wide[encoding], encoding)),
            *self._right(self._ops.aggregated(new, narrow[encoding], encoding)),
            *self._right(self._ops.counted(self._known.joined(new), encoding)),
        ]
        first = {one: self._first(narrow, known, new, one) for one in (CATEGORICAL, NUMERICAL)}
        if len(hits) < count:
            hits += self._right(self._ops.mapped(first.values(), encoding))
            hits += self._right(self._ops.paired(first[encoding], narrow[encoding], encoding))
            hits += self._right(self._ops.aggregated(known, first[encoding], encoding))
        hits.sort(key=lambda hit: -hit[0])
        confirmed = []
        for _, step in hits[: 8 * count]:
            if self._confirmed(step):
                confirmed.append(step)
                if len(confirmed) == count:
                    break
        return confirmed

    def programs(self, count: int) -> list[Program]:
        """The programs that end in these steps."""
        programs = dict.fromkeys(self._bank.program(step) for step in self.found(count))
        return [program for program in programs if len(program) <= self._max_ops]

    def _confirmed(self, step: Step) -> bool:
        """Whether a step gives the outputs of the whole sample."""
        table = self._bank.evaluated(step)
        if table is None:
            return False
        mask = self._goal.domain.mask
        given, wanted = self._numbers.of(table.values)[table.codes[mask]], self._goal.outputs[mask]
        return bool((np.abs(given - wanted) <= _tolerance(wanted)).all())

    def _right(self, blocks: Iterable[Block]) -> list[tuple[float, Step]]:
        hits = []
        for block in blocks:
            near = np.abs(block.values[:, :24] - self._wanted[:24]) <= self._tolerance[:24]
            rows = np.flatnonzero(near.all(axis=1) & (block.ops <= self._max_ops))
            near = np.abs(block.values[rows] - self._wanted) <= self._tolerance
            for row in rows[near.all(axis=1)].tolist():
                hits.append((float(block.likely[row]), block.step(row)))
        return hits

    # What stands on the inputs.

    def _rows(self, numbers: Sequence[int]) -> Rows:
        values = np.zeros((len(numbers), len(self._wanted)), dtype=np.float32)
        for row, number in zip(values, numbers, strict=True):
            table = self._bank.tables[number]
            row[:] = self._numbers.of(table.values)[table.codes[: len(self._mask)][self._mask]]
        return Rows(values, numbers, self._likely(numbers), self._needs(numbers))

    def _selectors(
        self, what: Sequence[int | Step], matrices: Sequence[np.ndarray], new: int = 0
    ) -> Selectors:
        """Selectors of the bank, from [keys, queries, inputs], or new ones, from the inputs on."""
        inputs, positions = self._mask.shape
        stacked = np.zeros((len(what), inputs, positions, positions), dtype=np.float32)
        for number, matrix in enumerate(matrices):
            stacked[number] = matrix if new else matrix[..., :inputs].transpose(2, 0, 1)
        return Selectors(
            stacked, what, self._likely(what), self._needs(what), np.full(len(what), new)
        )

    def _likely(self, what: Sequence[int | Step]) -> np.ndarray:
        def one(what: int | Step) -> float:
            return (
                self._bank.likely[what] if isinstance(what, int) else sum(map(one, what.operands))
            )

        return np.array([one(each) for each in what], dtype=np.float64)

    def _needs(self, what: Sequence[int | Step]) -> np.ndarray:
        needs = np.zeros((len(what), len(self._column)), dtype=np.float32)
        for row, one in zip(needs, what, strict=True):
            row[[self._column[number] for number in members(self._bank.needs(one))]] = 1
        return needs

    def _new_selectors(self, rows: Rows) -> Selectors:
        """Every other Select of two of these; one for each way of selecting."""
        grid = self._ops.grid(rows.values)
        valid = self._mask[:, :, None] & self._mask[:, None, :]
        if self._goal.domain.causal:
            valid = valid & np.tri(self._mask.shape[1], dtype=bool).T
        whole = np.flatnonzero(~rows.none.any(axis=1)).tolist()
        seen = {matrix.astype(bool).tobytes(): 0 for matrix in self._known.matrices}
        steps, matrices = [], []

        def look(function: Primitive, key: int, query: int, selected: np.ndarray) -> None:
            matrix = selected & valid
            name = matrix.tobytes()
            step = Step(SELECT, function, None, (rows.what[key], rows.what[query]))
            if name not in seen:
                seen[name] = _WAYS
                steps.append(step)
                matrices.append(matrix)
            elif seen[name] < _WAYS:
                seen[name] += 1
                self._bank.offer(step)

        for template in self._preset.predicates:
            for key in whole:
                keys = grid[:, key, :, None]
                if template == "True":
                    look(Primitive(SELECT, template), key, key, np.True_)
                elif constant_count(template):
                    values = self._bank.tables[rows.what[key]].values
                    for one in constants(values):
                        given = self._numbers.of([one])[0]
                        selected = ARRAY_FUNCTIONS[template](keys, keys, given)
                        look(Primitive(SELECT, template, (one,)), key, key, selected)
                else:
                    for query in whole:
                        selected = ARRAY_FUNCTIONS[template](keys, grid[:, query, None, :])
                        look(Primitive(SELECT, template), key, query, selected)
        return self._selectors(steps, matrices, new=1)

    def _first(
        self, rows: dict[str, Rows], known: Selectors, new: Selectors, encoding: str
    ) -> Rows:
        """What one op more gives beyond the bank, the likeliest of it."""
        own = rows[encoding]
        blocks = [
            *self._ops.mapped(rows.values(), encoding),
            *self._ops.paired(own, own, encoding),
            *self._ops.aggregated(known, own, encoding),
            *self._ops.counted(known.joined(new), encoding),
        ]
        kept = [np.flatnonzero(block.ops < self._max_ops) for block in blocks]
        values = np.concatenate(
            [block.values[one] for block, one in zip(blocks, kept, strict=True)]
        )
        likely = np.concatenate(
            [block.likely[one] for block, one in zip(blocks, kept, strict=True)]
        )
        block_of = np.repeat(np.arange(len(blocks)), [len(one) for one in kept])
        row_of = np.concatenate(kept)
        order = np.argsort(-likely, kind="stable")
        names, own_names = _names(values)[order], _names(own.values)
        ways = Counter()
        for one in np.flatnonzero(np.isin(names, own_names)).tolist():
            ways[names[one]] += 1
            if ways[names[one]] <= _WAYS:
                self._bank.offer(blocks[block_of[order[one]]].step(int(row_of[order[one]])))
        _, first = np.unique(names, return_index=True)
        first = np.sort(first[~np.isin(names[first], own_names)])
        chosen = order[first[np.ptp(values[order[first]], axis=1) > 0][:_KEPT]]
        steps = [blocks[block_of[one]].step(int(row_of[one])) for one in chosen]
        return Rows(values[chosen], steps, likely[chosen], self._needs(steps), 1)


def likeliest_endings(
    goal: Goal,
    candidates: Iterable[Candidate],
    scored: Callable[[Sequence[Program]], list[Candidate]],
    preset: Preset,
    max_ops: int,
    count: int,
) -> list[Candidate]:
    """Programs that give a goal's outputs and end in what candidates compute.

    Of what computes the same there are many ways to write it, and the meta-model knows which it
    has seen: ops of the likeliest are exchanged for others that compute the same.

    Args:
      goal: the outputs.
      candidates: what was executed.
      scored: gives programs their probabilities, most probable first, valid ones alone.
      preset: the functions that are tried.
      max_ops: the longest program.
      count: the most programs before ops are exchanged.

    Returns:
      candidates that are right on the goal's sample, most probable first.
    """
    bank = Bank(goal.domain)
    for one in sorted(candidates, key=lambda one: -one.log_probability):
        bank.add(one.program, one.log_probability)
    bank.shorten()
    found = scored(Endings(bank, goal, preset, max_ops).programs(count))
    for _ in range(_EXCHANGES):
        known = {one.program for one in found}
        others = dict.fromkeys(
            other
            for one in found[:_EXCHANGED]
            for other in bank.rewritten(one.program)
            if len(other) <= max_ops and other not in known
        )
        found += scored(list(others)[: 2 * count])
        found.sort(key=lambda one: -one.log_probability)
    return found


def _tolerance(wanted: np.ndarray) -> np.ndarray:
    return np.float32(1e-3) * np.maximum(1, np.abs(wanted))


def _names(values: np.ndarray) -> np.ndarray:
    """A number for each row, equal for equal rows."""
    weights = np.random.default_rng(0).standard_normal(values.shape[1])
    return np.round((np.round(values.astype(np.float64), 3) * weights).sum(axis=1), 6)
