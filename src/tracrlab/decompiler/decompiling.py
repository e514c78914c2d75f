"""From models to programs: candidates of a meta-model, executed against the weights.

What the meta-model says first is one answer, from the weights alone. Execution may choose another
candidate, and knows whether it is right; where none of the first few is, the search is made twice
as wide, and again, up to a limit: most models need few candidates and some need many. It also knows
something of whether a right one is the very program, and searches on where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tracrlab.compiler.model import CompiledModel
from tracrlab.decompiler.checking import NONE, Candidate, Check, Checker, rank
from tracrlab.decompiler.endings import likeliest_endings
from tracrlab.decompiler.grammar import Grammar
from tracrlab.decompiler.model_folder import Trained, load
from tracrlab.decompiler.proposing import Proposals, check_size, read
from tracrlab.decompiler.repairing import best_seeds
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.presets import preset
from tracrlab.rasp.program import Program

#: The decompiler that comes with the package.
SHIPPED = Path(__file__).parent / "shipped"
#: Candidates that are repaired in a round, and exchanges of each that are executed.
SEEDS, NEIGHBOURS = 4, 128


@dataclass(frozen=True)
class Search:
    """How widely candidates are searched for.

    Attributes:
      beams: candidates at first, and width of the beam search.
      most_beams: the widest search where none of them is verified.
      repairs: rounds in which, where none is verified still, the candidates that came closest
        have each token exchanged (`tracrlab.decompiler.repairing`).
      endings: where none is verified, before repair and after it, the most programs that are
        executed which end in what the candidates compute (`tracrlab.decompiler.endings`).
      verify: whether candidates are executed against the weights at all.
    """

    beams: int = 4
    most_beams: int = 64
    repairs: int = 0
    endings: int = 0
    verify: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.beams <= self.most_beams:
            raise TracrLabError(
                f"a search has at least one beam and at most most_beams; {self.beams} and "
                f"{self.most_beams} were given."
            )


@dataclass(frozen=True)
class Answer:
    """What is said of one model.

    Attributes:
      lines: the meta-model's first answer as the thesis's lines, int64 [15, 5].
      first: its most probable program, from the weights alone; None where it wrote no program.
      chosen: the program, or part of one, that execution chose; `first` where nothing was executed.
      check: what execution says of `chosen`; None where nothing was executed.
      tried: how many candidates were executed.
    """

    lines: np.ndarray
    first: Candidate | None
    chosen: Candidate | None
    check: Check | None = None
    tried: int = 0

    @property
    def program(self) -> Program | None:
        """The answer."""
        return self.chosen and self.chosen.program

    @property
    def confidence(self) -> float:
        """The meta-model's probability of the candidate that was chosen, from 0 to 1.

        Where only a part of it was taken, of the whole.
        """
        return math.exp(min(self.chosen.log_probability, 0.0)) if self.chosen else 0.0

    @property
    def verdict(self) -> str:
        """verified, plausible or none; empty where nothing was executed."""
        return self.check.verdict if self.check else ""


class Decompiler:
    """A trained meta-model, put to use.

    Args:
      trained: the meta-model and what it is.
    """

    def __init__(self, trained: Trained):
        self.model, self.description = trained
        # Programs of the zoos have constants with tokens of their own; none is spelled in bytes.
        self.grammar = Grammar.of_preset(
            self.description.preset, self.description.max_ops, spelled="none"
        )

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> Decompiler:
        """A decompiler from its folder; see `model_folder.load`."""
        return cls(load(folder, device))

    def check_size(self, model: CompiledModel) -> None:
        """Raises TracrLabError where a model is larger than what this decompiler reads."""
        check_size(model, self.description)

    def decompile(
        self,
        models: Sequence[CompiledModel],
        search: Search | None = None,
        domains: Sequence[Domain | None] | None = None,
    ) -> list[Answer]:
        """Programs for models that are read together, one answer for each.

        Args:
          models: the models; their own programs, if they have any, are not looked at.
          search: how widely candidates are searched for.
          domains: the inputs that each is run on, where they are not all.

        Raises:
          TracrLabError: if a model is larger than the decompiler's limits, or its weights or
            outputs are not finite.
        """
        search = search or Search()
        if not models:
            return []
        proposals = read(self.model, self.description, self.grammar, models)
        found = proposals.candidates(range(len(models)), search.beams)
        first = [candidates[0] if candidates else None for candidates in found]
        lines = proposals.lines(first)
        if not search.verify:
            return [Answer(*parts) for parts in zip(lines, first, first, strict=True)]
        domains = domains or [None] * len(models)
        trials = [
            _Trial(Checker(model, domain)) for model, domain in zip(models, domains, strict=True)
        ]
        for trial, candidates in zip(trials, found, strict=True):
            trial.execute(candidates)
        _widen(proposals, trials, search)
        for row, trial in enumerate(trials):
            self._end(proposals, row, trial, search.endings)
            if search.repairs:
                _repair(proposals, row, trial, search.repairs)
                self._end(proposals, row, trial, search.endings)
        return [
            Answer(line, one, trial.chosen, trial.check or _NO_PROGRAM, len(trial.seen))
            for line, one, trial in zip(lines, first, trials, strict=True)
        ]

    def _end(self, proposals: Proposals, row: int, trial: _Trial, count: int) -> None:
        """Executes what ends in what the candidates compute, the likeliest first."""
        if trial.settled or not count:
            return
        trial.execute(
            likeliest_endings(
                trial.checker.goal(),
                [one for one, _ in trial.executed],
                lambda programs: proposals.scored(row, programs),
                preset(self.description.preset),
                self.description.max_ops,
                count,
            )
        )


_NO_PROGRAM = Check(NONE, 0.0, 0, "the meta-model wrote no program")


class _Trial:
    """The candidates of one model that were executed, and the best of them."""

    def __init__(self, checker: Checker):
        self.checker = checker
        self.seen: set[Program] = set()
        self.executed: list[tuple[Candidate, float]] = []
        self.chosen: Candidate | None = None
        self.check: Check | None = None

    @property
    def settled(self) -> bool:
        return self.check is not None and self.checker.settles(self.check)

    def execute(self, candidates: Sequence[Candidate]) -> None:
        """Executes those that are new, until one settles it."""
        # Programs over numbers may be one over letters: the likeliest stands for them.
        fresh: dict[Program, Candidate] = {}
        for one in candidates:
            if one.program not in self.seen:
                fresh.setdefault(one.program, one)
        answer = self.checker.best(fresh.values())
        if answer is None:
            return
        self.executed += answer.executed
        self.seen.update(one.program for one, _ in answer.executed)
        if self.check is None or rank(answer.check) > rank(self.check):
            self.chosen, self.check = answer.candidate, answer.check


def _widen(proposals: Proposals, trials: Sequence[_Trial], search: Search) -> None:
    """Doubles the search for models that no candidate settles."""
    beams = search.beams
    while beams < search.most_beams:
        beams = min(2 * beams, search.most_beams)
        rows = [row for row, trial in enumerate(trials) if not trial.settled]
        if not rows:
            return
        for row, candidates in zip(rows, proposals.candidates(rows, beams), strict=True):
            trials[row].execute(candidates)


def _repair(proposals: Proposals, row: int, trial: _Trial, rounds: int) -> None:
    """Executes what is one token away from the candidates that came closest, and so on from it."""
    used: set[Program] = set()
    for _ in range(rounds):
        for seed in best_seeds(trial.executed, used, SEEDS):
            if trial.settled:
                return
            used.add(seed.program)
            trial.execute(proposals.near(row, seed, NEIGHBOURS))
