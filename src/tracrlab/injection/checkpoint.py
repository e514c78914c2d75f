"""Checkpoints of a training run: everything it needs to go on exactly, without pickle."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from tracrlab.training_state import load_optimizer, optimizer_tensors, read_state, write_state

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
    tensors = {f"weight/{name}": value for name, value in module.named_parameters()}
    header = {"identity": identity, "state": state}
    write_state(path, _FORMAT, tensors | optimizer_tensors(optimizer), header)


def load_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, identity: dict
) -> dict | None:
    """Puts a checkpoint back.

    Returns:
      its state, or None where there is no checkpoint, or one of another run.

    Raises:
      TracrLabError: if the file is damaged.
    """
    if not path.is_file():
        return None
    tensors, header = read_state(path, _FORMAT)
    if header.get("identity") != json.loads(json.dumps(identity)):
        return None
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(tensors[f"weight/{name}"])
    load_optimizer(optimizer, tensors)
    return header["state"]
