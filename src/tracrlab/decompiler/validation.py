"""The figures of a learning curve, measured on models that are held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tracrlab.decompiler.batches import BlockBatch, CircuitBatch, TokenBatch
from tracrlab.decompiler.grammar import Grammar, allowed_tokens
from tracrlab.decompiler.line_model import predicted_lines
from tracrlab.decompiler.loading import Choice, ZooLoader
from tracrlab.decompiler.metrics import count_slots
from tracrlab.decompiler.objectives import Batch, Encoder, loss_of, parts_of, predict
from tracrlab.decompiler.settings import LINES, Run
from tracrlab.rasp.tokens import PAD

_BATCH = 64


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
    def read(
        cls,
        run: Run,
        shards: list[Path],
        choice: Choice,
        programs: int,
        grammar: Grammar,
        seed: int,
    ) -> ValidationSet | None:
        """About so many models of a zoo, the same at every start; None if it has none."""
        if not any(len(choice.rows_of(path)) for path in shards):
            return None
        encoder = Encoder(run, augmented=False)
        loader = ZooLoader(shards, choice, min(_BATCH, programs), encoder, seed=seed)
        batches: list[Batch] = []
        for _, batch in loader.positioned():
            batches.append(batch)
            if sum(len(one.ids) for one in batches) >= programs:
                break
        return cls.of(run, batches, grammar)

    @classmethod
    def of(cls, run: Run, batches: list[Batch], grammar: Grammar) -> ValidationSet:
        """These batches."""
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


def _count_lines(tally: Tally, predicted: list[Tensor], batch: BlockBatch) -> None:
    lines = predicted_lines([slot.float() for slot in predicted]).cpu().numpy()
    counts = count_slots(lines, batch.lines)
    tally.right += int(counts.right.sum())
    tally.tokens += int(counts.slots.sum())
    tally.content_right += int(counts.content_right.sum())
    tally.content += int(counts.content.sum())


def _count_tokens(
    tally: Tally, logits: Tensor, batch: TokenBatch | CircuitBatch, allowed: np.ndarray
) -> None:
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
