"""Is the answer's subspace what the model uses? Noise there against noise elsewhere (Figure 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tracrlab.injection.alignment import basis_of_rows, rows_of
from tracrlab.injection.evaluation import answered, batches_by_length, wilson
from tracrlab.injection.model_folder import InjectedModel
from tracrlab.injection.prompts import Examples

ANSWER, RANDOM = "answer", "random"


@torch.no_grad()
def noise_table(
    injected: InjectedModel,
    examples: Examples,
    norms: Sequence[float],
    seed: int,
    draws: int = 3,
    batch: int = 64,
) -> pd.DataFrame:
    """Accuracy with noise of a given norm added behind the last aligned layer, at every token.

    Args:
      injected: a model with a linear map.
      examples: what it answers.
      norms: Euclidean norms of the noise, as multiples of the stream's mean norm there.
      seed: root of the random numbers.
      draws: random subspaces (and noises) for each norm; each of the answer's dimension.
      batch: examples at once.

    Returns:
      columns subspace ("answer" or "random"), norm, right, count, accuracy, low, high.
    """
    weight, alignment = injected.linear_map.weight, injected.alignment
    model, stage = injected.model, alignment.model_stages[-1]
    answer = basis_of_rows(weight[rows_of(alignment, injected.variables[-1].directions)])
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn((draws, *answer.T.shape), generator=generator).to(weight.device)
    bases = {ANSWER: [answer] * draws, RANDOM: [basis_of_rows(rows) for rows in drawn]}
    scale = _mean_norm(injected, examples, stage, batch)
    right: Counter[tuple[float, str]] = Counter()
    for chosen in batches_by_length(examples.lengths, batch):
        part = examples.take(chosen)
        tokens = torch.from_numpy(part.tokens).to(model.model.device)
        stream = model(tokens, keep=(stage,)).streams[stage]
        for norm, subspace in product(norms, bases):
            for basis in bases[subspace]:
                noisy = add_noise(stream, basis, norm * scale, generator)
                hit = answered(model, model.resume(tokens, stage, noisy), part)
                right[norm, subspace] += int(hit.sum())
    count = draws * len(examples)
    lines = []
    for norm, subspace in product(norms, bases):
        low, high = wilson(right[norm, subspace], count)
        lines.append(
            {
                "subspace": subspace,
                "norm": norm,
                "right": right[norm, subspace],
                "count": count,
                "accuracy": 100 * right[norm, subspace] / count,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(lines)


def add_noise(stream: Tensor, basis: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """Adds noise of Euclidean norm `size` in random directions of a subspace, at each position."""
    drawn = torch.randn((*stream.shape[:-1], basis.shape[1]), generator=generator)
    drawn = size * drawn / drawn.norm(dim=-1, keepdim=True)
    return stream + (drawn.to(basis.device) @ basis.T).to(stream.dtype)


@torch.no_grad()
def _mean_norm(injected: InjectedModel, examples: Examples, stage: int, batch: int) -> float:
    part = examples.take(np.arange(min(batch, len(examples))))
    device = injected.model.model.device
    run = injected.model(torch.from_numpy(part.tokens).to(device), keep=(stage,))
    norms = run.streams[stage].float().norm(dim=-1).cpu().numpy()
    return float(norms[part.symbols >= 0].mean())
