"""Parity of the ones in a row of bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tracr.rasp import rasp

from tracrlab.tasks.protocol import COMPUTE, END, OTHER, Example, Piece, TestSet, example

EVEN, ODD = Piece(" even", "even"), Piece(" odd", "odd")


@dataclass(frozen=True)
class Parity:
    """`Is the number of ones even or odd? 1 0 1 1. Answer: odd`, one token a bit with its blank.

    Attributes:
      longest: most bits of a training example.
      max_seq_len: the wording (16 tokens at most in all), the bits, and the answer.
    """

    longest: int = 20
    max_seq_len: int = 37
    name: str = "parity"
    description: str = "Whether the number of ones is even or odd"
    vocabulary: tuple[str, ...] = ("1", "even", "odd", OTHER, COMPUTE)
    answers: tuple[str, ...] = (EVEN.text, ODD.text, END)

    def program(self) -> rasp.SOp:
        """Counts the ones and takes the remainder."""
        is_one = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: key == "1")
        ones = rasp.SelectorWidth(is_one).named("ones")
        return rasp.SequenceMap(_answer, ones, rasp.tokens).named("answer")

    def inputs(self) -> Sequence[tuple[str, ...]]:
        """Every number of ones, with every symbol behind it."""
        return [
            (*["1"] * ones, symbol)
            for ones in range(self.longest + 1)
            for symbol in (OTHER, COMPUTE, "even", "odd")
        ]

    def sample(self, rng: np.random.Generator) -> Example:
        """1 to `longest` bits, at least one of them 0."""
        while True:
            bits = rng.integers(0, 2, size=int(rng.integers(1, self.longest + 1)))
            if not bits.all():
                return self._example("".join(map(str, bits)))

    @cached_property
    def test_sets(self) -> tuple[TestSet, ...]:
        return (
            TestSet(
                "ones_only",
                "1 to 20 ones and no zero",
                solved=True,
                draw=lambda rng: self._example("1" * int(rng.integers(1, self.longest + 1))),
                limit=self.longest,
            ),
            TestSet(
                "length_3x",
                "21 to 60 bits, more than the program takes",
                solved=False,
                draw=lambda rng: self._example(
                    "".join(map(str, rng.integers(0, 2, size=int(rng.integers(21, 61)))))
                ),
            ),
        )

    @staticmethod
    def _example(bits: str) -> Example:
        row = [Piece(f" {bit}", "1" if bit == "1" else OTHER) for bit in bits]
        prompt = [Piece("Is the number of ones even or odd?"), *row, Piece(". Answer"), Piece(":")]
        return example(prompt, [ODD if bits.count("1") % 2 else EVEN])


def _answer(ones: int, token: str) -> str:
    if token != COMPUTE:
        return END
    return ODD.text if ones % 2 else EVEN.text


task = Parity()
