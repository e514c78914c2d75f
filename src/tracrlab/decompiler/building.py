"""Meta-models from their description, and their weights from where they were saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from tracrlab.decompiler.circuit_model import CircuitModel, CircuitSettings
from tracrlab.decompiler.line_model import LineModel, LineModelSettings
from tracrlab.decompiler.model import MetaModel, ModelSettings, ProgramAutoEncoder
from tracrlab.decompiler.settings import AUTOENCODER, CIRCUITS, LINES, TOKENS
from tracrlab.errors import TracrLabError


class Described(Protocol):
    """What is asked of a description; see `tracrlab.decompiler.model_folder.Description`."""

    method: str
    sizes: dict[str, Any]


def build(description: Described) -> nn.Module:
    """An untrained meta-model.

    Args:
      description: its method, and the arguments of its settings.

    Raises:
      TracrLabError: if there is no such method, or it has not these sizes.
    """
    sizes = dict(description.sizes)
    try:
        if description.method == LINES:
            return LineModel(LineModelSettings(**sizes))
        if description.method == TOKENS:
            return MetaModel(ModelSettings(**sizes))
        if description.method == CIRCUITS:
            return CircuitModel(CircuitSettings(**sizes))
        if description.method == AUTOENCODER:
            bottleneck = sizes.pop("bottleneck")
            return ProgramAutoEncoder(ModelSettings(**sizes), bottleneck)
    except (TypeError, KeyError) as error:
        raise TracrLabError(
            f"sizes of a decompiler that are not those of {description.method!r}: {error}; train "
            "it again with this version."
        ) from None
    raise TracrLabError(
        f"a decompiler's method is {LINES}, {TOKENS}, {CIRCUITS} or {AUTOENCODER}, not "
        f"{description.method!r}."
    )


def start_from(model: nn.Module, folder: Path) -> None:
    """Takes over the weights of a trained meta-model of the same sizes.

    Args:
      model: an untrained one; it is changed.
      folder: where `model.safetensors` lies.

    Raises:
      TracrLabError: if the file is missing, damaged, or of other sizes.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / "model.safetensors"
    try:
        saved = load_file(path)
    except (SafetensorError, OSError) as error:
        raise TracrLabError(
            f"{path}, which training starts from, cannot be read ({error})."
        ) from None
    own = dict(model.named_parameters())
    differing = [name for name, value in own.items() if saved_shape(saved, name) != value.shape]
    if differing or len(saved) < len(own):
        raise TracrLabError(
            f"{path}, which training starts from, has other sizes ({differing[0]}); train the "
            "standard zoo with the same sizes first."
        )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(saved[name])


def saved_shape(saved: dict[str, torch.Tensor], name: str) -> torch.Size | None:
    """Shape of a saved tensor; None where there is none of that name."""
    return saved[name].shape if name in saved else None
