"""AdamW, with Muon for the matrices of a model's blocks (Jordan and others 2024).

Muon replaces the averaged gradient of a matrix by the nearest orthogonal one, so that every
direction moves alike. Its step is scaled to the size of AdamW's (Liu and others 2025, "Muon is
scalable"), and the same rate serves both.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

#: Coefficients of the quintic that drives singular values to about 1, and how often it is applied.
QUINTIC, TIMES = (3.4445, -4.7750, 2.0315), 5
#: Root mean square of AdamW's update in training, which that of Muon is scaled to.
UPDATE_SIZE = 0.2
#: Fewest rows and columns of a matrix that Muon moves.
SMALLEST = 16


def block_matrices(module: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The trained weights of a module, as those that Muon is for and all others.

    Muon's are the matrices of repeated blocks (modules with parts of their own in a module list);
    not embeddings, heads, biases and the scales of norms.
    """
    blocks = [
        block
        for part in module.modules()
        if isinstance(part, nn.ModuleList)
        for block in part
        if any(True for _ in block.children())
    ]
    own = {
        id(weight)
        for block in blocks
        for weight in block.parameters()
        if weight.ndim == 2 and min(weight.shape) >= SMALLEST
    }
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    matrices = [weight for weight in trained if id(weight) in own]
    return matrices, [weight for weight in trained if id(weight) not in own]


class MuonAdamW(Optimizer):
    """One optimizer for all weights; a group with ``muon`` holds matrices alone.

    Args:
      groups: parameter groups; keys ``lr``, ``muon`` and others as they like.
      betas, eps: of AdamW.
      momentum: of Muon, with Nesterov's look ahead.
      weight_decay: decoupled, of both.
    """

    def __init__(
        self,
        groups: Iterable[dict],
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ):
        defaults = {
            "lr": 0.0,
            "muon": False,
            "betas": betas,
            "eps": eps,
            "momentum": momentum,
            "weight_decay": weight_decay,
        }
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Moves every weight that has a gradient."""
        if closure is not None:
            raise NotImplementedError("this optimizer evaluates no closure")
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            if group["weight_decay"]:
                for weight in weights:
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
            if group["muon"]:
                self._muon(group, weights)
            else:
                self._adamw(group, weights)

    def _adamw(self, group: dict, weights: list[Tensor]) -> None:
        first, second = group["betas"]
        for weight in weights:
            state = self.state[weight]
            if not state:
                state["step"] = torch.tensor(0.0)
                state["exp_avg"] = torch.zeros_like(weight)
                state["exp_avg_sq"] = torch.zeros_like(weight)
            state["step"] += 1
            taken = state["step"].item()
            mean = state["exp_avg"].lerp_(weight.grad, 1 - first)
            square = state["exp_avg_sq"]
            square.mul_(second).addcmul_(weight.grad, weight.grad, value=1 - second)
            extent = (square / (1 - second**taken)).sqrt_().add_(group["eps"])
            weight.addcdiv_(mean, extent, value=-group["lr"] / (1 - first**taken))

    def _muon(self, group: dict, weights: list[Tensor]) -> None:
        """Matrices of one shape are orthogonalised together."""
        by_shape: dict[torch.Size, list[Tensor]] = {}
        for weight in weights:
            by_shape.setdefault(weight.shape, []).append(weight)
        for shape, alike in by_shape.items():
            updates = []
            for weight in alike:
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                buffer = state["momentum_buffer"]
                buffer.lerp_(weight.grad, 1 - group["momentum"])
                updates.append(weight.grad.lerp(buffer, group["momentum"]))
            size = UPDATE_SIZE * max(shape) ** 0.5 * group["lr"]
            for weight, update in zip(alike, orthogonal(torch.stack(updates)), strict=True):
                weight.add_(update.to(weight.dtype), alpha=-size)


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices of about the same singular vectors, whose singular values are all about 1.

    Newton-Schulz iteration with the quintic of Muon, which leaves them between about 0.7 and 1.2.
    Every step multiplies by a polynomial of X X^T, and all of these commute; so the steps are taken
    on that smaller square, and the matrix itself is multiplied once.

    Args:
      matrices: [matrices, rows, columns].
    """
    wide = matrices.shape[1] <= matrices.shape[2]
    given = matrices.float() if wide else matrices.float().mT
    given = given / (given.norm(dim=(1, 2), keepdim=True) + 1e-7)
    first, second, third = QUINTIC
    square = given @ given.mT
    identity = torch.eye(square.shape[1], device=square.device)
    factor = identity
    for _ in range(TIMES):
        step = first * identity + second * square + third * square @ square
        factor = step @ factor
        square = step @ square @ step
    found = factor @ given
    return found if wide else found.mT
