"""Checkpoints of a training run: everything it needs to go on exactly, without pickle."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path

_FORMAT = "tracrlab_injection_checkpoint"


def save_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, identity: dict, state: dict
) -> None:
    """Writes weights, optimizer moments and state as safetensors, atomically.

    Args:
      path: the file.
      module: what is trained.
      optimizer: its optimizer.
      identity: what the run is (its settings); JSON.
      state: the step and the lines of the loss table; JSON.
    """
    from safetensors.torch import save_file

    tensors = {f"weight/{name}": value for name, value in module.named_parameters()}
    moments = optimizer.state_dict()["state"]
    for number, entry in moments.items():
        tensors |= {f"moment/{number}/{name}": torch.as_tensor(v) for name, v in entry.items()}
    # Cloned: safetensors refuses tensors that share memory.
    tensors = {name: value.detach().cpu().clone() for name, value in tensors.items()}
    header = {_FORMAT: json.dumps({"identity": identity, "state": state})}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=header)


def load_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, identity: dict
) -> dict | None:
    """Puts a checkpoint back.

    Returns:
      its state, or None where there is no checkpoint, or one of another run.

    Raises:
      TracrLabError: if the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_FORMAT, "{}"))
            if header.get("identity") != json.loads(json.dumps(identity)):
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as error:
        raise TracrLabError(
            f"the checkpoint {path} is damaged ({error}); delete it to start again."
        ) from None
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(tensors[f"weight/{name}"])
    _load_moments(optimizer, tensors)
    return header["state"]


def _load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state = optimizer.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("moment/"):
            _, number, key = name.split("/")
            moments.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({**state, "state": moments})
