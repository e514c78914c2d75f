"""How weights are moved: the schedule of the rate, the optimizer and random numbers."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn


def schedule(step: int, steps: int, warm_up: float) -> float:
    """The share of the peak rate at a step (from 0): a linear rise, then half a cosine to 0."""
    rise = round(warm_up * steps)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def step_seed(*numbers: int) -> int:
    """A seed that depends on all of the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def adamw(module: nn.Module, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW; only matrices decay, not the biases and the scales of norms."""
    matrices = [value for value in module.parameters() if value.ndim >= 2]
    others = [value for value in module.parameters() if value.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), fused=True)
