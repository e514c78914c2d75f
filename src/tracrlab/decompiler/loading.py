"""Streams a zoo's rows in a fixed random order, and goes on from any batch exactly.

The order of an epoch is a function of the seed and the epoch alone: shards are shuffled, a few at a
time are read into memory, and their rows are shuffled together. Worker k of n takes every n-th row
of that order, so workers never overlap and together take every row once. Where a worker stands is
two numbers, the epoch and the batch; they come with every batch, so that what was prefetched and
not used is not skipped after a restart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from tracrlab.compiler.architecture import Architecture, Layer
from tracrlab.compiler.model import BOS
from tracrlab.decompiler.parameter_tokens import as_numbers, count_tokens
from tracrlab.decompiler.weight_blocks import count_blocks
from tracrlab.errors import TracrLabError
from tracrlab.rasp.program import CATEGORICAL
from tracrlab.rasp.values import Value, parse_literal
from tracrlab.zoo.manifest import load_manifest
from tracrlab.zoo.reading import Column, Ragged, read_columns

Encoded = TypeVar("Encoded")

_SIZES = ("heads", "key_size", "value_size", "mlp_hidden")
_SIZE_COLUMNS = ("d_model", *_SIZES, "output_encoding", "output_values")
_COLUMNS = ("id", "n_ops", "tokens", *_SIZE_COLUMNS)
_CHOICE = ("split", "n_ops", "d_model")


@dataclass(frozen=True)
class Sample:
    """A row of a zoo.

    Attributes:
      id, n_ops: as in the zoo.
      tokens: token ids of the program, int16 [tokens].
      architecture: sizes of the model.
      weights: float32 [weights], in the documented order; not to be written to.
      output_values: what each output direction stands for (see `parameter_tokens.as_numbers`);
        None for a numerical output.
    """

    id: int
    n_ops: int
    tokens: np.ndarray
    architecture: Architecture
    weights: np.ndarray
    output_values: np.ndarray | None


@dataclass(frozen=True)
class Choice:
    """Which rows are taken.

    Attributes:
      split: train, validation or test.
      ops: fewest and most ops of a program.
      max_d_model: the widest residual stream.
      max_tokens: the most parameter tokens of a model; None for any.
      max_blocks: the most 512-weight blocks; likewise.
    """

    split: str
    ops: tuple[int, int] = (1, 62)
    max_d_model: int = 4096
    max_tokens: int | None = None
    max_blocks: int | None = None

    def rows(self, columns: dict[str, Column]) -> np.ndarray:
        """Numbers of the rows that are taken."""
        n_ops, d_model = columns["n_ops"], columns["d_model"]
        taken = (columns["split"] == self.split) & (d_model <= self.max_d_model)
        return np.flatnonzero(taken & (self.ops[0] <= n_ops) & (n_ops <= self.ops[1]))

    def rows_of(self, shard: Path) -> np.ndarray:
        """Numbers of a shard's rows that are taken."""
        rows = self.rows(read_columns(shard, _CHOICE)[0])
        if self.max_tokens is None and self.max_blocks is None:
            return rows
        architectures = _Architectures(shard)
        return np.array([row for row in rows.tolist() if self._takes(architectures[row])], int)

    def _takes(self, architecture: Architecture) -> bool:
        tokens, blocks = _sizes(architecture)
        within_tokens = self.max_tokens is None or tokens <= self.max_tokens
        return within_tokens and (self.max_blocks is None or blocks <= self.max_blocks)


@dataclass(frozen=True)
class Position:
    """Where a worker stands: the epoch, and how many batches of it have been taken."""

    epoch: int = 0
    batch: int = 0


class ZooLoader(Generic[Encoded]):
    """Batches of a zoo's samples, encoded.

    Args:
      shards: the Parquet files, in the zoo's order.
      choice: which rows are taken.
      batch_size: samples in a batch; the last batch of an epoch may have fewer.
      encode: makes a batch from samples and a generator of random numbers. The generator is a
        function of seed, epoch, worker and batch, so augmentation is fresh in every epoch and the
        same after a restart.
      seed: of the order and of these generators.
      worker, workers: which part of the rows is taken, and of how many.
      pool: shards that are shuffled together; they are held in memory.
      shuffle: whether rows are shuffled at all.
      similar: batches that are made together, of models of similar size, which leaves less padding;
        their order is shuffled again. 1 takes rows as they come.

    Raises:
      TracrLabError: if a shard is missing or damaged, no row is taken, or there is no such worker.
    """

    def __init__(
        self,
        shards: Sequence[str | Path],
        choice: Choice,
        batch_size: int,
        encode: Callable[[list[Sample], np.random.Generator], Encoded],
        *,
        seed: int = 0,
        worker: int = 0,
        workers: int = 1,
        pool: int = 2,
        shuffle: bool = True,
        similar: int = 1,
    ):
        if not 0 <= worker < workers:
            raise TracrLabError(f"there is no worker {worker} of {workers}.")
        if min(batch_size, pool, similar) < 1:
            raise TracrLabError(
                f"batch_size, pool and similar are at least 1, not {batch_size}, {pool} and "
                f"{similar}."
            )
        self.shards = [Path(path) for path in shards]
        self.choice, self.batch_size, self.encode = choice, batch_size, encode
        self.seed, self.worker, self.workers = seed, worker, workers
        self.pool, self.shuffle, self.similar = pool, shuffle, similar
        self.position = Position()
        self._rows = [choice.rows_of(path) for path in self.shards]
        self.samples = len(range(worker, sum(map(len, self._rows)), workers))
        if not self.samples:
            raise TracrLabError(
                f"no row of the {choice.split!r} split with {choice.ops[0]} to {choice.ops[1]} ops "
                f"within the limits on size is left for worker {worker} of {workers}; take a "
                "larger zoo, higher limits or fewer workers."
            )

    @classmethod
    def of_zoo(cls, manifest: str | Path, *arguments: Any, **options: Any) -> ZooLoader:
        """A loader of a manifest's shards, each checked; the rest as for `ZooLoader`."""
        return cls(list(load_manifest(manifest).checked_shards()), *arguments, **options)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return math.ceil(self.samples / self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, for `load_state_dict`; JSON."""
        return asdict(self.position) | self._identity()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on after the last batch that was taken when `state` was made.

        Raises:
          TracrLabError: if it is the state of other data or of another order.
        """
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise TracrLabError(
                    f"the state of the loader has {name} {state.get(name)!r} and this one has "
                    f"{value!r}; resume with the same data and settings."
                )
        self.position = Position(state["epoch"], state["batch"])

    def _identity(self) -> dict[str, Any]:
        names = ("samples", "batch_size", "seed", "worker", "workers", "pool", "shuffle", "similar")
        return {name: getattr(self, name) for name in names}

    def __iter__(self) -> Iterator[Encoded]:
        """The rest of the epoch; the loader then stands at the start of the next one."""
        for position, batch in self.positioned():
            self.position = position
            yield batch

    def positioned(self) -> Iterator[tuple[Position, Encoded]]:
        """As iterating, each batch with where the loader stands once it has been taken.

        The loader itself stays where it is: for whoever reads ahead.
        """
        epoch, first = self.position.epoch, self.position.batch
        number = first - first % self.similar
        window: list[Sample] = []
        for sample in self._epoch(epoch, number * self.batch_size):
            window.append(sample)
            if len(window) == self.similar * self.batch_size:
                yield from self._window(epoch, number, first, window)
                number += self.similar
                window = []
        yield from self._window(epoch, number, first, window)

    def _window(
        self, epoch: int, number: int, first: int, window: list[Sample]
    ) -> Iterator[tuple[Position, Encoded]]:
        """The batches `number`, `number` + 1, ... of an epoch, from batch `first` on."""
        starts = np.arange(0, len(window), self.batch_size)
        if self.similar > 1:
            window = sorted(window, key=lambda sample: count_tokens(sample.architecture))
            if self.shuffle:
                np.random.default_rng([self.seed, epoch, self.worker, number]).shuffle(starts)
        for place, start in enumerate(starts.tolist()):
            if number + place >= first:
                samples = window[start : start + self.batch_size]
                yield self._batch(epoch, number + place + 1, samples)

    def _batch(self, epoch: int, number: int, samples: list[Sample]) -> tuple[Position, Encoded]:
        rng = np.random.default_rng([self.seed, epoch, self.worker, number])
        last = number == len(self)
        after = Position(epoch + 1, 0) if last else Position(epoch, number)
        return after, self.encode(samples, rng)

    def _epoch(self, epoch: int, skip: int) -> Iterator[Sample]:
        """The worker's samples of an epoch but the first `skip`; skipped pools are not read."""
        order = np.arange(len(self.shards))
        rng = np.random.default_rng([self.seed, epoch])
        if self.shuffle:
            rng.shuffle(order)
        before = 0  # rows of all workers in earlier pools
        for start in range(0, len(order), self.pool):
            numbers = order[start : start + self.pool].tolist()
            count = sum(len(self._rows[number]) for number in numbers)
            places = np.arange(count)
            if self.shuffle:
                rng.shuffle(places)
            own = places[(self.worker - before) % self.workers :: self.workers]
            before += count
            taken = own[skip:]
            skip = max(skip - len(own), 0)
            if len(taken):
                yield from self._pool(numbers, taken)

    def _pool(self, numbers: list[int], places: np.ndarray) -> Iterator[Sample]:
        """Samples by their places among the chosen rows of a few shards."""
        shards = [_Shard(self.shards[number], self._rows[number]) for number in numbers]
        ends = np.cumsum([len(self._rows[number]) for number in numbers])
        which = np.searchsorted(ends, places, side="right")
        starts = np.concatenate([[0], ends[:-1]])
        for shard, place in zip(which.tolist(), (places - starts[which]).tolist(), strict=True):
            yield shards[shard][place]


class _Architectures:
    """The architectures of a shard's rows."""

    def __init__(self, path: Path, names: Sequence[str] = _SIZE_COLUMNS):
        self.columns, info = read_columns(path, names)
        self.symbols = (*info.domain.vocab, BOS)
        self.max_seq_len, self.causal = info.max_seq_len, info.causal
        self.categorical = self.columns["output_encoding"] == CATEGORICAL
        self.output_size = np.where(self.categorical, self.columns["output_values"].lengths, 1)

    def __getitem__(self, row: int) -> Architecture:
        columns = self.columns
        return _architecture(
            self.symbols,
            self.max_seq_len,
            int(columns["d_model"][row]),
            int(self.output_size[row]),
            tuple(columns[name][row].tobytes() for name in _SIZES),
            self.causal,
        )


class _Shard:
    """The chosen rows of a shard, in memory."""

    def __init__(self, path: Path, rows: np.ndarray):
        self.rows = rows.tolist()
        self.architectures = _Architectures(path, (*_COLUMNS, "weights"))
        self.columns = self.architectures.columns
        texts = self.columns["output_values"]
        distinct = list(dict.fromkeys(texts.values))
        number = dict(zip(distinct, as_numbers([*map(parse_literal, distinct)]), strict=True))
        numbers = np.array([number[text] for text in texts.values], dtype=np.float32)
        self.output_values = Ragged(numbers, texts.offsets)
        weights = self.columns["weights"]
        bad = np.flatnonzero(~np.isfinite(weights.values))
        if len(bad):
            row = np.searchsorted(weights.offsets, bad[0], side="right") - 1
            raise TracrLabError(
                f"row {self.columns['id'][row]} of {path} has weights that are not finite; make "
                "the shard again."
            )

    def __getitem__(self, place: int) -> Sample:
        row, columns = self.rows[place], self.columns
        return Sample(
            int(columns["id"][row]),
            int(columns["n_ops"][row]),
            columns["tokens"][row],
            self.architectures[row],
            columns["weights"][row],
            self.output_values[row] if self.architectures.categorical[row] else None,
        )


@lru_cache(maxsize=8192)
def _architecture(
    symbols: tuple[Value, ...],
    max_seq_len: int,
    d_model: int,
    output_size: int,
    sizes: tuple[bytes, ...],
    causal: bool,
) -> Architecture:
    """Architectures repeat in a zoo; equal ones are made once."""
    columns = [np.frombuffer(column, dtype=np.int32).tolist() for column in sizes]
    layers = tuple(Layer(*layer) for layer in zip(*columns, strict=True))
    return Architecture(symbols, max_seq_len, d_model, output_size, layers, causal)


@lru_cache(maxsize=8192)
def _sizes(architecture: Architecture) -> tuple[int, int]:
    """Parameter tokens and weight blocks of an architecture."""
    return count_tokens(architecture), count_blocks(architecture)
