"""Shuffle-Dyck with the program that the Tracr-injection paper prints (appendix E, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracr.rasp import rasp

from tracrlab.tasks.protocol import COMPUTE, END
from tracrlab.tasks.shuffle_dyck import FAMILIES, NO, YES, ShuffleDyck

_NAMES = ("round", "curly", "square")


@dataclass(frozen=True)
class ShuffleDyckPaper(ShuffleDyck):
    """Prompts and sets of `shuffle_dyck`; brackets are counted, and the balances subtracted.

    Its variables are those of the paper's Figures 2 and 6, and its stream is ten times as wide as
    that of `shuffle_dyck`: a model narrower than about a thousand has no room for it.
    """

    name: str = "shuffle_dyck_paper"
    description: str = "Whether brackets match, each family by itself, by the paper's program"

    def program(self) -> rasp.SOp:
        """Algorithm 1, line by line; its last line gives the answer's text instead of a bool."""
        tokens = rasp.tokens
        diffs, negatives = [], []
        for (left, right), name in zip(FAMILIES, _NAMES, strict=True):
            starts = _count_of(left).named(f"left_start_counts_{name}")
            ends = _count_of(right).named(f"right_end_counts_{name}")
            diff = rasp.SequenceMap(lambda x, y: x - y, starts, ends)
            diff = diff.named(f"left_right_diffs_{name}")
            below = rasp.Select(diff, diff, lambda key, query: key < 0)
            negatives.append(rasp.SelectorWidth(below).named(f"negative_counters_{name}"))
            diffs.append(diff)
        aggregated_negatives = _any_non_zero(negatives, "negatives")
        aggregated_diffs = _any_non_zero(diffs, "diffs")
        unfiltered = rasp.SequenceMap(
            lambda x, y: x == 0 and y == 0, aggregated_negatives, aggregated_diffs
        ).named("unfiltered_result")
        return rasp.SequenceMap(_answer, unfiltered, tokens).named("final_result")

    def inputs(self) -> Sequence[tuple[str, ...]]:
        """None: the value sets are inferred, and hold every count of up to `max_seq_len`."""
        return ()


def _count_of(bracket: str) -> rasp.SOp:
    selected = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: key == bracket)
    return rasp.SelectorWidth(selected)


def _any_non_zero(numbers: Sequence[rasp.SOp], name: str) -> rasp.SOp:
    """1 where any is not 0, joined one after the other."""
    joined, *rest = numbers
    for place, number in enumerate(rest, start=2):
        joined = rasp.SequenceMap(lambda x, y: int(x != 0 or y != 0), joined, number)
        joined = joined.named(f"aggregated_{name}_{place}")
    return joined


def _answer(result: bool, token: str) -> str:
    if token != COMPUTE:
        return END
    return YES.text if result else NO.text


task = ShuffleDyckPaper()
