"""Writing letters backwards: an answer as long as its question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tracr.rasp import rasp

from tracrlab.tasks.protocol import COMPUTE, END, OTHER, Example, Piece, TestSet, example

LETTERS = tuple("abcdef")


@dataclass(frozen=True)
class Reverse:
    """`Reverse the letters: d a c -> c a d`, one token a letter with its blank.

    Attributes:
      longest: most letters of a training example.
      max_seq_len: the wording (8 tokens at most), the letters, the arrow, and the letters again.
    """

    longest: int = 6
    max_seq_len: int = 21
    name: str = "reverse"
    description: str = "Letters in reverse order"
    vocabulary: tuple[str, ...] = (*LETTERS, OTHER, COMPUTE)
    answers: tuple[str, ...] = (*(f" {letter}" for letter in LETTERS), END)

    def program(self) -> rasp.SOp:
        """Looks back as far from the arrow as the answer has gone beyond it."""
        tokens, indices = rasp.tokens, rasp.indices
        is_compute = rasp.Select(tokens, tokens, lambda key, query: key == COMPUTE)
        answering = rasp.SelectorWidth(is_compute).named("answering")
        is_answering = rasp.Select(answering, answering, lambda key, query: key == 1)
        step = rasp.SelectorWidth(is_answering).named("step")
        source = rasp.SequenceMap(_source, indices, step).named("source")
        at_source = rasp.Select(indices, source, rasp.Comparison.EQ)
        letter = rasp.Aggregate(at_source, tokens).named("letter")
        return rasp.Map(lambda symbol: f" {symbol}" if symbol in LETTERS else END, letter).named(
            "answer"
        )

    def inputs(self) -> Sequence[tuple[str, ...]]:
        """Every length of letters behind every length of wording, from each letter on."""
        rows = []
        for wording in range(1, 9):
            for length in range(1, self.longest + 1):
                for start in range(len(LETTERS)):
                    word = [LETTERS[(start + place) % len(LETTERS)] for place in range(length)]
                    rows.append((*[OTHER] * wording, *word, COMPUTE, *reversed(word)))
        return rows

    def sample(self, rng: np.random.Generator) -> Example:
        """2 to `longest` letters, not two equal ones throughout."""
        while True:
            word = rng.choice(LETTERS, size=int(rng.integers(2, self.longest + 1))).tolist()
            if len(set(word)) > 1:
                return self._example(word)

    @cached_property
    def test_sets(self) -> tuple[TestSet, ...]:
        return (
            TestSet(
                "one_letter",
                "the same letter 2 to 6 times",
                solved=True,
                draw=lambda rng: self._example(
                    [str(rng.choice(LETTERS))] * int(rng.integers(2, self.longest + 1))
                ),
                limit=(self.longest - 1) * len(LETTERS),
            ),
            TestSet(
                "longer",
                "9 to 12 letters, longer than the program takes",
                solved=False,
                draw=lambda rng: self._example(
                    rng.choice(LETTERS, size=int(rng.integers(9, 13))).tolist()
                ),
            ),
        )

    @staticmethod
    def _example(word: Sequence[str]) -> Example:
        letters = [Piece(f" {letter}", letter) for letter in word]
        prompt = [Piece("Reverse the letters:"), *letters, Piece(" ->")]
        return example(prompt, reversed(letters))


def _source(index: int, step: int) -> int:
    """The position to copy: one before the arrow at the arrow, one further back at each step."""
    return max(index - 2 * step + 1, -1) if step else -1


task = Reverse()
