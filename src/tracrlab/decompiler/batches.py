"""Samples as padded arrays: what a meta-model is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.decompiler.augmentation import Augmentation, augment
from tracrlab.decompiler.circuits import Circuit, circuit_of, pad_circuits
from tracrlab.decompiler.loading import Sample
from tracrlab.decompiler.parameter_tokens import ParameterTokens, encode_tokens, pad_tokens
from tracrlab.decompiler.program_encoding import line_form, pad_programs
from tracrlab.decompiler.weight_blocks import WIDTH, encode_blocks

Model = TypeVar("Model")


@dataclass(frozen=True)
class BlockBatch:
    """The thesis's form.

    Attributes:
      ids: the samples', int64 [batch].
      blocks: timesteps, float32 [batch, timesteps, WIDTH], zeros after the last.
      mask: which timesteps are there, bool [batch, timesteps].
      lines: int64 [batch, 15, 5], see `program_encoding.line_form`.
    """

    ids: np.ndarray
    blocks: np.ndarray
    mask: np.ndarray
    lines: np.ndarray


@dataclass(frozen=True)
class TokenBatch:
    """Our form.

    Attributes:
      ids: the samples', int64 [batch].
      parameters: parameter tokens, a padded batch.
      program: token ids with start and end, int64 [batch, length], padded.
    """

    ids: np.ndarray
    parameters: ParameterTokens
    program: np.ndarray


@dataclass(frozen=True)
class CircuitBatch:
    """Our form with execution.

    Attributes:
      ids: the samples', int64 [batch].
      circuits: what the models do on probes, a padded batch.
      program: token ids with start and end, int64 [batch, length], padded.
    """

    ids: np.ndarray
    circuits: Circuit
    program: np.ndarray


def _weights(
    samples: Sequence[Sample], augmentation: Augmentation | None, rng: np.random.Generator
) -> list[np.ndarray]:
    if augmentation is None:
        return [sample.weights for sample in samples]
    return [augment(sample.architecture, sample.weights, augmentation, rng) for sample in samples]


def _read(
    samples: Sequence[Sample],
    augmentation: Augmentation | None,
    rng: np.random.Generator,
    encode: Callable[[Architecture, np.ndarray, np.ndarray | None], Model],
) -> list[Model]:
    """Each model as `encode` gives it, its weights changed afresh."""
    weights = _weights(samples, augmentation, rng)
    return [
        encode(sample.architecture, flat, sample.output_values)
        for sample, flat in zip(samples, weights, strict=True)
    ]


def block_batches(
    augmentation: Augmentation | None = None,
) -> Callable[[list[Sample], np.random.Generator], BlockBatch]:
    """What a `ZooLoader` encodes with for the thesis's meta-model."""

    def encode(samples: list[Sample], rng: np.random.Generator) -> BlockBatch:
        weights = _weights(samples, augmentation, rng)
        many = [
            encode_blocks(sample.architecture, flat)
            for sample, flat in zip(samples, weights, strict=True)
        ]
        return BlockBatch(_ids(samples), *pad_blocks(many), line_form(_programs(samples)))

    return encode


def pad_blocks(many: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Timesteps of several models as one padded batch, and which of them are there."""
    blocks = np.zeros((len(many), max(map(len, many)), WIDTH), dtype=np.float32)
    mask = np.zeros(blocks.shape[:2], dtype=bool)
    for row, steps in enumerate(many):
        blocks[row, : len(steps)] = steps
        mask[row, : len(steps)] = True
    return blocks, mask


def token_batches(
    augmentation: Augmentation | None = None,
) -> Callable[[list[Sample], np.random.Generator], TokenBatch]:
    """What a `ZooLoader` encodes with for our meta-model."""

    def encode(samples: list[Sample], rng: np.random.Generator) -> TokenBatch:
        many = _read(samples, augmentation, rng, encode_tokens)
        return TokenBatch(_ids(samples), pad_tokens(many), pad_programs(_programs(samples)))

    return encode


def circuit_batches(
    augmentation: Augmentation | None = None,
) -> Callable[[list[Sample], np.random.Generator], CircuitBatch]:
    """What a `ZooLoader` encodes with for our meta-model that reads circuits."""

    def encode(samples: list[Sample], rng: np.random.Generator) -> CircuitBatch:
        many = _read(samples, augmentation, rng, circuit_of)
        return CircuitBatch(_ids(samples), pad_circuits(many), pad_programs(_programs(samples)))

    return encode


def _ids(samples: Sequence[Sample]) -> np.ndarray:
    return np.array([sample.id for sample in samples], dtype=np.int64)


def _programs(samples: Sequence[Sample]) -> list[np.ndarray]:
    return [sample.tokens for sample in samples]
