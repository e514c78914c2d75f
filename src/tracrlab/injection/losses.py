"""The three losses of Tracr-injection (section 3, equation 1), each a mean."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def answer_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the answer tokens.

    Args:
      logits: at the supervised positions only [positions, vocabulary].
      targets: the token that follows each, int64 [positions].

    Returns:
      the mean over positions.
    """
    return functional.cross_entropy(logits.float(), targets)


def alignment_loss(mapped: Tensor, compiled: Tensor, divisor: int | None = None) -> Tensor:
    """``1 - cos`` between the mapped and the compiled stream.

    Args:
      mapped: [stages, positions, directions].
      compiled: the same shape.
      divisor: what the sum over stages is divided by; None for the number of stages. The paper
        sums i = 0 ... k and divides by k.

    Returns:
      the mean over positions and stages. A compiled stream that is zero has a cosine of 0.
    """
    cosine = functional.cosine_similarity(mapped.float(), compiled.float(), dim=-1)
    return (1 - cosine).mean(dim=1).sum() / (divisor or len(cosine))


def text_loss(logits: Tensor, reference: Tensor) -> Tensor:
    """KL divergence of the model from the frozen original on plain text: KL(original || model).

    Args:
      logits: of the model [positions, vocabulary].
      reference: of the frozen original, the same shape.

    Returns:
      the mean over positions, in nats.
    """
    model = torch.log_softmax(logits.float(), dim=-1)
    original = torch.log_softmax(reference.float(), dim=-1)
    return functional.kl_div(model, original, log_target=True, reduction="none").sum(-1).mean()
