"""Programs that end in what candidates compute: what is tried where no candidate is right.

Candidates that are wrong as a whole compute much that is right on their way. What all of them
compute is a bank of sequences and selectors, and what likely candidates compute is likely. Every
op that could follow is run on a few inputs, and after those results every last op. What gives the
model's outputs there is a candidate of its own, and is executed like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracrlab.decompiler.bank import NONE, Bank, Goal, Step, members
from tracrlab.rasp.presets import ARRAY_FUNCTIONS, Preset, constants
from tracrlab.rasp.primitives import (
    COMMUTATIVE,
    LINEAR_SEQUENCE_MAP,
    MAP,
    SELECT,
    SEQUENCE_MAP,
    Primitive,
    constant_count,
)
from tracrlab.rasp.program import (
    AGGREGATE,
    CATEGORICAL,
    NUMERICAL,
    SELECTOR_WIDTH,
    Program,
)
from tracrlab.rasp.values import is_number

if TYPE_CHECKING:
    from tracrlab.decompiler.checking import Candidate

#: Inputs of the bank's sample that results are searched on: about so many positions.
_SEARCHED, _PLACES = 20, 120
#: Sequences of either encoding and selectors of the bank, likeliest first: those that a last op is
#: tried on, and those that two ops are.
_WIDE, _NARROW = (320, 128), (56, 40)
#: Sequences that new Selects compare, and results of one op that a last op is tried on.
_COMPARED, _KEPT = 24, 8000
#: Constants of a Map, the smallest of the values that are there.
_CONSTANTS = 16
#: Ways to compute what is in the bank that are looked for, of each.
_WAYS = 16
#: Rounds in which ops are exchanged for others that compute the same, and of how many programs.
_EXCHANGES, _EXCHANGED = 2, 16
#: Numbers that are computed at once, about.
_AT_ONCE = 400_000


@dataclass(frozen=True)
class _Rows:
    """Sequences on the inputs that are searched on.

    Attributes:
      values: float32 [sequences, places].
      what: a number of the bank or a step for each.
      likely: a logarithm for each, larger where it is likelier.
      needs: which numbers of the bank each needs, float32 [sequences, numbers].
      new: ops that each needs beyond the bank.
    """

    values: np.ndarray
    what: Sequence[int | Step]
    likely: np.ndarray
    needs: np.ndarray
    new: int = 0

    def __len__(self) -> int:
        return len(self.what)

    @cached_property
    def none(self) -> np.ndarray:
        """Where they are None, bool [sequences, places]."""
        return self.values == NONE

    @cached_property
    def ops(self) -> np.ndarray:
        """How many ops each needs, [sequences]."""
        return self.needs.sum(axis=1) + self.new

    def first(self, count: int) -> _Rows:
        return replace(
            self,
            values=self.values[:count],
            what=self.what[:count],
            likely=self.likely[:count],
            needs=self.needs[:count],
        )


@dataclass(frozen=True)
class _Selectors:
    """Selectors, in the same way; `matrices` is float32 [selectors, inputs, keys, queries]."""

    matrices: np.ndarray
    what: Sequence[int | Step]
    likely: np.ndarray
    needs: np.ndarray
    new: np.ndarray

    def __len__(self) -> int:
        return len(self.what)

    def take(self, rows: slice) -> _Selectors:
        return _Selectors(
            self.matrices[rows],
            self.what[rows],
            self.likely[rows],
            self.needs[rows],
            self.new[rows],
        )

    def joined(self, other: _Selectors) -> _Selectors:
        return _Selectors(
            np.concatenate([self.matrices, other.matrices]),
            [*self.what, *other.what],
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in ("likely", "needs", "new")
            ),
        )


class _Block(NamedTuple):
    """Results of one op on many operands.

    Attributes:
      values: float32 [results, places].
      likely: a logarithm for each.
      ops: how many ops each needs.
      step: the step of a result.
    """

    values: np.ndarray
    likely: np.ndarray
    ops: np.ndarray
    step: Callable[[int], Step]


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
        self._place = np.flatnonzero(self._mask.ravel())
        self._wanted = goal.outputs[: len(self._mask)][self._mask]
        self._tolerance = _tolerance(self._wanted)
        self._numbers = goal.numbers
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
            *self._right(self._mapped(self._wide.values(), encoding)),
            *self._right(self._paired(self._wide[encoding], self._wide[encoding], encoding)),
            *self._right(self._aggregated(self._known, self._wide[encoding], encoding)),
            *self._right(self._aggregated(new, narrow[encoding], encoding)),
            *self._right(self._counted(self._known.joined(new), encoding)),
        ]
        first = {one: self._first(narrow, known, new, one) for one in (CATEGORICAL, NUMERICAL)}
        if len(hits) < count:
            hits += self._right(self._mapped(first.values(), encoding))
            hits += self._right(self._paired(first[encoding], narrow[encoding], encoding))
            hits += self._right(self._aggregated(known, first[encoding], encoding))
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

    def _right(self, blocks: Iterable[_Block]) -> list[tuple[float, Step]]:
        hits = []
        for block in blocks:
            near = np.abs(block.values[:, :24] - self._wanted[:24]) <= self._tolerance[:24]
            rows = np.flatnonzero(near.all(axis=1) & (block.ops <= self._max_ops))
            near = np.abs(block.values[rows] - self._wanted) <= self._tolerance
            for row in rows[near.all(axis=1)].tolist():
                hits.append((float(block.likely[row]), block.step(row)))
        return hits

    # What stands on the inputs.

    def _rows(self, numbers: Sequence[int]) -> _Rows:
        values = np.zeros((len(numbers), len(self._place)), dtype=np.float32)
        for row, number in zip(values, numbers, strict=True):
            table = self._bank.tables[number]
            row[:] = self._numbers.of(table.values)[table.codes[: len(self._mask)][self._mask]]
        return _Rows(values, numbers, self._likely(numbers), self._needs(numbers))

    def _selectors(
        self, what: Sequence[int | Step], matrices: Sequence[np.ndarray], new: int = 0
    ) -> _Selectors:
        """Selectors of the bank, from [keys, queries, inputs], or new ones, from the inputs on."""
        inputs, positions = self._mask.shape
        stacked = np.zeros((len(what), inputs, positions, positions), dtype=np.float32)
        for number, matrix in enumerate(matrices):
            stacked[number] = matrix if new else matrix[..., :inputs].transpose(2, 0, 1)
        return _Selectors(
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

    def _grid(self, values: np.ndarray) -> np.ndarray:
        """Rows as [inputs, rows, positions]."""
        inputs, positions = self._mask.shape
        grid = np.full((len(values), inputs * positions), NONE, dtype=np.float32)
        grid[:, self._place] = values
        return np.ascontiguousarray(grid.reshape(-1, inputs, positions).transpose(1, 0, 2))

    # One op.

    def _mapped(self, operands: Iterable[_Rows], encoding: str) -> Iterator[_Block]:
        for rows in operands:
            if not len(rows):
                continue
            numbers = np.unique(np.append(rows.values[: _NARROW[0]], self._wanted)).tolist()
            values = self._numbers.values(numbers)
            plain = [one for one in values if is_number(one) and float(2 * one).is_integer()]
            choices = [(one,) for one in sorted(plain, key=abs)[:_CONSTANTS]]
            choices += [(one,) for one in values if not is_number(one)]
            for template in self._preset.maps:
                for chosen in choices if constant_count(template) else [()]:
                    yield self._map(rows, Primitive(MAP, template, chosen), encoding)

    def _map(self, rows: _Rows, function: Primitive, encoding: str) -> _Block:
        given = self._numbers.of(function.constants)[:-1]
        values = ARRAY_FUNCTIONS[function.template](rows.values, *given).astype(np.float32)
        np.copyto(values, NONE, where=rows.none)

        def step(row: int) -> Step:
            return Step(MAP, function, encoding, (rows.what[row],))

        return _Block(values, rows.likely, rows.ops + 1, step)

    def _paired(self, left: _Rows, right: _Rows, encoding: str) -> Iterator[_Block]:
        """SequenceMaps of categorical and LinearSequenceMaps of numerical sequences."""
        for column in range(len(right) if len(left) else 0):
            shared = left.needs @ right.needs[column]
            ops = left.ops + right.ops[column] - shared + 1
            short = np.flatnonzero(ops <= self._max_ops)
            if not len(short):
                continue
            values, other = left.values[short], right.values[column]
            none = left.none[short] | right.none[column]
            likely, ops = left.likely[short] + right.likely[column], ops[short]
            for function, on_arrays, turned in self._pair_functions(encoding):
                first, second = (other, values) if turned else (values, other)
                results = on_arrays(first, second).astype(np.float32)
                np.copyto(results, NONE, where=none)

                def step(row, short=short, column=column, function=function, turned=turned):
                    operands = left.what[short[row]], right.what[column]
                    operands = operands[::-1] if turned else operands
                    return Step(function.op, function, encoding, operands)

                yield _Block(results, likely, ops, step)

    def _pair_functions(self, encoding: str) -> Iterator[tuple[Primitive, Callable, bool]]:
        """Functions, what they do to arrays, and whether the operands are exchanged."""
        if encoding == NUMERICAL:
            for a, b in self._preset.factors:
                function = Primitive(LINEAR_SEQUENCE_MAP, "a * x + b * y", (a, b))
                for turned in (False, True)[: 1 + (a != b)]:
                    yield function, lambda x, y, a=a, b=b: a * x + b * y, turned
            return
        for template in self._preset.sequence_maps:
            commutes = template in COMMUTATIVE or template == "x + y"
            for turned in (False, True)[: 2 - commutes]:
                yield Primitive(SEQUENCE_MAP, template), ARRAY_FUNCTIONS[template], turned

    def _aggregated(self, selectors: _Selectors, rows: _Rows, encoding: str) -> Iterator[_Block]:
        if not len(rows):
            return
        grid = self._grid(rows.values)
        none = grid == NONE
        values = np.where(none, np.float32(0), grid)
        squares = values * values
        at_once = max(1, _AT_ONCE // grid.size)
        for start in range(0, len(selectors), at_once):
            part = selectors.take(slice(start, start + at_once))
            shared = part.needs @ rows.needs.T
            ops = part.needs.sum(axis=1)[:, None] + part.new[:, None] + rows.ops - shared + 1
            matrices = part.matrices
            counts = matrices.sum(axis=2)[:, :, None]
            total = values @ matrices
            result = total / np.maximum(counts, 1)
            good = ops <= self._max_ops
            if none.any():
                nones = none.astype(np.float32) @ matrices
                good &= ~((nones > 0) & (counts > 1)).any(axis=(1, 3))
                result = np.where(nones > 0, NONE, result)
            if encoding == CATEGORICAL:  # categories have no mean
                mixed = np.abs(squares @ matrices * counts - total * total) > 1e-2
                good &= ~(mixed & (counts > 1)).any(axis=(1, 3))
            default = NONE if encoding == CATEGORICAL else np.float32(0)
            result = np.where(counts == 0, default, result)
            which, row = np.nonzero(good)
            flat = result.transpose(0, 2, 1, 3)[which, row].reshape(len(which), self._mask.size)

            def step(number: int, part=part, which=which, row=row) -> Step:
                operands = part.what[which[number]], rows.what[row[number]]
                return Step(AGGREGATE, None, encoding, operands)

            likely = part.likely[which] + rows.likely[row]
            yield _Block(flat[:, self._place], likely, ops[which, row], step)

    def _counted(self, selectors: _Selectors, encoding: str) -> Iterator[_Block]:
        widths = selectors.matrices.sum(axis=2).reshape(len(selectors), self._mask.size)
        ops = selectors.needs.sum(axis=1) + selectors.new + 1

        def step(row: int) -> Step:
            return Step(SELECTOR_WIDTH, None, encoding, (selectors.what[row],))

        yield _Block(widths[:, self._place], selectors.likely, ops, step)

    def _new_selectors(self, rows: _Rows) -> _Selectors:
        """Every other Select of two of these; one for each way of selecting."""
        grid = self._grid(rows.values)
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
        self, rows: dict[str, _Rows], known: _Selectors, new: _Selectors, encoding: str
    ) -> _Rows:
        """What one op more gives beyond the bank, the likeliest of it."""
        own = rows[encoding]
        blocks = [
            *self._mapped(rows.values(), encoding),
            *self._paired(own, own, encoding),
            *self._aggregated(known, own, encoding),
            *self._counted(known.joined(new), encoding),
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
        return _Rows(values[chosen], steps, likely[chosen], self._needs(steps), 1)


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
