"""Naming the most frequent of three letters: a choice made from pairwise comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tracr.rasp import rasp

from tracrlab.tasks.protocol import COMPUTE, END, OTHER, Example, Piece, TestSet, example

LETTERS = ("a", "b", "c")


@dataclass(frozen=True)
class MostFrequent:
    """`Which letter occurs most often? b a b. Answer: b`; one letter is ahead of both others.

    Attributes:
      longest: most letters of a training example.
      max_seq_len: the wording (10 tokens at most in all), the letters, and the answer.
    """

    longest: int = 12
    max_seq_len: int = 24
    name: str = "most_frequent"
    description: str = "Which of three letters occurs most often"
    vocabulary: tuple[str, ...] = (*LETTERS, OTHER, COMPUTE)
    answers: tuple[str, ...] = (*(f" {letter}" for letter in LETTERS), END)

    def program(self) -> rasp.SOp:
        """Compares a with b, a with c and b with c by the means of their differences."""
        every = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)

        def lead(first: str, second: str) -> rasp.SOp:
            value = rasp.Map(lambda token: (token == first) - (token == second), rasp.tokens)
            value = rasp.numerical(value.named(f"{first}_or_{second}"))
            mean = rasp.Aggregate(every, value, default=0).named(f"{first}_minus_{second}")
            winner = rasp.Map(lambda x: first if x > 0 else second, rasp.numerical(mean))
            return winner.named(f"{first}_against_{second}")

        both = rasp.SequenceMap(
            lambda x, y: "a" if x == y == "a" else "not a", lead("a", "b"), lead("a", "c")
        ).named("a_against_both")
        most = rasp.SequenceMap(
            lambda x, y: "a" if x == "a" else y, both, lead("b", "c")
        ).named("most")  # fmt: skip
        return rasp.SequenceMap(
            lambda letter, token: f" {letter}" if token == COMPUTE else END, most, rasp.tokens
        ).named("answer")

    def inputs(self) -> Sequence[tuple[str, ...]]:
        """Leads of one letter at every length, and training examples.

        The conditions are `> 0`, so that 0 and 1/n for every n decide all values.
        """
        late = [
            (*[OTHER] * before, letter) for before in range(self.max_seq_len) for letter in LETTERS
        ]
        rng = np.random.default_rng(0)
        return [*late, *(self.sample(rng).symbols for _ in range(500))]

    def sample(self, rng: np.random.Generator) -> Example:
        """2 to `longest` letters of at least two kinds."""
        return self._drawn(2, self.longest, rng)

    @cached_property
    def test_sets(self) -> tuple[TestSet, ...]:
        return (
            TestSet(
                "one_kind",
                "1 to 12 letters of one kind",
                solved=True,
                draw=lambda rng: self._example(
                    [str(rng.choice(LETTERS))] * int(rng.integers(1, self.longest + 1))
                ),
                limit=self.longest * len(LETTERS),
            ),
            TestSet(
                "length_3x",
                "13 to 36 letters, more than the program takes",
                solved=False,
                draw=lambda rng: self._drawn(self.longest + 1, 3 * self.longest, rng),
            ),
        )

    def _drawn(self, shortest: int, longest: int, rng: np.random.Generator) -> Example:
        while True:
            word = rng.choice(LETTERS, size=int(rng.integers(shortest, longest + 1))).tolist()
            counts = sorted(word.count(letter) for letter in LETTERS)
            if counts[-1] > counts[-2] > 0:
                return self._example(word)

    @staticmethod
    def _example(word: Sequence[str]) -> Example:
        most = max(LETTERS, key=word.count)
        letters = [Piece(f" {letter}", letter) for letter in word]
        prompt = [Piece("Which letter occurs most often?"), *letters, Piece(". Answer"), Piece(":")]
        return example(prompt, [Piece(f" {most}", most)])


task = MostFrequent()
