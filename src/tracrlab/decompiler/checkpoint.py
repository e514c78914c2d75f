"""Checkpoints of a training run: the two newest, of which a damaged one is passed over."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tracrlab.errors import TracrLabError
from tracrlab.training_state import load_optimizer, optimizer_tensors, read_state, write_state

_FORMAT = "tracrlab_decompiler_checkpoint"
_KEPT = 2
_WEIGHT, _BEST = "weight/", "best/"


@dataclass(frozen=True)
class Checkpoints:
    """A folder of checkpoints of one run.

    Attributes:
      folder: the folder.
      identity: what the run is; a checkpoint of another is refused. JSON.
    """

    folder: Path
    identity: dict[str, Any]

    def save(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        best: dict[str, Tensor],
        state: dict[str, Any],
    ) -> Path:
        """Writes a checkpoint and removes all but the two newest.

        Args:
          module: what is trained.
          optimizer: its optimizer.
          best: the weights with the lowest validation loss so far, by name; may be empty.
          state: with the step under "step"; JSON.
        """
        tensors = {_WEIGHT + name: value for name, value in module.named_parameters()}
        tensors |= {_BEST + name: value for name, value in best.items()}
        path = self.folder / f"step_{state['step']:09d}.safetensors"
        header = {"identity": self.identity, "state": state}
        write_state(path, _FORMAT, tensors | optimizer_tensors(optimizer), header)
        for old in self._paths()[_KEPT:]:
            old.unlink(missing_ok=True)
        return path

    def load(
        self, module: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Puts back the newest checkpoint that is whole; says so on stderr where one is not.

        Returns:
          its state and the best weights; None where there is no checkpoint.

        Raises:
          TracrLabError: if it is of another run, or all are damaged.
        """
        paths = self._paths()
        for path in paths:
            try:
                tensors, header = read_state(path, _FORMAT)
            except TracrLabError as error:
                print(f"{error} The one before it is tried.", file=sys.stderr)
                continue
            self._check(path, header)
            return self._put_back(tensors, header, module, optimizer)
        if paths:
            raise TracrLabError(
                f"every checkpoint in {self.folder} is damaged; delete the folder to start again."
            )
        return None

    def remove(self) -> None:
        """Deletes the checkpoints, once the run has ended."""
        for path in self._paths():
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _paths(self) -> list[Path]:
        """Newest first; names have the step in nine digits."""
        return sorted(self.folder.glob("step_*.safetensors"), reverse=True)

    def _check(self, path: Path, header: dict[str, Any]) -> None:
        known = json.loads(json.dumps(self.identity))
        found = header.get("identity")
        if found == known:
            return
        differing = sorted(key for key in known if (found or {}).get(key) != known[key])
        raise TracrLabError(
            f"the checkpoint {path} is of another configuration ({', '.join(differing)}); delete "
            f"{self.folder} to start again, or train with the configuration that it is of."
        )

    @staticmethod
    def _put_back(
        tensors: dict[str, Tensor],
        header: dict[str, Any],
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        with torch.no_grad():
            for name, value in module.named_parameters():
                value.copy_(tensors[_WEIGHT + name])
        load_optimizer(optimizer, tensors)
        best = {
            name.removeprefix(_BEST): value
            for name, value in tensors.items()
            if name.startswith(_BEST)
        }
        return header["state"], best
