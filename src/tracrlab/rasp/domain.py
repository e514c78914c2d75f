"""The inputs on which programs are evaluated, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.rasp.values import Value, distinct

#: A domain with at most this many input sequences is enumerated, a larger one is sampled.
MAX_ENUMERATED = 4096


@dataclass(frozen=True)
class Domain:
    """Every input sequence over a vocabulary, or 4,096 seeded ones where there are more.

    Attributes:
      vocab: the input symbols; kept in order and without repeats.
      max_seq_len: the longest input; inputs have 1 to `max_seq_len` symbols.
      causal: whether a position sees only itself and earlier ones.
      inputs: the input sequences themselves, where a program is defined only on some.
    """

    vocab: tuple[Value, ...]
    max_seq_len: int
    causal: bool = False
    inputs: tuple[tuple[Value, ...], ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocab", distinct(self.vocab))
        if not self.vocab or self.max_seq_len < 1:
            raise TracrLabError(
                f"a domain needs at least one symbol and a length of at least 1, not "
                f"{len(self.vocab)} symbols and length {self.max_seq_len}."
            )
        unknown = {symbol for word in self.inputs or () for symbol in word} - set(self.vocab)
        if unknown:
            raise TracrLabError(f"the inputs hold {unknown}, which the vocabulary does not.")
        if self.inputs is not None and not all(
            0 < len(word) <= self.max_seq_len for word in self.inputs
        ):
            raise TracrLabError(f"the inputs must have 1 to {self.max_seq_len} symbols each.")

    @cached_property
    def size(self) -> int:
        """How many input sequences exist (as a Python int, it may be huge)."""
        if self.inputs is not None:
            return len(self.inputs)
        return sum(len(self.vocab) ** length for length in range(1, self.max_seq_len + 1))

    @cached_property
    def exhaustive(self) -> bool:
        """Whether `codes` holds every input sequence."""
        return self.inputs is not None or self.size <= MAX_ENUMERATED

    @cached_property
    def codes(self) -> np.ndarray:
        """Symbols as numbers into `vocab`, int64 [inputs, positions]; ``len(vocab)`` is padding."""
        return _codes(self.vocab, self.max_seq_len, self.inputs, self.exhaustive)

    @cached_property
    def mask(self) -> np.ndarray:
        """Which positions hold a symbol, bool [inputs, positions]."""
        return np.asfortranarray(self.codes < len(self.vocab))

    @cached_property
    def lengths(self) -> np.ndarray:
        """Number of symbols of each input, int64 [inputs]."""
        return self.mask.sum(axis=1)

    def input(self, number: int) -> list[Value]:
        """One input sequence as values."""
        return [self.vocab[code] for code in self.codes[number, : self.lengths[number]]]

    @cached_property
    def description(self) -> str:
        """A text that is equal for equal domains; behaviour hashes are taken over it."""
        parts = [repr(self.vocab), str(self.max_seq_len), str(self.causal)]
        return " ".join(parts if self.inputs is None else [*parts, repr(self.inputs)])


@lru_cache(maxsize=16)
def _codes(
    vocab: tuple[Value, ...],
    max_seq_len: int,
    inputs: Sequence[Sequence[Value]] | None,
    exhaustive: bool,
) -> np.ndarray:
    padding = len(vocab)
    if inputs is not None:
        index = {symbol: code for code, symbol in enumerate(vocab)}
        rows = np.full((len(inputs), max_seq_len), padding, dtype=np.int64)
        for row, word in zip(rows, inputs, strict=True):
            row[: len(word)] = [index[symbol] for symbol in word]
    elif exhaustive:
        blocks = []
        for length in range(1, max_seq_len + 1):
            grid = np.indices((padding,) * length).reshape(length, -1).T
            block = np.full((len(grid), max_seq_len), padding, dtype=np.int64)
            block[:, :length] = grid
            blocks.append(block)
        rows = np.concatenate(blocks)
    else:
        generator = np.random.default_rng(0)
        lengths = generator.integers(1, max_seq_len + 1, size=MAX_ENUMERATED)
        rows = generator.integers(0, padding, size=(MAX_ENUMERATED, max_seq_len))
        rows[np.arange(max_seq_len) >= lengths[:, None]] = padding
    rows.setflags(write=False)
    return rows
