"""Recognising shuffle-Dyck, brackets that match family by family (appendices C and D)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tracr.rasp import rasp

from tracrlab.tasks.protocol import COMPUTE, END, OTHER, Example, Piece, TestSet, example

FAMILIES = ("()", "{}", "[]")
EXTRA_FAMILY = "<>"
YES, NO = Piece(" Yes", "Yes"), Piece(" No", "No")


@dataclass(frozen=True)
class ShuffleDyck:
    """`Are parentheses here correctly matched? []{(}). Answer: Yes`, one token a bracket.

    Half of the examples are right. The wrong ones are brackets drawn one by one, of the same
    lengths, which are even.

    Attributes:
      longest: most brackets of a training example (the paper's 30).
      max_seq_len: the wording, 30 brackets and the answer fit with room for other tokenizers.
    """

    longest: int = 30
    max_seq_len: int = 48
    name: str = "shuffle_dyck"
    description: str = "Whether brackets match, each family by itself"
    vocabulary: tuple[str, ...] = (*"(){}[]", "Yes", "No", OTHER, COMPUTE)
    answers: tuple[str, ...] = (YES.text, NO.text, END)

    def program(self) -> rasp.SOp:
        """No prefix has more closing than opening brackets of a family, and all are closed.

        The first family to fall below zero does so at one of its own brackets, so each position
        looks at its own family alone. Where no family ever does, each is balanced exactly if as
        many brackets are opened as are closed.
        """
        tokens = rasp.tokens
        side = rasp.Map(_side, tokens).named("side")
        opened = _count_of(side, "opens").named("opened")
        closed = _count_of(side, "closes").named("closed")
        is_open = rasp.SequenceMap(lambda x, y: x != y, opened, closed).named("is_open")

        sign = rasp.numerical(rasp.Map(_sign, tokens).named("sign"))
        same = rasp.Select(tokens, tokens, lambda key, query: _family(key) == _family(query))
        own = rasp.numerical(rasp.Aggregate(same, sign, default=0).named("own_balance"))
        is_negative = rasp.Map(lambda x: x < 0, own).named("is_negative")
        negative = rasp.numerical(rasp.Map(lambda x: int(x < 0), own).named("negative"))
        where = rasp.Select(is_negative, is_negative, lambda key, query: key)
        some = rasp.numerical(rasp.Aggregate(where, negative, default=0).named("some_negative"))
        was_negative = rasp.Map(lambda x: x > 0, some).named("was_negative")

        matched = rasp.SequenceMap(lambda x, y: not (x or y), was_negative, is_open)
        return rasp.SequenceMap(_answer, matched.named("matched"), tokens).named("answer")

    def inputs(self) -> Sequence[tuple[str, ...]]:
        """Every value next to zero of the balance, every pair of counts, and training examples.

        The condition on the balance is `< 0`, so that 0, 1/n and -1/n for every n decide it.
        """
        deep = [
            (*"(" * opening, *")" * (opening + more))
            for opening in range(self.max_seq_len // 2)
            for more in (-1, 0, 1)
            if 0 < 2 * opening + more < self.max_seq_len
        ]
        most = self.max_seq_len - 1
        counts = [(*"(" * opened, *")" * (most - opened)) for opened in range(most + 1)]
        late = [(*[OTHER] * before, last) for before in range(self.max_seq_len) for last in "()"]
        rng = np.random.default_rng(0)
        return [*deep, *counts, *late, *(self.sample(rng).symbols for _ in range(500))]

    def sample(self, rng: np.random.Generator) -> Example:
        """2 to `longest` brackets, half of the examples right."""
        return self._example(self._half_right(FAMILIES, 2, self.longest, rng))

    @cached_property
    def test_sets(self) -> tuple[TestSet, ...]:
        return (
            TestSet(
                "almost_balanced",
                "right examples without their last bracket",
                solved=True,
                draw=lambda rng: self._example(
                    _balanced(FAMILIES, _even(2, self.longest, rng), rng)[:-1]
                ),
                paper={"tracr_injection": 96.6, "finetune_kl": 75.28},
            ),
            TestSet(
                "length_3x",
                "32 to 90 brackets, more than the program takes",
                solved=False,
                draw=lambda rng: self._example(
                    self._half_right(FAMILIES, self.longest + 2, 3 * self.longest, rng)
                ),
                paper={"tracr_injection": 98.5, "finetune_kl": 88.6},
            ),
            TestSet(
                "extra_family",
                "a fourth family, <>, in every example",
                solved=False,
                draw=self._with_extra_family,
                paper={"tracr_injection": 99.1, "finetune_kl": 84.3},
            ),
        )

    def _half_right(
        self, families: Sequence[str], shortest: int, longest: int, rng: np.random.Generator
    ) -> str:
        length = _even(shortest, longest, rng)
        if rng.random() < 0.5:
            return _balanced(families, length, rng)
        while True:
            brackets = _brackets(families, length, rng)
            if not is_matched(brackets):
                return brackets

    def _with_extra_family(self, rng: np.random.Generator) -> Example:
        while True:
            brackets = self._half_right((*FAMILIES, EXTRA_FAMILY), 2, self.longest, rng)
            if set(brackets) & set(EXTRA_FAMILY):
                return self._example(brackets)

    @staticmethod
    def _example(brackets: str) -> Example:
        known = "".join(FAMILIES)
        return example(
            [
                Piece("Are parentheses here correctly matched?"),
                Piece(" "),
                *(Piece(symbol, symbol if symbol in known else OTHER) for symbol in brackets),
                Piece(". Answer"),
                Piece(":"),
            ],
            [YES if is_matched(brackets) else NO],
        )


def is_matched(brackets: str) -> bool:
    """Whether each family of brackets is balanced by itself."""
    for opening, closing in (*FAMILIES, EXTRA_FAMILY):
        depth = 0
        for bracket in brackets:
            depth += (bracket == opening) - (bracket == closing)
            if depth < 0:
                return False
        if depth:
            return False
    return True


def _even(shortest: int, longest: int, rng: np.random.Generator) -> int:
    return 2 * int(rng.integers(shortest // 2, longest // 2 + 1))


def _brackets(families: Sequence[str], length: int, rng: np.random.Generator) -> str:
    return "".join(rng.choice(list("".join(families)), size=length))


def _balanced(families: Sequence[str], length: int, rng: np.random.Generator) -> str:
    """Brackets that match, of an even length.

    Each step opens a bracket or closes an open one, by chance while there is room for both.
    """
    open_: list[str] = []
    written = []
    for left in range(length, 0, -1):
        if not open_ or (len(open_) < left and rng.random() < 0.5):
            opening, closing = families[rng.integers(len(families))]
            open_.append(closing)
            written.append(opening)
        else:
            written.append(open_.pop(rng.integers(len(open_))))
    return "".join(written)


def _count_of(side: rasp.SOp, which: str) -> rasp.SOp:
    return rasp.SelectorWidth(rasp.Select(side, side, lambda key, query: key == which))


def _side(token: str) -> str:
    return {1: "opens", 0: "neither", -1: "closes"}[_sign(token)]


def _sign(token: str) -> int:
    return 1 if token in ("(", "{", "[") else -1 if token in (")", "}", "]") else 0


def _family(token: str) -> str | None:
    return next((family for family in FAMILIES if token in family), None)


def _answer(matched: bool, token: str) -> str:
    if token != COMPUTE:
        return END
    return YES.text if matched else NO.text


task = ShuffleDyck()
