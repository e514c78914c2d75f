"""Candidate programs executed against the given weights: is an answer right?

The weights are run once on the inputs of their domain (all of them, or 4,096 seeded ones where
there are more); a candidate is evaluated on the same inputs. No true program is needed, or known.
Where a candidate is wrong, so is perhaps only its end: every sequence that it computes on its way
is compared too.

- *verified*: the candidate and the weights agree at every position of every input, None and numbers
  as strictly as for a compiled model (`tracrlab.compiler.verification`);
- *plausible*: they agree at nine positions of ten or more, and more often than the best constant
  answer would. A trained model that is not exact itself can reach no more;
- *none*: less, or the candidate cannot be evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from tracrlab.compiler.model import BOS, PAD, PRESENT, CompiledModel
from tracrlab.compiler.verification import BATCH, TOLERANCE, compare_outputs, model_inputs
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.program import CATEGORICAL, FIRST_OP, Program
from tracrlab.rasp.tables import SOpTable, Table
from tracrlab.rasp.truth_table import TruthTable, evaluate_op, input_tables

VERIFIED, PLAUSIBLE, NONE = "verified", "plausible", "none"
VERDICTS = (VERIFIED, PLAUSIBLE, NONE)
#: Share of positions from which a candidate is plausible.
PLAUSIBLE_FROM = 0.9


@dataclass(frozen=True)
class Check:
    """What execution says of a candidate.

    Attributes:
      verdict: one of `VERDICTS`.
      agreement: share of the positions at which candidate and weights agree.
      inputs: on how many inputs both were run; 0 if the candidate could not be evaluated.
      reason: why it could not be evaluated; empty if it could.
    """

    verdict: str
    agreement: float
    inputs: int
    reason: str = ""


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
      tried: how many candidates were executed until this one was chosen.
    """

    candidate: Candidate
    check: Check
    tried: int


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
        self._rows = np.arange(len(domain.codes))
        parts = [self._rows[start : start + BATCH] for start in range(0, len(self._rows), BATCH)]
        with np.errstate(over="ignore", invalid="ignore"):
            logits = [model.logits(*model_inputs(model, domain, part))[:, 1:] for part in parts]
        self._logits = np.concatenate(logits)
        self._positions = int(np.count_nonzero(domain.mask))
        if not np.isfinite(self._logits[domain.mask]).all():
            raise TracrLabError(
                "the model's outputs are not finite on some input; its weights are too large or "
                "damaged."
            )
        #: Share of the positions at which the commonest output stands.
        self.constant = self._commonest()

    def _commonest(self) -> float:
        said = self._logits[self.domain.mask]
        if self.model.output_encoding == CATEGORICAL:
            none = said.shape[1]
            answers = np.where(said.max(axis=1) >= PRESENT, said.argmax(axis=1), none)
        else:
            answers = np.round(said[:, 0] / TOLERANCE)
        return float(np.unique(answers, return_counts=True)[1].max() / len(said))

    def check(self, program: Program) -> Check:
        """Executes a candidate."""
        tables, reason = self._run(program)
        return self._compare(program, tables[-1], reason)

    def _run(self, program: Program) -> tuple[list[Table | None], str]:
        """Evaluates every op that can be: None for others, and why the first of them cannot."""
        tables: list[Table | None] = list(input_tables(self.domain))
        reason = ""
        for op, name in zip(program.ops, program.names, strict=True):
            table = None
            if all(tables[ref] is not None for ref in op.operands):
                try:
                    table = evaluate_op(op, tables, self.domain, name)
                except (TracrLabError, OverflowError) as error:
                    reason = reason or str(error)
            tables.append(table)
        return tables, reason

    def _compare(self, program: Program, output: Table | None, reason: str = "") -> Check:
        """Compares the weights with a program's output; None where it cannot be evaluated."""
        if output is None:
            return Check(NONE, 0.0, 0, reason)
        if self.model.output_encoding != CATEGORICAL and not output.numeric:
            reason = "its output is not a number, and that of the model is"
            return Check(NONE, 0.0, 0, reason)
        table = TruthTable(program, self.domain, (output,))
        wrong, _ = compare_outputs(self.model, self._logits, table, self._rows)
        mistakes = int(np.count_nonzero(wrong))
        agreement = 1 - mistakes / self._positions
        if not mistakes:
            verdict = VERIFIED
        elif agreement >= PLAUSIBLE_FROM and agreement > self.constant:
            verdict = PLAUSIBLE
        else:
            verdict = NONE
        return Check(verdict, agreement, len(self._rows))

    def check_parts(self, program: Program) -> tuple[Program, Check]:
        """Executes a candidate and, where it is not verified, every program that it begins with.

        Returns:
          the candidate, or the program ending at an earlier op of it that does better; the first of
          equals, the candidate before all.
        """
        tables, reason = self._run(program)
        best = program, self._compare(program, tables[-1], reason)
        for number, table in enumerate(tables[FIRST_OP:-1]):
            if best[1].verdict == VERIFIED:
                break
            if isinstance(table, SOpTable):
                part = Program.of(program.ops[: number + 1])
                check = self._compare(part, table)
                best = max(best, (part, check), key=lambda one: _rank(one[1]))
        return best

    def best(self, candidates: Iterable[Candidate]) -> Answer | None:
        """Executes candidates in turn, until one is verified as a whole; their parts come second.

        Returns:
          the first that is verified; else the best verdict, then the largest agreement, then the
          first; None if there is no candidate.
        """
        best: tuple[Candidate, Check] | None = None
        tried = 0
        for candidate in candidates:
            program, result = self.check_parts(candidate.program)
            tried += 1
            if result.verdict == VERIFIED and program == candidate.program:
                return Answer(candidate, result, tried)
            if best is None or _rank(result) > _rank(best[1]):
                best = replace(candidate, program=program), result
        return None if best is None else Answer(*best, tried)


def _rank(check: Check) -> tuple[int, float]:
    return -VERDICTS.index(check.verdict), check.agreement
