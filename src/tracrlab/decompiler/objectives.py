"""What each method is trained to do: its batches, its loss, and the figures of its curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tracrlab.decompiler.batches import BlockBatch, TokenBatch, block_batches, token_batches
from tracrlab.decompiler.grammar import Grammar
from tracrlab.decompiler.line_model import line_loss, predicted_lines
from tracrlab.decompiler.loading import Sample
from tracrlab.decompiler.metrics import count_slots
from tracrlab.decompiler.model import program_loss, tensors
from tracrlab.decompiler.settings import AUTOENCODER, LINES, Run
from tracrlab.rasp.tokens import PAD

Batch = BlockBatch | TokenBatch
Encode = Callable[[list[Sample], np.random.Generator], Batch]


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
        batches = block_batches if self.run.method == LINES else token_batches
        if self.augmented and self.run.weight_noise:
            samples = [_noisy(sample, self.run.weight_noise, rng) for sample in samples]
        return batches(augmentation)(samples, rng)


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
    if run.method == AUTOENCODER:
        program = torch.from_numpy(batch.program).to(device)
        return model(program), program
    parameters, program = tensors(batch, device)
    return model(parameters, program), program


def loss_of(run: Run, predicted: Any, targets: Tensor) -> Tensor:
    """The mean loss of a batch, a scalar."""
    return (
        line_loss(predicted, targets) if run.method == LINES else program_loss(predicted, targets)
    )


@dataclass
class Tally:
    """Sums over a validation set.

    Attributes:
      loss, parts: summed loss, and predictions.
      right, tokens: of all tokens (slots for lines), padding left out.
      content_right, content: without those that are predetermined.
    """

    loss: float = 0.0
    parts: int = 0
    right: int = 0
    tokens: int = 0
    content_right: int = 0
    content: int = 0

    def figures(self) -> dict[str, float]:
        """The columns of the curve; accuracies in percent."""
        return {
            "validation_loss": self.loss / self.parts,
            "token_accuracy": 100 * self.right / self.tokens,
            "content_accuracy": 100 * self.content_right / self.content,
        }


@dataclass(frozen=True)
class ValidationSet:
    """Batches that stay the same, and which tokens may stand where.

    Attributes:
      batches: the batches.
      allowed: for each, what the grammar allows after each prefix, bool [batch, length - 1,
        tokens]; empty for lines, which have no grammar.
    """

    batches: list[Batch]
    allowed: list[np.ndarray]

    @classmethod
    def of(cls, run: Run, batches: list[Batch], grammar: Grammar) -> ValidationSet:
        """The validation set of a run."""
        if run.method == LINES:
            return cls(batches, [])
        return cls(batches, [allowed_tokens(grammar, batch.program) for batch in batches])

    def measure(
        self, run: Run, model: nn.Module, device: torch.device, rank: int = 0, world: int = 1
    ) -> Tally:
        """The sums over every `world`-th batch from batch `rank` on, without dropout."""
        tally = Tally()
        was_training = model.training
        model.eval()
        with torch.inference_mode():
            for number in range(rank, len(self.batches), world):
                batch = self.batches[number]
                predicted, targets = predict(run, model, batch, device)
                parts = parts_of(run, batch)
                tally.loss += float(loss_of(run, predicted, targets)) * parts
                tally.parts += parts
                if run.method == LINES:
                    _count_lines(tally, predicted, batch)
                else:
                    _count_tokens(tally, predicted, batch, self.allowed[number])
        model.train(was_training)
        return tally


def allowed_tokens(grammar: Grammar, programs: np.ndarray) -> np.ndarray:
    """What the grammar allows after each prefix of true programs, bool [batch, length - 1, ids]."""
    state = grammar.start(len(programs))
    steps = []
    for place in range(1, programs.shape[1]):
        steps.append(grammar.mask(state))
        grammar.advance(state, programs[:, place])
    return np.stack(steps, axis=1)


def _count_lines(tally: Tally, predicted: list[Tensor], batch: BlockBatch) -> None:
    lines = predicted_lines([slot.float() for slot in predicted]).cpu().numpy()
    counts = count_slots(lines, batch.lines)
    tally.right += int(counts.right.sum())
    tally.tokens += int(counts.slots.sum())
    tally.content_right += int(counts.content_right.sum())
    tally.content += int(counts.content.sum())


def _count_tokens(tally: Tally, logits: Tensor, batch: TokenBatch, allowed: np.ndarray) -> None:
    """Each next token after the true ones before it; content is where there is a choice."""
    scores = logits[:, :-1].float().cpu().numpy()
    true = batch.program[:, 1:]
    right = np.where(allowed, scores, -np.inf).argmax(axis=2) == true
    there = true != PAD
    content = there & (allowed.sum(axis=2) > 1)
    tally.right += int((right & there).sum())
    tally.tokens += int(there.sum())
    tally.content_right += int((right & content).sum())
    tally.content += int(content.sum())
