"""Making of training batches: examples, the program's values on them, interchanges, and text.

A batch depends on the seed and its own number alone, so a resumed run sees the same batches. They
are made for a block of steps at once, because the interpreter costs little more for many inputs
than for a few.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tracrlab.injection.alignment import Alignment, rows_of
from tracrlab.injection.batch import Batch, Patches
from tracrlab.injection.compiled import CompiledProgram, Overrides
from tracrlab.injection.drawing import (
    SORTED,
    AnswerBalance,
    by_length,
    first_answers,
    in_turn,
    tokens_but,
)
from tracrlab.injection.prompts import Examples, PromptInterchange

#: Steps whose batches are made together.
BLOCK = 8 * SORTED

#: Uses of the seed; each has its own stream of random numbers.
_ORDER, _INTERCHANGE, _TEXT, _PLACES, _NEGATIVES = range(5)


@dataclass(frozen=True)
class BatchSettings:
    """How batches are drawn.

    Attributes:
      seed: root of the random numbers.
      rows: examples a batch.
      width: of the model's stream; a variable with as many values is not interchanged.
      align: "supervised" positions or "all" real ones; "none" where nothing is aligned.
      prompts: share of the rows whose prompt is interchanged.
      balanced: whether the other rows are drawn so that answers are as frequent as in training.
      variables: share of the rows in which a variable is interchanged.
      windows: text windows a batch; text_length: their tokens; text_places: how many positions of
        each are compared.
      negatives: tokens drawn for the answer loss, 0 for an exact one, from a vocabulary.
    """

    seed: int
    rows: int
    width: int
    align: str = "supervised"
    prompts: float = 0.0
    balanced: bool = False
    variables: float = 0.0
    windows: int = 0
    text_length: int = 1
    text_places: int = 1
    negatives: int = 0
    vocabulary: int = 0


@dataclass
class Batches:
    """Makes the batches of a run.

    Args:
      settings: how.
      program: the compiled program.
      alignment: which directions are aligned.
      examples: the training examples.
      codes: values of the program's variables on them.
      text_windows: number of text windows there are.
      interchange: makes prompts; None where none are interchanged.
    """

    settings: BatchSettings
    program: CompiledProgram
    alignment: Alignment
    examples: Examples
    codes: np.ndarray
    text_windows: int = 0
    interchange: PromptInterchange | None = None
    seconds: float = 0.0
    _block: tuple[int, list[Batch]] = field(default=(-1, []), repr=False)

    def batch(self, step: int) -> Batch:
        """The batch of a step (from 0); `seconds` adds up what making batches took."""
        number, place = divmod(step, BLOCK)
        if self._block[0] != number:
            start = time.perf_counter()
            steps = range(number * BLOCK, (number + 1) * BLOCK)
            self._block = (number, self._make(number, steps))
            self.seconds += time.perf_counter() - start
        return self._block[1][place]

    def _make(self, number: int, steps: range) -> list[Batch]:
        settings = self.settings
        generator = np.random.default_rng([settings.seed, _INTERCHANGE, number])
        order = np.concatenate(
            [
                in_turn(settings.seed, _ORDER, step, settings.rows, len(self.examples))
                for step in steps
            ]
        )
        examples, codes = self.examples.take(order), None
        if self.interchange is not None and settings.prompts > 0:
            changed = generator.random(len(order)) < settings.prompts
            if changed.any():
                examples, codes = self._interchanged(order, changed, generator)
        if codes is None:
            codes = self.codes[order, : examples.tokens.shape[1]]
        found = by_length(examples.lengths, settings.rows, generator)
        examples, codes = examples.take(found), codes[found]
        patches = None
        if settings.variables > 0:
            patches = self._patches(examples, codes, generator)
        rows = settings.rows
        return [
            self._batch(step, examples, codes, patches, np.arange(i * rows, (i + 1) * rows))
            for i, step in enumerate(steps)
        ]

    def _interchanged(
        self, order: np.ndarray, changed: np.ndarray, generator: np.random.Generator
    ) -> tuple[Examples, np.ndarray]:
        """Rows of which some have another prompt, and the values of the variables on them."""
        chosen = np.flatnonzero(changed)
        made, finished = self.interchange.make(self.examples.take(order[chosen]), generator)
        if self.settings.balanced:
            order = order.copy()
            others = first_answers(made.take(np.flatnonzero(finished)))
            order[~changed] = self._balance.draw(
                others, len(order), int((~changed).sum()), generator
            )
        examples = _replaced(self.examples.take(order), chosen, made)
        codes = np.full((*examples.tokens.shape, self.codes.shape[2]), -1, dtype=np.float32)
        width = min(examples.tokens.shape[1], self.codes.shape[1])
        codes[:, :width] = self.codes[order, :width]
        codes[chosen] = -1
        codes[chosen, : made.symbols.shape[1]] = self.program.codes(made.symbols)
        return examples, codes

    def _patches(self, examples: Examples, codes: np.ndarray, generator) -> Patches | None:
        """Draws a variable and a source row for some rows of every batch of the block."""
        eligible = patchable(self.program, self.alignment, self.settings.width)
        count = round(self.settings.variables * self.settings.rows)
        if self.interchange is None or not eligible or not count:
            return None
        # A source is never patched itself, so that its stream holds its own values.
        size = self.settings.rows
        starts = np.arange(0, len(examples), size)
        orders = np.stack([start + generator.permutation(size) for start in starts])
        rows = orders[:, :count].ravel()
        others = orders[:, count:]
        picks = generator.integers(others.shape[1], size=(len(starts), count))
        sources = np.take_along_axis(others, picks, axis=1).ravel()
        last = examples.prompts - 1
        variables = generator.choice(np.array(eligible), size=len(rows))
        overrides = Overrides(
            ref=np.array([self.program.variables[v].ref for v in variables]),
            row=rows,
            position=last[rows],
            source_row=sources,
            source_position=last[sources],
        )
        after = self.program.counterfactual(examples.symbols, overrides)[rows, last[rows]]
        outputs = self.program.outputs(after)
        targets = np.where(outputs >= 0, self.interchange.target_of[outputs], -1)
        # Where nothing changes there is nothing to learn; where no answer follows, nothing to say.
        differs = codes[rows, last[rows], variables] != codes[sources, last[sources], variables]
        keep = np.flatnonzero(differs & (targets >= 0) & ~self.program.unknown(after))
        return Patches(
            variables[keep],
            rows[keep],
            last[rows[keep]],
            sources[keep],
            last[sources[keep]],
            targets[keep],
            after[keep],
        )

    def _batch(self, step: int, examples, codes, patches, rows: np.ndarray) -> Batch:
        settings = self.settings
        part = examples.take(rows)
        codes = codes[rows]
        own = None
        if patches is not None:
            mine = np.flatnonzero((patches.rows >= rows[0]) & (patches.rows <= rows[-1]))
            own = patches.take(mine, np.arange(len(examples)) - rows[0])
        answered = part.supervised.copy()
        targets = part.targets
        patch_of = np.full(len(rows), -1)
        if own is not None and len(own.rows):
            targets = targets.copy()
            answered[own.rows] = False
            answered[own.rows, own.positions] = True
            targets[own.rows, own.positions] = own.targets
            patch_of[own.rows] = np.arange(len(own.rows))
        aligned = np.zeros_like(answered)
        if settings.align == "supervised":
            aligned = answered
        elif settings.align == "all":
            aligned = part.symbols >= 0
        at_rows, at = np.nonzero(answered)
        aligned_rows, aligned_at = np.nonzero(aligned)
        values = codes[aligned_rows, aligned_at]
        patched = np.full(len(aligned_rows), -1)
        if own is not None and len(own.rows):
            here = patch_of[aligned_rows]
            here[(here >= 0) & (aligned_at != own.positions[here])] = -1
            patched = here
            values = np.where((here >= 0)[:, None], own.codes[here], values)
        text = np.zeros(0, dtype=np.int64)
        if self.text_windows and settings.windows:
            text = in_turn(settings.seed, _TEXT, step, settings.windows, self.text_windows)
        generator = np.random.default_rng([settings.seed, _PLACES, step])
        places = np.argsort(generator.random((len(text), settings.text_length)), axis=1)
        return Batch(
            part.tokens,
            part.lengths,
            at_rows,
            at,
            targets[at_rows, at],
            aligned_rows,
            aligned_at,
            values,
            patched,
            own if own is not None and len(own.rows) else None,
            text,
            np.sort(places[:, : settings.text_places], axis=1),
            self._negatives(step),
        )

    @cached_property
    def answers(self) -> np.ndarray:
        """Every token that answers are made of, ascending, int64 [answers]."""
        return np.unique(self.examples.targets[self.examples.supervised])

    @cached_property
    def _balance(self) -> AnswerBalance:
        return AnswerBalance(self.examples, self.answers)

    def _negatives(self, step: int) -> np.ndarray:
        settings = self.settings
        if not settings.negatives:
            return np.zeros(0, dtype=np.int64)
        generator = np.random.default_rng([settings.seed, _NEGATIVES, step])
        return tokens_but(self.answers, settings.vocabulary, settings.negatives, generator)


def patchable(program: CompiledProgram, alignment: Alignment, width: int) -> list[int]:
    """Numbers of the variables that can be interchanged at an aligned stage.

    They have at least two aligned values (or are a number) and fewer than the model's stream is
    wide, are written by the program, and nothing that is computed from them is written by the stage
    at which they are interchanged.
    """
    found = []
    for number, variable in enumerate(program.variables):
        rows = rows_of(alignment, variable.directions)
        fewest = 1 if variable.numerical else 2
        if variable.stage == 0 or not fewest <= len(rows) < width:
            continue
        stage = alignment.compiled_stages[stage_index(alignment, variable.stage)]
        if all(reader > stage for reader in _reading_stages(program, variable.ref)):
            found.append(number)
    return found


def stage_index(alignment: Alignment, stage: int) -> int:
    """Number of the first aligned pair at which what is written at a stage is there."""
    return int(np.searchsorted(alignment.compiled_stages, stage))


def _reading_stages(program: CompiledProgram, ref: int) -> list[int]:
    """Stages of the variables that are computed from an operand directly (through a selector)."""
    stage_of = {variable.ref: variable.stage for variable in program.variables}
    stages, refs = [], [ref]
    while refs:
        operand = refs.pop()
        for number, op in enumerate(program.program.ops, start=2):
            if operand in op.operands:
                if op.is_selector:
                    refs.append(number)
                else:
                    stages.append(stage_of[number])
    return stages


def _replaced(bases: Examples, rows: np.ndarray, made: Examples) -> Examples:
    width = max(bases.tokens.shape[1], made.tokens.shape[1])

    def put(name: str, fill) -> np.ndarray:
        old, new = getattr(bases, name), getattr(made, name)
        result = np.full((len(old), width), fill, dtype=old.dtype)
        result[:, : old.shape[1]] = old
        result[rows] = fill
        result[rows, : new.shape[1]] = new
        return result

    lengths = bases.lengths.copy()
    lengths[rows] = made.lengths
    return Examples(
        put("tokens", 0), lengths, put("symbols", -1), put("supervised", False), put("targets", 0)
    )
