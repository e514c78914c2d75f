"""What is trained and its optimizer as flat tensors, for checkpoints without pickle."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_WEIGHT, _MOMENT = "weight/", "moment/"


def training_tensors(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The weights of a module and the moments of its optimizer, one flat name each, on the CPU.

    They are copies: safetensors refuses tensors that share memory.
    """
    tensors = {_WEIGHT + name: value for name, value in module.named_parameters()}
    for number, entry in optimizer.state_dict()["state"].items():
        for name, value in entry.items():
            tensors[f"{_MOMENT}{number}/{name}"] = torch.as_tensor(value)
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def put_back(
    module: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Puts back what `training_tensors` gave; other names are passed over.

    Raises:
      LookupError, RuntimeError: if the tensors are not those of such a module and optimizer.
    """
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(tensors[_WEIGHT + name])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(_MOMENT):
            _, number, key = name.split("/")
            moments.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
