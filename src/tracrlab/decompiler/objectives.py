"""What each method is trained to do: its batches, what it says of them, and its loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tracrlab.decompiler.batches import (
    BlockBatch,
    CircuitBatch,
    TokenBatch,
    block_batches,
    circuit_batches,
    token_batches,
)
from tracrlab.decompiler.circuit_model import CircuitTensors
from tracrlab.decompiler.encoder_decoder import program_loss
from tracrlab.decompiler.line_model import line_loss
from tracrlab.decompiler.loading import Sample
from tracrlab.decompiler.model import tensors
from tracrlab.decompiler.settings import AUTOENCODER, CIRCUITS, LINES, STAND_INS, Run
from tracrlab.decompiler.stand_ins import stand_in
from tracrlab.rasp.tokens import PAD

Batch = BlockBatch | TokenBatch | CircuitBatch
Encode = Callable[[list[Sample], np.random.Generator], Batch]


_BATCHES = {LINES: block_batches, CIRCUITS: circuit_batches}


@dataclass(frozen=True)
class Encoder:
    """Makes batches of a run; it can be sent to another process.

    Attributes:
      run: the run.
      augmented: whether weights are changed and noise is added, as in training.
    """

    run: Run
    augmented: bool = True

    def __call__(self, samples: list[Sample], rng: np.random.Generator) -> Batch:
        """A batch of samples."""
        augmentation = self.run.augmentation if self.augmented else None
        batches = _BATCHES.get(self.run.method, token_batches)
        if self.run.zoo == STAND_INS:
            samples = [_stand_in(sample, rng) for sample in samples]
        if self.augmented and self.run.weight_noise:
            samples = [_noisy(sample, self.run.weight_noise, rng) for sample in samples]
        return batches(augmentation)(samples, rng)


def _stand_in(sample: Sample, rng: np.random.Generator) -> Sample:
    architecture, weights = stand_in(sample.architecture, sample.weights, rng)
    return replace(sample, architecture=architecture, weights=weights)


def _noisy(sample: Sample, noise: float, rng: np.random.Generator) -> Sample:
    """Gaussian noise on a model's weights (Inverse Tracr, section 5.4.1)."""
    weights = sample.weights
    size = noise * float(np.sqrt(np.mean(np.square(weights, dtype=np.float64))))
    drawn = rng.standard_normal(len(weights), dtype=np.float32)
    return replace(sample, weights=weights + np.float32(size) * drawn)


def parts_of(run: Run, batch: Batch) -> int:
    """How many predictions a batch's loss is the mean of."""
    if run.method == LINES:
        used = batch.lines.any(axis=2)
        counted = used.copy()
        counted[:, 0] = True
        counted[:, 1:] |= used[:, :-1]
        return int(counted.sum())
    return int((batch.program[:, 1:] != PAD).sum())


def predict(run: Run, model: nn.Module, batch: Batch, device: torch.device) -> tuple[Any, Tensor]:
    """What the model says of a batch, and the targets."""
    if run.method == LINES:
        blocks, mask, lines = (
            torch.from_numpy(part).to(device) for part in (batch.blocks, batch.mask, batch.lines)
        )
        return model(blocks, mask), lines
    if run.method in (AUTOENCODER, CIRCUITS):
        program = torch.from_numpy(batch.program).to(device)
        if run.method == AUTOENCODER:
            return model(program), program
        return model(CircuitTensors.of(batch.circuits, device), program), program
    parameters, program = tensors(batch, device)
    return model(parameters, program), program


def loss_of(run: Run, predicted: Any, targets: Tensor) -> Tensor:
    """The mean loss of a batch, a scalar."""
    return (
        line_loss(predicted, targets) if run.method == LINES else program_loss(predicted, targets)
    )
