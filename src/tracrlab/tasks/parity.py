"""Parity of the heads in a row of coin tosses."""

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
    """`Is the number of heads even or odd? h t h h. Answer: odd`, one token a toss with its blank.

    Attributes:
      longest: most tosses of a training example.
      max_seq_len: the wording (16 tokens at most in all), the tosses, and the answer.
    """

    longest: int = 20
    max_seq_len: int = 37
    name: str = "parity"
    description: str = "Whether the number of heads is even or odd"
    vocabulary: tuple[str, ...] = ("h", "even", "odd", OTHER, COMPUTE)
    answers: tuple[str, ...] = (EVEN.text, ODD.text, END)

    def program(self) -> rasp.SOp:
        """Counts the heads and takes the remainder."""
        is_head = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: key == "h")
        heads = rasp.SelectorWidth(is_head).named("heads")
        return rasp.SequenceMap(_answer, heads, rasp.tokens).named("answer")

    def inputs(self) -> Sequence[tuple[str, ...]]:
        """Every number of heads, with every symbol behind it."""
        return [
            (*["h"] * heads, symbol)
            for heads in range(self.longest + 1)
            for symbol in (OTHER, COMPUTE, "even", "odd")
        ]

    def sample(self, rng: np.random.Generator) -> Example:
        """1 to `longest` tosses, at least one of them tails."""
        while True:
            tosses = _tosses(int(rng.integers(1, self.longest + 1)), rng)
            if "t" in tosses:
                return self._example(tosses)

    @cached_property
    def test_sets(self) -> tuple[TestSet, ...]:
        return (
            TestSet(
                "heads_only",
                "1 to 20 heads and no tails",
                solved=True,
                draw=lambda rng: self._example("h" * int(rng.integers(1, self.longest + 1))),
                limit=self.longest,
            ),
            TestSet(
                "length_3x",
                "21 to 60 tosses, more than the program takes",
                solved=False,
                draw=lambda rng: self._example(_tosses(int(rng.integers(21, 61)), rng)),
            ),
        )

    @staticmethod
    def _example(tosses: str) -> Example:
        row = [Piece(f" {toss}", "h" if toss == "h" else OTHER) for toss in tosses]
        prompt = [Piece("Is the number of heads even or odd?"), *row, Piece(". Answer"), Piece(":")]
        return example(prompt, [ODD if tosses.count("h") % 2 else EVEN])


def _tosses(length: int, rng: np.random.Generator) -> str:
    return "".join("ht"[side] for side in rng.integers(0, 2, size=length))


def _answer(heads: int, token: str) -> str:
    if token != COMPUTE:
        return END
    return ODD.text if heads % 2 else EVEN.text


task = Parity()
