"""What steps take: in turn, by length, and as often as in training; worked out by hand."""

from collections import Counter

import numpy as np

from tracrlab.injection.drawing import SORTED, AnswerBalance, by_length, in_turn, tokens_but
from tracrlab.injection.prompts import Examples


def test_everything_is_taken_once_a_round_and_rounds_differ():
    taken = np.concatenate([in_turn(0, 1, step, 4, 10) for step in range(5)])
    assert sorted(taken[:10]) == sorted(taken[10:]) == list(range(10))
    assert not np.array_equal(taken[:10], taken[10:])
    assert not np.array_equal(in_turn(0, 1, 0, 4, 10), in_turn(0, 2, 0, 4, 10))


def test_batches_share_out_lengths_and_keep_every_row():
    lengths = np.repeat(np.arange(SORTED), 5)
    order = by_length(lengths, 5, np.random.default_rng(0))
    assert sorted(order) == list(range(len(lengths)))
    assert {len(set(part)) for part in lengths[order].reshape(SORTED, 5)} == {1}


def examples(answers: list[int]) -> Examples:
    """Prompts of one token, answers of one token."""
    shape = (len(answers), 2)
    supervised = np.zeros(shape, dtype=bool)
    supervised[:, 0] = True
    targets = np.zeros(shape, dtype=np.int64)
    targets[:, 0] = answers
    zeros = np.zeros(shape, dtype=np.int64)
    return Examples(zeros, np.full(len(answers), 2), zeros, supervised, targets)


def test_what_is_missing_is_drawn():
    """Half of ten should say 7 and half 8; four that say 8 are there, and one that says 9."""
    balance = AnswerBalance(examples([7, 8, 7, 8]), np.array([7, 8, 9]))
    drawn = balance.draw(np.array([8, 8, 8, 8, 9]), 10, 6, np.random.default_rng(0))
    assert Counter((drawn % 2).tolist()) == {0: 5, 1: 1}  # examples 0 and 2 say 7


def test_tokens_but_some_are_all_others():
    drawn = tokens_but(np.array([0, 3, 4, 9]), 10, 500, np.random.default_rng(0))
    assert set(drawn.tolist()) == {1, 2, 5, 6, 7, 8}
