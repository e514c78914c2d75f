"""Random programs, each a pure function of (seed, index).

Ops are added one by one to a scope that holds tokens and indices, with recency-weighted operands
(thesis section 4: w_n = 2 w_{n-1} - w_{n-2} + 1). Each new op is evaluated on every input at once
and refused where it is constant, repeats another op, is mostly None, or could not be compiled; the
program is done when an op has exactly the wanted number of ops behind it, itself counted. Every
refusal is counted by its reason.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np

from tracrlab.rasp.domain import Domain
from tracrlab.rasp.kernels import AveragedCategoriesError, pair_codes
from tracrlab.rasp.presets import Preset, map_menu, pair_menu, predicate_menu, preset
from tracrlab.rasp.primitives import (
    LINEAR_SEQUENCE_MAP,
    MAP,
    SELECT,
    SEQUENCE_MAP,
    Primitive,
)
from tracrlab.rasp.program import (
    AGGREGATE,
    CATEGORICAL,
    FIRST_OP,
    INDICES,
    NUMERICAL,
    SELECTOR_WIDTH,
    TOKENS,
    Op,
    Program,
    canonical,
)
from tracrlab.rasp.tables import SelectorTable, SOpTable, Table
from tracrlab.rasp.truth_table import (
    TruthTable,
    UndefinedProgramError,
    evaluate_op,
    input_tables,
)
from tracrlab.rasp.values import Value, is_number

#: Numbers beyond this size are refused: they would lose precision in float32 sums.
MAX_NUMBER = 1000
#: Numbers closer than this part of the largest one are not told apart by a later op.
MIN_GAP = 1e-3
#: Ops proposed for a program of n ops before it is begun anew: this many times n.
PATIENCE = 20


@dataclass(frozen=True)
class SamplerSettings:
    """What to sample.

    Attributes:
      vocab, max_seq_len, causal: the domain.
      min_ops, max_ops: program length, inclusive; indices go through all lengths in turn.
      preset: name of the distribution.
      max_none: largest share of positions at which an op may be None.
      max_values: largest number of values of a categorical op.
    """

    vocab: tuple[Value, ...]
    max_seq_len: int
    causal: bool = False
    min_ops: int = 3
    max_ops: int = 8
    preset: str = "default"
    max_none: float = 0.5
    max_values: int = 32

    @property
    def domain(self) -> Domain:
        return Domain(self.vocab, self.max_seq_len, self.causal)


@dataclass(frozen=True)
class Sampled:
    """A sampled program.

    Attributes:
      index: its index.
      table: the program, in canonical form, on every input.
      rejections: ops and programs refused on the way, by reason.
    """

    index: int
    table: TruthTable
    rejections: Counter[str]

    @property
    def program(self) -> Program:
        return self.table.program


def sample(settings: SamplerSettings, seed: int, index: int) -> Sampled:
    """Samples one program; the same for the same settings, seed and index, wherever it is run."""
    lengths = settings.max_ops - settings.min_ops + 1
    sampler = _Sampler(settings, random.Random(f"tracrlab {seed} {index}"))
    table = sampler.run(settings.min_ops + index % lengths)
    return Sampled(index, table, sampler.rejections)


class _Refused(Exception):
    """An op that is not taken; the argument is the reason."""


@dataclass
class _Scope:
    """What has been computed so far: one entry for each operand number."""

    tables: list[Table]
    encodings: list[str | None] = field(default_factory=lambda: [CATEGORICAL, CATEGORICAL])
    ancestors: list[int] = field(default_factory=lambda: [0, 0])  # sets of ops, as bits
    ops: list[Op] = field(default_factory=list)
    seen: set = field(default_factory=set)

    def refs(self, *encodings: str | None) -> list[int]:
        return [ref for ref, encoding in enumerate(self.encodings) if encoding in encodings]


class _Sampler:
    def __init__(self, settings: SamplerSettings, rng: random.Random):
        self.settings = settings
        self.preset: Preset = preset(settings.preset)
        self.domain = settings.domain
        self.positions = int(np.count_nonzero(self.domain.mask))
        self.rejections: Counter[str] = Counter()
        self.random = rng.random
        self.kinds = [kind for kind, _ in self.preset.kinds]
        self.kind_weights = list(accumulate(weight for _, weight in self.preset.kinds))

    def run(self, length: int) -> TruthTable:
        """A program of exactly `length` ops."""
        while True:
            scope = _Scope(list(_inputs(self.domain)))
            scope.seen.update((CATEGORICAL, table.fingerprint) for table in scope.tables)
            for _ in range(PATIENCE * length):
                try:
                    done = self._add_op(scope, length)
                except _Refused as refused:
                    self.rejections[str(refused)] += 1
                    continue
                if done:
                    return self._finish(scope)
            self.rejections["restarted"] += 1

    def _finish(self, scope: _Scope) -> TruthTable:
        """Brings the last op's program, and its tables, into canonical form."""
        program, origins = canonical(scope.ops)
        if all(is_number(symbol) for symbol in self.settings.vocab):
            # Sums of numbers, unlike those of strings, commute.
            while any(_is_unordered_sum(op) for op in program.ops):
                program, again = canonical([_ordered_sum(op) for op in program.ops])
                origins = [origins[number] for number in again]
        tables = scope.tables[:FIRST_OP]
        refs = [TOKENS, INDICES, *(origin + FIRST_OP for origin in origins)]
        for op, ref in zip(program.ops, refs[FIRST_OP:], strict=True):
            table = scope.tables[ref]
            if scope.ops[ref - FIRST_OP].operands != tuple(
                refs[operand] for operand in op.operands
            ):
                table = replace(table, mapping=table.mapping.T)  # the operands were exchanged
            tables.append(table)
        return TruthTable(program, self.domain, tuple(tables))

    def _add_op(self, scope: _Scope, length: int) -> bool:
        """Proposes an op and adds it; whether it completes the program."""
        op = self._propose(scope)
        ancestors = 1 << len(scope.ops)
        for ref in op.operands:
            ancestors |= scope.ancestors[ref]
        count = ancestors.bit_count()
        if count > length or (count == length and op.is_selector):
            raise _Refused("too long")
        try:
            table = evaluate_op(op, scope.tables, self.domain, average=False)
        except UndefinedProgramError:
            raise _Refused("undefined") from None
        except AveragedCategoriesError:
            raise _Refused("averages categories") from None
        self._check(op, table, scope)
        fingerprint = (op.encoding, table.fingerprint)
        if fingerprint in scope.seen:
            raise _Refused("duplicate")
        scope.seen.add(fingerprint)
        scope.tables.append(table)
        scope.encodings.append(op.encoding)
        scope.ancestors.append(ancestors)
        scope.ops.append(op)
        return count == length

    def _check(self, op: Op, table: Table, scope: _Scope) -> None:
        if isinstance(table, SelectorTable):
            if table.selects_none:
                raise _Refused("selects None")
            if not table.matrix.any():
                raise _Refused("constant")
            return
        if len(table.values) < 2:
            raise _Refused("constant")
        if table.nones > self.settings.max_none * self.positions:
            raise _Refused("mostly None")
        if op.encoding == NUMERICAL:
            if table.nones:
                raise _Refused("numerical None")
            if not table.numeric:
                raise _Refused("not a number")
        elif len(table.values) > self.settings.max_values:
            raise _Refused("too many values")
        if table.numeric and max(abs(table.values[0]), abs(table.values[-1])) > MAX_NUMBER:
            raise _Refused("too large numbers")
        if op.kind == MAP and scope.encodings[op.operands[0]] == NUMERICAL:
            numbers = np.array(scope.tables[op.operands[0]].values, dtype=np.float64)
            gaps = np.diff(numbers)[np.diff(table.mapping) != 0]
            if gaps.min(initial=np.inf) < MIN_GAP * max(1.0, np.abs(numbers).max()):
                raise _Refused("too close numbers")

    def _below(self, count: int) -> int:
        return int(self.random() * count)

    def _recent(self, refs: list[int]) -> int:
        """One of the refs, later ones preferred: the n-th has weight n (n + 1) / 2."""
        if not refs:
            raise _Refused("no operand")
        weights = list(accumulate(n * (n + 1) // 2 for n in range(1, len(refs) + 1)))
        return refs[bisect_right(weights, self._below(weights[-1]))]

    def _two(self, refs: list[int]) -> tuple[int, int]:
        first = self._recent(refs)
        return first, self._recent([ref for ref in refs if ref != first])

    def _encoding(self) -> str:
        return NUMERICAL if self.random() < self.preset.numerical else CATEGORICAL

    def _propose(self, scope: _Scope) -> Op:
        kind = self.kinds[bisect_right(self.kind_weights, self.random() * self.kind_weights[-1])]
        if kind == MAP:
            return self._map(scope)
        if kind == SEQUENCE_MAP:
            first, second = self._two(scope.refs(CATEGORICAL))
            pairs = _reached_pairs(scope.tables[first], scope.tables[second])
            function = self._draw(pair_menu(self.preset.sequence_maps, pairs))
            return Op(SEQUENCE_MAP, (first, second), function, CATEGORICAL)
        if kind == LINEAR_SEQUENCE_MAP:
            operands = self._two(scope.refs(NUMERICAL))
            factors = self.preset.factors[self._below(len(self.preset.factors))]
            function = Primitive(LINEAR_SEQUENCE_MAP, "a * x + b * y", factors)
            return Op(LINEAR_SEQUENCE_MAP, operands, function, NUMERICAL)
        if kind == SELECT:
            return self._select(scope)
        selector = self._recent(scope.refs(None))
        if kind == SELECTOR_WIDTH:
            return Op(SELECTOR_WIDTH, (selector,), None, self._encoding())
        operand = self._recent(scope.refs(CATEGORICAL, NUMERICAL))
        return Op(AGGREGATE, (selector, operand), None, scope.encodings[operand])

    def _map(self, scope: _Scope) -> Op:
        operand = self._recent(scope.refs(CATEGORICAL, NUMERICAL))
        noise = self.random() < self.preset.noise
        values = scope.tables[operand].values
        function = self._draw(map_menu(self.preset.maps, values, noise))
        encoding = self._encoding()
        if function.template == "x" and encoding == scope.encodings[operand]:
            raise _Refused("duplicate")
        return Op(MAP, (operand,), function, encoding)

    def _select(self, scope: _Scope) -> Op:
        refs = scope.refs(CATEGORICAL)
        keys, queries = self._recent(refs), self._recent(refs)
        function = self._draw(
            predicate_menu(
                self.preset.predicates, scope.tables[keys].values, scope.tables[queries].values
            )
        )
        if function.template == "True":
            keys = queries = TOKENS  # what it compares does not matter
        elif function.template in ("key == c", "key != c"):
            queries = INDICES if keys == INDICES else TOKENS  # nor does its query
        return Op(SELECT, (keys, queries), function, None)

    def _draw(self, menu) -> Primitive:
        row = menu.drawn[self._below(len(menu.drawn))]
        function = row[self._below(len(row))] if row else None
        if function is None:
            raise _Refused("constant")
        return function


_INPUTS: dict[Domain, tuple[SOpTable, SOpTable]] = {}


def _inputs(domain: Domain) -> tuple[SOpTable, SOpTable]:
    if domain not in _INPUTS:
        _INPUTS[domain] = input_tables(domain)
    return _INPUTS[domain]


def _is_unordered_sum(op: Op) -> bool:
    return (
        op.kind == SEQUENCE_MAP
        and op.function.template == "x + y"
        and op.operands[0] > op.operands[1]
    )


def _ordered_sum(op: Op) -> Op:
    return op._replace(operands=op.operands[::-1]) if _is_unordered_sum(op) else op


def _reached_pairs(first: SOpTable, second: SOpTable) -> tuple[tuple[Value, Value], ...]:
    combinations = np.argwhere(pair_codes(first, second)[1])
    if not len(combinations):
        raise _Refused("mostly None")
    return tuple((first.values[i], second.values[j]) for i, j in combinations.tolist())
