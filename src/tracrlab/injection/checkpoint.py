"""Checkpoints of a training run: everything it needs to go on exactly, without pickle."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tracrlab.checkpoint_files import DAMAGE, read_checkpoint, write_checkpoint
from tracrlab.errors import TracrLabError
from tracrlab.training_tensors import put_back, training_tensors

_FORMAT = "tracrlab_injection_checkpoint"


def save_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, identity: dict, state: dict
) -> None:
    """Writes weights, optimizer moments and state as safetensors, atomically.

    Args:
      path: the file; the checkpoint that was there is kept beside it.
      module: what is trained.
      optimizer: its optimizer.
      identity: what the run is (its settings); JSON.
      state: the step and the lines of the loss table; JSON.
    """
    from safetensors.torch import save_file

    header = {"identity": identity, "state": state}
    write_checkpoint(path, save_file, training_tensors(module, optimizer), _FORMAT, header)


def load_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, identity: dict
) -> dict | None:
    """Puts a checkpoint back: the newest, or the one before it where that is damaged.

    Returns:
      its state, or None where there is no checkpoint, or one of another run.

    Raises:
      TracrLabError: if no checkpoint is whole, or one does not fit the model.
    """
    known = json.loads(json.dumps(identity))

    def is_own(header: dict) -> bool:
        own = header["identity"] == known
        if not own:
            print(f"{path} is of another configuration; training starts anew.", file=sys.stderr)
        return own

    found = read_checkpoint(path, "pt", _FORMAT, is_own)
    if found is None:
        return None
    header, tensors = found
    try:
        put_back(module, optimizer, tensors)
        return header["state"]
    except DAMAGE as error:
        raise TracrLabError(
            f"the checkpoint {path} does not fit the model ({error}); delete it to begin again."
        ) from None


def array_digest(arrays: Iterable[Tensor | np.ndarray]) -> str:
    """SHA-256 of arrays: a run that began from other weights or data is another run."""
    digest = hashlib.sha256()
    for array in arrays:
        tensor = torch.as_tensor(array).detach().cpu().contiguous()
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
