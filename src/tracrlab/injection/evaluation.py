"""Answer accuracy by greedy decoding with its interval, and perplexity on plain text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from tracrlab.errors import TracrLabError
from tracrlab.injection.prompts import Examples
from tracrlab.injection.streams import Run, StreamModel

#: Two-sided 95 % of the normal distribution.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers with its Wilson 95 % interval, in percent.

    Attributes:
      right, count: right answers, and examples.
    """

    right: int
    count: int

    @property
    def percent(self) -> float:
        return 100 * self.right / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson interval, in percent."""
        return wilson(self.right, self.count)


def wilson(right: int, count: int) -> tuple[float, float]:
    """The Wilson score interval at 95 %, in percent."""
    share, z2 = right / count, _Z**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


def require_finite(numbers: torch.Tensor, where: str) -> torch.Tensor:
    """Numbers as they are: an answer read from one that is no number would be a wrong figure.

    Args:
      numbers: logits, or a loss.
      where: what was measured, for the message.

    Raises:
      TracrLabError: if one of them is NaN or infinite.
    """
    if not torch.isfinite(numbers).all():
        raise TracrLabError(
            f"the model gives outputs that are not finite on {where}: its weights are damaged or "
            "its training diverged; train it again."
        )
    return numbers


def batches_by_length(lengths: np.ndarray, size: int) -> Iterable[np.ndarray]:
    """Numbers of the examples in batches of similar length, shortest first."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), size):
        yield order[start : start + size]


@torch.no_grad()
def answers(
    model: StreamModel,
    examples: Examples,
    batch: int = 64,
) -> np.ndarray:
    """Whether greedy decoding gives each example's answer and then its end.

    One pass decides it: as long as every token before was right, greedy decoding has read the
    expected answer, so it gives the whole answer if and only if the most likely token is the
    expected one at every supervised position.

    Args:
      model: the model.
      examples: the examples.
      batch: examples at once.

    Returns:
      bool [examples].

    Raises:
      TracrLabError: if there are no examples, or outputs are not finite.
    """
    if not len(examples):
        raise TracrLabError("there are no examples to measure an accuracy on.")
    right = np.zeros(len(examples), dtype=bool)
    for chosen in batches_by_length(examples.lengths, batch):
        part = examples.take(chosen)
        run = model(torch.from_numpy(part.tokens).to(model.model.device))
        right[chosen] = answered(model, run, part)
    return right


def answered(model: StreamModel, run: Run, examples: Examples) -> np.ndarray:
    """Which examples a run over them answers right, as `answers` says, bool [examples]."""
    rows, positions = np.nonzero(examples.supervised)
    logits = model.logits_at(run, torch.from_numpy(rows), torch.from_numpy(positions))
    require_finite(logits, "the examples of a task")
    hit = logits.argmax(dim=-1).cpu().numpy() == examples.targets[rows, positions]
    return np.bincount(rows[~hit], minlength=len(examples)) == 0


def accuracy(model: StreamModel, examples: Examples, batch: int = 64) -> Accuracy:
    """The share of right answers."""
    right = answers(model, examples, batch)
    return Accuracy(int(right.sum()), len(right))


@torch.no_grad()
def perplexity(model: StreamModel, windows: np.ndarray, batch: int = 16) -> float:
    """Perplexity per token on windows of text.

    The exponential of the mean negative log-likelihood of tokens 2 to n of every window, given the
    tokens before them in the same window; windows do not overlap and share no context.

    Args:
      model: the model.
      windows: tokens, int64 [windows, length].
      batch: windows at once.

    Raises:
      TracrLabError: if there is no text, or the likelihood of a token is 0 or no number.
    """
    device, total = model.model.device, 0.0
    if not len(windows) or windows.shape[1] < 2:
        raise TracrLabError("there is no text to measure a perplexity on.")
    for start in range(0, len(windows), batch):
        tokens = torch.from_numpy(windows[start : start + batch]).to(device)
        hidden = model(tokens).hidden[:, :-1]
        logits = model.logits(hidden).float()
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="sum"
        )
        total += require_finite(loss, "windows of text").item()
    return math.exp(total / (windows.shape[0] * (windows.shape[1] - 1)))
