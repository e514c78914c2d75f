"""Which examples and tokens the steps of a training take, as a function of seed and step alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tracrlab.injection.prompts import Examples

#: Batches whose rows are shared out by length.
SORTED = 4


def in_turn(seed: int, use: int, step: int, count: int, total: int) -> np.ndarray:
    """Numbers of the things that a step takes: all of them once, in a new order each time round.

    Args:
      seed: root of the random numbers.
      use: what the seed is used for; each use has its own order.
      step: from 0.
      count: how many a step takes.
      total: how many there are.
    """
    places = np.arange(step * count, (step + 1) * count)
    rounds = places // total
    result = np.empty(count, dtype=np.int64)
    for epoch in np.unique(rounds):
        result[rounds == epoch] = _order(seed, use, int(epoch), total)[
            places[rounds == epoch] % total
        ]
    return result


@lru_cache(maxsize=8)
def _order(seed: int, use: int, epoch: int, total: int) -> np.ndarray:
    return np.random.default_rng([seed, use, 1_000_000 + epoch]).permutation(total)


def by_length(lengths: np.ndarray, rows: int, generator: np.random.Generator) -> np.ndarray:
    """An order in which rows of a batch are of like length: padding costs as tokens do.

    The rows of a few batches are shared out by length; were those of the whole block, a batch would
    hold one length alone, and some tasks are learned slower so.

    Args:
      lengths: of all rows; `SORTED` batches divide them, int64 [all rows].
      rows: of a batch.
      generator: of the random order.
    """
    order = []
    for part in generator.permutation(len(lengths)).reshape(-1, SORTED * rows):
        found = part[np.argsort(lengths[part], kind="stable")].reshape(SORTED, -1)
        order.append(generator.permuted(generator.permutation(found, axis=0), axis=1))
    return np.concatenate(order).ravel()


def first_answers(examples: Examples) -> np.ndarray:
    """The first token of each answer, int64 [examples]."""
    return examples.targets[np.arange(len(examples)), examples.prompts - 1]


class AnswerBalance:
    """Draws training examples beside others so that answers are as frequent as in training.

    Exchanged brackets nearly never match, so that a model would learn to say No.

    Args:
      examples: the training examples.
      answers: every token that answers are made of, ascending. One that starts no answer in
        training, but may start that of an exchanged prompt, has no examples and no share.
    """

    def __init__(self, examples: Examples, answers: np.ndarray):
        first = first_answers(examples)
        self.answers = answers
        self.examples_of = [np.flatnonzero(first == token) for token in answers]
        self.shares = np.array([len(rows) for rows in self.examples_of]) / len(first)

    def draw(
        self, others: np.ndarray, total: int, count: int, generator: np.random.Generator
    ) -> np.ndarray:
        """Numbers of training examples, int64 [count].

        Args:
          others: first answers of those beside them.
          total: how many there are to be, with these and with rows that have no answer.
          count: how many to draw.
          generator: of the choice.
        """
        there = np.bincount(np.searchsorted(self.answers, others), minlength=len(self.answers))
        missing = np.maximum(self.shares * total - there, 0)
        ends = np.round(np.cumsum(missing) / missing.sum() * count).astype(np.int64)
        each = np.diff(ends, prepend=0)
        wanted = generator.permutation(np.repeat(np.arange(len(self.answers)), each))
        drawn = np.empty(len(wanted), dtype=np.int64)
        for answer in np.unique(wanted):
            rows = wanted == answer
            drawn[rows] = generator.choice(self.examples_of[answer], size=int(rows.sum()))
        return drawn


def tokens_but(
    excluded: np.ndarray, vocabulary: int, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Tokens of a vocabulary that are none of the excluded (ascending) ones, int64 [count]."""
    drawn = generator.integers(vocabulary - len(excluded), size=count)
    # The number of a token among those that are not excluded, as a token.
    return drawn + np.searchsorted(excluded - np.arange(len(excluded)), drawn, "right")
