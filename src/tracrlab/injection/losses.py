"""The three losses of Tracr-injection (section 3, equation 1), each a mean."""

from __future__ import annotations

import math

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


def sampled_answer_loss(
    hidden: Tensor, embeddings: Tensor, targets: Tensor, answers: Tensor, drawn: Tensor
) -> Tensor:
    """`answer_loss` whose softmax runs over all answer tokens and a sample of the others.

    Each drawn token stands for as many others as there are for one draw, so that the normaliser is
    estimated without bias (importance sampling with equal chances).

    Args:
      hidden: final hidden states at the supervised positions [positions, width].
      embeddings: of the head [vocabulary, width].
      targets: the token that follows each, as its number in `answers`, int64 [positions].
      answers: every token that answers are made of, int64 [answers].
      drawn: other tokens, int64 [draws].

    Returns:
      the mean over positions.
    """
    own = hidden.float() @ embeddings[answers].float().T
    others = hidden.float() @ embeddings[drawn].float().T
    weight = (len(embeddings) - len(answers)) / len(drawn)
    normaliser = torch.logsumexp(torch.cat([own, others + math.log(weight)], dim=1), dim=1)
    return (normaliser - own.gather(1, targets[:, None])[:, 0]).mean()


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


def sampled_text_loss(logits: Tensor, reference: Tensor) -> Tensor:
    """`text_loss` from the logits of some tokens alone, drawn from the original's prediction.

    With p the original and q the model, d the difference of their logits, and means under p:
    ``KL(p || q) = log mean exp(d) - mean(d)``, whatever the logits are normalised by. Means are
    taken over the drawn tokens; the factor ``n / (n - 1)`` makes the term of second order, half the
    variance of d, unbiased.

    Args:
      logits: of the model at the drawn tokens [positions, draws].
      reference: of the frozen original, the same shape.

    Returns:
      the mean over positions, in nats.
    """
    draws = logits.shape[1]
    difference = logits.float() - reference.float()
    normaliser = torch.logsumexp(difference, dim=1) - math.log(draws)
    return (normaliser - difference.mean(dim=1)).mean() * draws / (draws - 1)
