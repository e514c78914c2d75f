"""What a training run leaves so that it goes on exactly, without pickle; and how it is asked to."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path

_MOMENT = "moment/"


def write_state(path: Path, kind: str, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Writes tensors and a header as one safetensors file, atomically.

    Args:
      path: the file.
      kind: what the file is; `read_state` takes no other.
      tensors: by name.
      header: JSON.
    """
    from safetensors.torch import save_file

    # Cloned: safetensors refuses tensors that share memory.
    tensors = {name: value.detach().cpu().clone() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={kind: json.dumps(header)})


def read_state(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a file; the header is empty in a file of another kind.

    Raises:
      TracrLabError: if the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(kind, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as error:
        raise TracrLabError(
            f"the checkpoint {path} is damaged ({error}); delete it to start again."
        ) from None
    return tensors, header


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments of an optimizer, one flat name each."""
    return {
        f"{_MOMENT}{number}/{name}": torch.as_tensor(value)
        for number, entry in optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Puts back what `optimizer_tensors` gave; other names are passed over."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(_MOMENT):
            _, number, key = name.split("/")
            moments.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


@dataclass
class Stop:
    """Whether SIGTERM has come."""

    asked: bool = False


@contextmanager
def stopping() -> Iterator[Stop]:
    """Notes SIGTERM, so that the step in hand ends and a checkpoint is written."""
    stop = Stop()

    def note(*_: Any) -> None:
        stop.asked = True

    try:
        before = signal.signal(signal.SIGTERM, note)
    except ValueError:  # not the main thread: someone else handles signals
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
