"""Counting a letter in a text (Tracr-injection, appendices C and D)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tracr.rasp import rasp

from tracrlab.tasks.protocol import COMPUTE, END, OTHER, Example, Piece, TestSet, example

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Count:
    """`What is the number of 'X' in this text? x y x x y. Answer: 3`.

    The answer is one token a digit behind a blank, which is a token of its own. The letter y, which
    plays no part in the program, is read as `OTHER`.

    Attributes:
      longest: most letters of a training text (the paper's 40).
      max_seq_len: the paper's 60: the wording, 40 letters and two digits fit.
    """

    longest: int = 40
    max_seq_len: int = 60
    name: str = "count"
    description: str = "How many x are in a text of x and y"
    vocabulary: tuple[str, ...] = ("x", *DIGITS, OTHER, COMPUTE)
    answers: tuple[str, ...] = (*DIGITS, END)

    def program(self) -> rasp.SOp:
        """The count so far, and the digit of it that comes next."""
        is_x = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: key == "x")
        count = rasp.SelectorWidth(is_x).named("count")
        is_digit = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: key in DIGITS)
        written = rasp.SelectorWidth(is_digit).named("written")
        return rasp.SequenceMap(_next_digit, count, written).named("answer")

    def inputs(self) -> Sequence[tuple[str, ...]]:
        """Every count that fits, with its answer."""
        return [self._example("x" * count).symbols for count in range(self.longest + 1)]

    def sample(self, rng: np.random.Generator) -> Example:
        """A text of 1 to `longest` letters, each x with a probability of its own text.

        The share of x is uniform, so that all counts are about equally likely. Texts of x alone are
        left to the set `x_only`.
        """
        while True:
            letters = _letters(int(rng.integers(1, self.longest + 1)), rng)
            if "y" in letters:
                return self._example(letters)

    @cached_property
    def test_sets(self) -> tuple[TestSet, ...]:
        return (
            TestSet(
                "x_only",
                "texts of 1 to 40 x and nothing else",
                solved=True,
                draw=lambda rng: self._example("x" * int(rng.integers(1, self.longest + 1))),
                paper={"tracr_injection": 21.9, "finetune_kl": 33.3},
                limit=self.longest,
            ),
            TestSet(
                "length_3x",
                "texts of 41 to 120 letters, longer than the program takes",
                solved=False,
                draw=lambda rng: self._example(
                    _letters(int(rng.integers(self.longest + 1, 3 * self.longest + 1)), rng)
                ),
                paper={"tracr_injection": 2.8, "finetune_kl": 3.5},
            ),
            TestSet(
                "replace_y_by_z",
                "texts as in training with z in place of y",
                solved=True,
                draw=self._with_z,
                paper={"tracr_injection": 4.6, "finetune_kl": 3.0},
            ),
        )

    def _with_z(self, rng: np.random.Generator) -> Example:
        while True:
            letters = _letters(int(rng.integers(1, self.longest + 1)), rng)
            if "y" in letters:
                return self._example(letters.replace("y", "z"))

    def _example(self, letters: str) -> Example:
        return example(
            [
                Piece("What is the number of 'X' in this text?"),
                *(Piece(f" {letter}", "x" if letter == "x" else OTHER) for letter in letters),
                Piece(". Answer:"),
                Piece(" "),
            ],
            [Piece(digit, digit) for digit in str(letters.count("x"))],
        )


def _letters(length: int, rng: np.random.Generator) -> str:
    return "".join("x" if drawn else "y" for drawn in rng.random(length) < rng.random())


def _next_digit(count: int, written: int) -> str:
    digits = str(count)
    return digits[written] if written < len(digits) else END


task = Count()
