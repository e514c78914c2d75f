"""Checkpoints of a training run: the newest, and the one before it where that is damaged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tracrlab.checkpoint_files import read_checkpoint, remove_checkpoint, write_checkpoint
from tracrlab.errors import TracrLabError
from tracrlab.training_tensors import put_back, training_tensors

_FORMAT = "tracrlab_decompiler_checkpoint"
_BEST = "best/"


@dataclass(frozen=True)
class Checkpoints:
    """A folder of checkpoints of one run.

    Attributes:
      folder: the folder.
      identity: what the run is; a checkpoint of another is refused. JSON.
    """

    folder: Path
    identity: dict[str, Any]

    @property
    def path(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "checkpoint.safetensors"

    def save(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        best: dict[str, Tensor],
        state: dict[str, Any],
    ) -> Path:
        """Writes a checkpoint; the one before it is kept.

        Args:
          module: what is trained.
          optimizer: its optimizer.
          best: the weights with the lowest validation loss so far, by name; may be empty.
          state: with the step under "step"; JSON.
        """
        from safetensors.torch import save_file

        tensors = training_tensors(module, optimizer)
        # The best weights are copies already, on the CPU.
        tensors |= {_BEST + name: value for name, value in best.items()}
        header = {"identity": self.identity, "state": state}
        write_checkpoint(self.path, save_file, tensors, _FORMAT, header)
        return self.path

    def load(
        self, module: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Puts back the newest checkpoint that is whole; says so on stderr where one is not.

        Returns:
          its state and the best weights; None where there is no checkpoint.

        Raises:
          TracrLabError: if it is of another run, or none is whole.
        """
        found = read_checkpoint(self.path, "pt", _FORMAT, self._check)
        return None if found is None else self._put_back(found[1], found[0], module, optimizer)

    def remove(self) -> None:
        """Deletes the checkpoints, once the run has ended."""
        remove_checkpoint(self.path)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _check(self, header: dict[str, Any]) -> bool:
        known = json.loads(json.dumps(self.identity))
        found = header.get("identity")
        if found != known:
            differing = sorted(key for key in known if (found or {}).get(key) != known[key])
            raise TracrLabError(
                f"the checkpoint {self.path} is of another configuration ({', '.join(differing)}); "
                f"delete {self.folder} to start again, or train with that configuration."
            )
        return True

    @staticmethod
    def _put_back(
        tensors: dict[str, Tensor],
        header: dict[str, Any],
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        put_back(module, optimizer, tensors)
        best = {
            name.removeprefix(_BEST): value
            for name, value in tensors.items()
            if name.startswith(_BEST)
        }
        return header["state"], best
