"""An endless stream of batches, epoch after epoch, that several processes read ahead and share.

Every process goes over the same global batches, whatever their number: a training process takes
every n-th sample of a batch, a loader process encodes every n-th batch. So a run with eight
processes takes the same steps as one with a single process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from tracrlab.decompiler.loading import Choice, Position, Sample, ZooLoader
from tracrlab.decompiler.objectives import Batch, Encoder


@dataclass(frozen=True)
class Piece:
    """A process's share of a batch.

    Attributes:
      after: where the stream stands once it has been taken.
      batch: the share.
      counts: whether it counts; a process without a sample of its own computes one that does not.
      samples: samples of the whole batch.
    """

    after: Position
    batch: Batch
    counts: bool
    samples: int


def _as_they_are(
    samples: list[Sample], rng: np.random.Generator
) -> tuple[list[Sample], np.random.Generator]:
    return samples, rng


class BatchStream(IterableDataset):
    """The stream; see the module.

    Args:
      shards: of the zoo.
      choice: which rows.
      batch_size: samples of a batch, over all processes.
      encoder: makes batches.
      seed: of the order, and of what is drawn.
      similar: see `ZooLoader`.
      rank, world: which of the processes this is, and of how many.
      position: where to begin.
    """

    def __init__(
        self,
        shards: list[Path],
        choice: Choice,
        batch_size: int,
        encoder: Encoder,
        *,
        seed: int,
        similar: int = 1,
        rank: int = 0,
        world: int = 1,
        position: Position = Position(),  # noqa: B008 (frozen)
    ):
        self.shards, self.choice, self.batch_size = shards, choice, batch_size
        self.encoder, self.seed, self.similar = encoder, seed, similar
        self.rank, self.world, self.position = rank, world, position

    def __iter__(self) -> Iterator[Piece]:
        """Pieces without end; of several loader processes each gives its own."""
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        loader: ZooLoader[Any] = ZooLoader(
            self.shards,
            self.choice,
            self.batch_size,
            _as_they_are,
            seed=self.seed,
            similar=self.similar,
        )
        loader.position = self.position
        number = 0
        while True:
            for after, (samples, rng) in loader.positioned():
                if number % workers == worker:
                    yield self._piece(after, samples, rng)
                number += 1
            loader.position = Position(loader.position.epoch + 1)

    def _piece(self, after: Position, samples: list[Sample], rng: np.random.Generator) -> Piece:
        own = samples[self.rank :: self.world]
        if self.world > 1:
            rng = np.random.default_rng([int(rng.integers(2**62)), self.rank])
        return Piece(after, self.encoder(own or samples[:1], rng), bool(own), len(samples))


def read_ahead(stream: BatchStream, workers: int) -> Iterator[Piece]:
    """The stream as it is, or encoded by other processes, in the same order."""
    if not workers:
        return iter(stream)
    return iter(
        DataLoader(
            stream,
            batch_size=None,
            num_workers=workers,
            multiprocessing_context="forkserver",
            prefetch_factor=4,
        )
    )
