"""Is the answer's subspace what the model uses? Noise there against noise elsewhere (Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tracrlab.injection.alignment import basis_of_rows, rows_of
from tracrlab.injection.evaluation import answers, wilson
from tracrlab.injection.model_folder import InjectedModel
from tracrlab.injection.prompts import Examples

ANSWER, RANDOM = "answer", "random"


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
    rows = rows_of(alignment, injected.variables[-1].directions)
    answer_basis = basis_of_rows(weight[rows])
    stage = alignment.model_stages[-1]
    generator = torch.Generator().manual_seed(seed)
    scale = _mean_norm(injected, examples, stage, batch)
    lines = []
    for norm in norms:
        for subspace in (ANSWER, RANDOM):
            right = count = 0
            for _ in range(draws):
                basis = answer_basis
                if subspace == RANDOM:
                    drawn = torch.randn(answer_basis.T.shape, generator=generator)
                    basis = basis_of_rows(drawn).to(weight.device)

                def edits(_, basis=basis, size=norm * scale):
                    return {stage: lambda stream: add_noise(stream, basis, size, generator)}

                hit = answers(injected.model, examples, batch, edits)
                right, count = right + int(hit.sum()), count + len(hit)
            low, high = wilson(right, count)
            lines.append(
                {
                    "subspace": subspace,
                    "norm": norm,
                    "right": right,
                    "count": count,
                    "accuracy": 100 * right / count,
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
