"""How weights are moved: the schedule of the rate, the optimizer and random numbers."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from tracrlab.muon import MuonAdamW, block_matrices
from tracrlab.sections.decompiler import MethodTraining

#: Of AdamW's means.
BETAS = (0.9, 0.98)


def schedule(step: int, steps: int, warm_up: float) -> float:
    """The share of the peak rate at a step (from 0): a linear rise, then half a cosine to 0."""
    rise = round(warm_up * steps)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def step_seed(*numbers: int) -> int:
    """A seed that depends on all of the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def optimizer_of(module: nn.Module, training: MethodTraining) -> torch.optim.Optimizer:
    """AdamW, or Muon for the matrices of the blocks; only matrices decay, no biases, no norms."""
    blocks, others = block_matrices(module)
    matrices = [weight for weight in others if weight.ndim >= 2]
    rest = [weight for weight in others if weight.ndim < 2]
    groups = [
        {"params": blocks, "weight_decay": training.weight_decay, "muon": True},
        {"params": matrices, "weight_decay": training.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    if training.optimizer == "muon":
        return MuonAdamW(groups, betas=BETAS)
    del groups[0]["muon"]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, fused=True)
