"""Candidate programs executed against the given weights: is an answer right?

The weights are run once on the inputs of their domain (all of them, or 4,096 seeded ones where
there are more); a candidate is evaluated on the same inputs. No true program is needed, or known.
Where a candidate is wrong, so is perhaps only its end: every sequence that it computes on its way
is compared too.

Many programs compute the same, so a verified candidate is compiled, too. A model whose embeddings
are zeros and ones is a compiled one, and hardly two programs compile to the same weights. Of a
trained model only the layers can be compared, with those of a student of the candidate.

- *verified*: the candidate and the weights agree at every position of every input, None and numbers
  as strictly as for a compiled model (`tracrlab.compiler.verification`);
- *plausible*: they agree at nine positions of ten or more, and more often than the best constant
  answer would. A trained model that is not exact itself can reach no more;
- *none*: less, or the candidate cannot be evaluated.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tracrlab.compiler.compiling import compile_table
from tracrlab.compiler.model import BOS, PAD, CompiledModel
from tracrlab.compiler.verification import (
    BATCH,
    TOLERANCE,
    model_inputs,
    read_outputs,
    wrong_outputs,
)
from tracrlab.decompiler.bank import Goal, Numbers
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.program import CATEGORICAL, FIRST_OP, Op, Program, function_key
from tracrlab.rasp.tables import SOpTable, Table
from tracrlab.rasp.truth_table import TruthTable, evaluate_op, input_tables
from tracrlab.students.sizes import uniform

VERIFIED, PLAUSIBLE, NONE = "verified", "plausible", "none"
VERDICTS = (VERIFIED, PLAUSIBLE, NONE)
#: Share of positions from which a candidate is plausible.
PLAUSIBLE_FROM = 0.9
#: How many ops' results are kept, at most, of the candidates of one model.
MOST_KNOWN = 256


@dataclass(frozen=True)
class Check:
    """What execution says of a candidate.

    Attributes:
      verdict: one of `VERDICTS`.
      agreement: share of the positions at which candidate and weights agree.
      inputs: on how many inputs both were run; 0 if the candidate could not be evaluated.
      reason: why it could not be evaluated; empty if it could.
      same_weights: whether it is verified and compiles to the very weights of the model.
      same_layers: whether it is verified, and its compiled model or a student of it has as many
        layers as the model, of the same sizes.
    """

    verdict: str
    agreement: float
    inputs: int
    reason: str = ""
    same_weights: bool = False
    same_layers: bool = False


@dataclass(frozen=True)
class Candidate:
    """A program that a meta-model wrote.

    Attributes:
      program: the program, in canonical form.
      log_probability: natural logarithm of its probability.
    """

    program: Program
    log_probability: float


@dataclass(frozen=True)
class Answer:
    """A candidate with what execution says of it.

    Attributes:
      candidate: the program, or the better part of one, and the probability of the whole.
      check: the result of execution.
      executed: the candidates that were executed until this one was chosen, each with its own
        agreement, as a whole.
    """

    candidate: Candidate
    check: Check
    executed: tuple[tuple[Candidate, float], ...]

    @property
    def tried(self) -> int:
        """How many candidates were executed."""
        return len(self.executed)


class Parts(NamedTuple):
    """A candidate, or the better part of one; see `Checker.check_parts`.

    Attributes:
      program: the candidate, or what it begins with.
      check: the result of execution.
      whole: the agreement of the candidate as a whole.
    """

    program: Program
    check: Check
    whole: float


class Checker:
    """Executes candidates against one model, whose outputs are computed once.

    Args:
      model: the model; its own program, if it has one, is not looked at.
      domain: the inputs; by default all over the model's vocabulary and length.

    Raises:
      TracrLabError: if the model's outputs are not finite.
    """

    def __init__(self, model: CompiledModel, domain: Domain | None = None):
        architecture = model.architecture
        if domain is None:
            symbols = [symbol for symbol in architecture.input_symbols if symbol not in (BOS, PAD)]
            domain = Domain(tuple(symbols), architecture.max_seq_len, architecture.causal)
        self.model, self.domain = model, domain
        embeddings = model.weights["token_embed"], model.weights["pos_embed"]
        #: Whether the model looks like a compiled one.
        self.compiled = all(np.isin(matrix, (0, 1)).all() for matrix in embeddings)
        self._inputs = input_tables(domain)
        #: What ops of candidates computed: candidates of one model are much alike.
        self._known: dict[Hashable, tuple[int, Table]] = {}
        rows = np.arange(len(domain.codes))
        parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        with np.errstate(over="ignore", invalid="ignore"):
            several = [model.logits(*model_inputs(model, domain, part))[:, 1:] for part in parts]
        logits = np.concatenate(several)
        if not np.isfinite(logits[domain.mask]).all():
            raise TracrLabError(
                "the model's outputs are not finite on some input; its weights are too large or "
                "damaged."
            )
        #: What it says on every input, as its outputs are read.
        self._said = read_outputs(model, logits)
        self._positions = int(np.count_nonzero(domain.mask))
        #: Share of the positions at which the commonest output stands.
        self.constant = self._commonest(logits[domain.mask])

    def _commonest(self, logits: np.ndarray) -> float:
        if self.model.output_encoding == CATEGORICAL:
            answers = self._said[self.domain.mask]
        else:
            answers = np.round(logits[:, 0] / TOLERANCE)
        return float(np.unique(answers, return_counts=True)[1].max() / len(answers))

    def check(self, program: Program) -> Check:
        """Executes a candidate."""
        return self._check(program, *self._run(program))

    def goal(self) -> Goal:
        """What the model says on a sample of the inputs."""
        numbers, encoding = Numbers(), self.model.output_encoding
        said = self._said
        if encoding == CATEGORICAL:
            said = numbers.of(self.model.output_values)[said]
        return Goal.sampled(self.domain, said, encoding, numbers)

    def settles(self, check: Check) -> bool:
        """Whether the search may end: verified, and the program itself as far as one can tell."""
        known = check.same_weights if self.compiled else check.same_layers
        return check.verdict == VERIFIED and known

    def _check(self, program: Program, tables: Sequence[Table | None], reason: str) -> Check:
        check = self._compare(program, tables[-1], reason)
        if check.verdict != VERIFIED:
            return check
        try:
            other = compile_table(TruthTable(program, self.domain, tuple(tables)))
        except TracrLabError:
            return check
        sizes = other.architecture
        layers = sizes.layers, uniform(sizes, sizes.d_model).layers
        return replace(
            check,
            same_weights=_same_weights(other, self.model),
            same_layers=self.model.architecture.layers in layers,
        )

    def _run(self, program: Program) -> tuple[list[Table | None], str]:
        """Evaluates every op that can be: None for others, and why the first of them cannot."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        tables: list[Table | None] = list(self._inputs)
        keys: list[int | None] = [*range(len(tables))]
        reason = ""
        for op, name in zip(program.ops, program.names, strict=True):
            # What an op computes is told by its own, and by the numbers of what its operands do.
            own = op.kind, function_key(op.function), op.encoding
            key = (*own, *(keys[ref] for ref in op.operands))
            number, table = self._known.get(key, (None, None))
            if table is None:
                table, why = self._evaluated(op, tables, name)
                reason = reason or why
                if table is not None:
                    number = FIRST_OP + len(self._known)
                    self._known[key] = number, table
            keys.append(number)
            tables.append(table)
        return tables, reason

    def _evaluated(
        self, op: Op, tables: Sequence[Table | None], name: str
    ) -> tuple[Table | None, str]:
        """An op's table, or None and why there is none."""
        if any(tables[ref] is None for ref in op.operands):
            return None, ""
        try:
            return evaluate_op(op, tables, self.domain, name), ""
        except (TracrLabError, OverflowError) as error:
            return None, str(error)

    def _compare(self, program: Program, output: Table | None, reason: str = "") -> Check:
        """Compares the weights with a program's output; None where it cannot be evaluated."""
        if output is None:
            return Check(NONE, 0.0, 0, reason)
        if self.model.output_encoding != CATEGORICAL and not output.numeric:
            reason = "its output is not a number, and that of the model is"
            return Check(NONE, 0.0, 0, reason)
        table = TruthTable(program, self.domain, (output,))
        wrong = wrong_outputs(self.model, self._said, table, slice(None))
        mistakes = int(np.count_nonzero(wrong))
        agreement = 1 - mistakes / self._positions
        if not mistakes:
            verdict = VERIFIED
        elif agreement >= PLAUSIBLE_FROM and agreement > self.constant:
            verdict = PLAUSIBLE
        else:
            verdict = NONE
        return Check(verdict, agreement, len(self.domain.codes))

    def check_parts(self, program: Program) -> Parts:
        """Executes a candidate and, where it is not verified, every program that it begins with.

        Returns:
          the candidate, or the program ending at an earlier op of it that does better; the first of
          equals, the candidate before all.
        """
        tables, reason = self._run(program)
        best = program, self._check(program, tables, reason)
        whole = best[1].agreement
        for number, table in enumerate(tables[FIRST_OP:-1]):
            if best[1].verdict == VERIFIED:
                break
            if isinstance(table, SOpTable):
                part = Program.of(program.ops[: number + 1])
                check = self._compare(part, table)
                if check.verdict == VERIFIED:
                    check = self.check(part)  # which compiles it
                best = max(best, (part, check), key=lambda one: rank(one[1]))
        return Parts(*best, whole)

    def best(self, candidates: Iterable[Candidate]) -> Answer | None:
        """Executes candidates in turn, until one settles it as a whole; their parts come second.

        Returns:
          the first that settles it; else the first of the best by `rank`; None if there is no
          candidate.
        """
        best: tuple[Candidate, Check] | None = None
        executed = []
        for candidate in candidates:
            program, result, whole = self.check_parts(candidate.program)
            executed.append((candidate, whole))
            if self.settles(result) and program == candidate.program:
                return Answer(candidate, result, tuple(executed))
            if best is None or rank(result) > rank(best[1]):
                best = replace(candidate, program=program), result
        return None if best is None else Answer(*best, tuple(executed))


def rank(check: Check) -> tuple[int, bool, bool, float]:
    """The better check is the larger: by verdict, weights, layers and agreement."""
    verdict = -VERDICTS.index(check.verdict)
    return verdict, check.same_weights, check.same_layers, check.agreement


def _same_weights(one: CompiledModel, other: CompiledModel) -> bool:
    return (
        one.architecture == other.architecture
        and one.output_values == other.output_values
        and all(np.array_equal(value, other.weights[name]) for name, value in one.weights.items())
    )
