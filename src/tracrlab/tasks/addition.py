"""Adding two numbers of up to three digits (Tracr-injection, appendices C and D)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np
from tracr.rasp import rasp

from tracrlab.tasks.protocol import COMPUTE, END, OTHER, Example, Piece, TestSet, example

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Addition:
    """`211 + 123 = 334`, one token a digit; the blanks behind + and = are tokens of their own.

    Attributes:
      largest: the largest summand of the training range (the paper's 450).
      max_seq_len: three digits, `+`, a blank, three digits, `=`, a blank and three digits.
    """

    largest: int = 450
    max_seq_len: int = 13
    name: str = "addition"
    description: str = "The sum of two numbers up to 450"
    vocabulary: tuple[str, ...] = (*DIGITS, "+", "=", OTHER, COMPUTE)
    answers: tuple[str, ...] = (*DIGITS, END)

    def program(self) -> rasp.SOp:
        """Digits of each summand at its end, their sums with carries, then digit by digit.

        At `+` and `=` the three positions before hold the summand's digits (nothing, or a blank,
        counts as 0). Averaging over these two positions gives half the sum of each place.
        """
        value = rasp.numerical(rasp.Map(_digit_value, rasp.tokens).named("digit"))
        ends = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: key in ("+", "="))
        units_sum, tens_sum, hundreds_sum = (
            _place_sum(value, ends, place, offset)
            for offset, place in enumerate(("units", "tens", "hundreds"), start=1)
        )
        written = _steps()

        units = rasp.Map(lambda half: str(round(2 * half) % 10), units_sum).named("units")
        carry = rasp.Map(lambda half: int(2 * half >= 10), units_sum).named("carry")
        tens_plain = rasp.Map(lambda half: round(2 * half), tens_sum).named("tens_plain")
        hundreds_plain = rasp.Map(_hundreds, hundreds_sum)
        tens = rasp.SequenceMap(lambda x, y: x + y, tens_plain, carry).named("tens")
        plan = rasp.SequenceMap(_plan, hundreds_plain.named("hundreds_plain"), written)
        upper = rasp.SequenceMap(_upper_digit, plan.named("plan"), tens).named("upper")
        return rasp.SequenceMap(_answer_digit, upper, units).named("answer")

    def inputs(self) -> Sequence[tuple[str, ...]]:
        """A pair of summands of up to three digits for every digit sum of each place."""
        rows = []
        for hundreds, tens, units in itertools.product(range(19), repeat=3):
            if hundreds < 10 or units == tens:
                sums = (hundreds, tens, units)
                first, second = (
                    _from_digits(part) for part in zip(*map(_halves, sums), strict=True)
                )
                total = str(first + second)[:3]  # the program is None where there are four
                rows.append(self._example(str(first), str(second), total).symbols)
        return rows

    def sample(self, rng: np.random.Generator) -> Example:
        """Two summands from 0 to `largest`; those of the set `cascading_overflow` are left out."""
        while True:
            first, second = self._pair(rng)
            if not cascades(first, second):
                return self._example(str(first), str(second), str(first + second))

    @cached_property
    def test_sets(self) -> tuple[TestSet, ...]:
        return (
            TestSet(
                "cascading_overflow",
                "the units carry into tens whose digits sum to nine, and so into the hundreds",
                solved=True,
                draw=self._cascade,
                paper={"tracr_injection": 47.8, "finetune_kl": 49.1},
            ),
            TestSet(
                "four_digits",
                "summands of four digits, which the program does not take",
                solved=False,
                draw=lambda rng: _sum_of(*(Decimal(int(n)) for n in rng.integers(1000, 10000, 2))),
                paper={"tracr_injection": 0.9, "finetune_kl": 6.6},
            ),
            TestSet(
                "decimals",
                "summands as in training with one decimal each",
                solved=False,
                draw=lambda rng: _sum_of(
                    *(Decimal(f"{whole}.{rng.integers(10)}") for whole in self._pair(rng))
                ),
                paper={"tracr_injection": 0.0, "finetune_kl": 0.0},
            ),
        )

    def _pair(self, rng: np.random.Generator) -> tuple[int, int]:
        first, second = rng.integers(0, self.largest + 1, size=2)
        return int(first), int(second)

    def _cascade(self, rng: np.random.Generator) -> Example:
        while True:
            first, second = self._pair(rng)
            if cascades(first, second):
                return self._example(str(first), str(second), str(first + second))

    @staticmethod
    def _example(first: str, second: str, total: str) -> Example:
        prompt = [*_number(first), Piece(" +", "+"), Piece(" "), *_number(second)]
        return example([*prompt, Piece(" =", "="), Piece(" ")], _number(total))


def cascades(first: int, second: int) -> bool:
    """Whether a carry from the units is what makes the tens carry."""
    units, tens, _ = _place_sums(first, second)
    return units >= 10 and tens == 9


def _place_sums(first: int, second: int) -> tuple[int, int, int]:
    return tuple(first // place % 10 + second // place % 10 for place in (1, 10, 100))


def _sum_of(first: Decimal, second: Decimal) -> Example:
    return Addition._example(str(first), str(second), str(first + second))


def _number(text: str) -> list[Piece]:
    return [Piece(digit, digit if digit in DIGITS else OTHER) for digit in text]


def _halves(digit_sum: int) -> tuple[int, int]:
    return min(digit_sum, 9), max(digit_sum - 9, 0)


def _from_digits(digits: Sequence[int]) -> int:
    return 100 * digits[0] + 10 * digits[1] + digits[2]


def _digit_value(token: str) -> int:
    return int(token) if token in DIGITS else 0


def _place_sum(value: rasp.SOp, ends: rasp.Selector, place: str, offset: int) -> rasp.SOp:
    """Half the sum of the digits that stand `offset` positions before `+` and `=`."""
    before = rasp.Select(rasp.indices, rasp.indices, lambda key, query: query == key + offset)
    digit = rasp.numerical(rasp.Aggregate(before, value, default=0).named(f"{place}_before"))
    return rasp.numerical(rasp.Aggregate(ends, digit, default=0).named(f"{place}_half_sum"))


def _steps() -> rasp.SOp:
    """How many positions there are from `COMPUTE` on, itself counted; 0 in front of it."""
    is_compute = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: key == COMPUTE)
    answering = rasp.SelectorWidth(is_compute).named("answering")
    is_answering = rasp.Select(answering, answering, lambda key, query: key == 1)
    return rasp.SelectorWidth(is_answering).named("step")


def _hundreds(half: float) -> int | None:
    """None where the sum has more than three digits."""
    total = round(2 * half)
    return total if total < 10 else None


def _plan(hundreds: int, step: int) -> str:
    """What is known without the tens: the hundreds and the place in the answer; or the end."""
    return f"{hundreds}@{step}" if 1 <= step <= 3 else END


def _upper_digit(plan: str, tens: int) -> str | None:
    """The next digit if it is one of the tens or hundreds, `units` if it is that of the units."""
    if plan == END:
        return END
    hundreds, step = map(int, plan.split("@"))
    if 10 * hundreds + tens >= 100:
        return None
    digits = str(10 * hundreds + tens).removeprefix("0")
    if step <= len(digits):
        return digits[step - 1]
    return "units" if step == len(digits) + 1 else END


def _answer_digit(upper: str, units: str) -> str:
    return units if upper == "units" else upper


task = Addition()
