"""A trained meta-model on disk: ``model.safetensors`` and ``config.json``, in one folder.

The configuration says which class the weights belong to, its sizes, what it may be asked (longest
program, largest model) and how it was trained. It also holds digests of the encodings, so weights
whose numbers mean other tokens are refused, and not read as if they meant these.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from tracrlab.decompiler.building import build
from tracrlab.decompiler.program_encoding import SLOT_VOCABULARIES
from tracrlab.decompiler.weight_blocks import PARAMETER_TYPES, WIDTH
from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path, sha256, write_text
from tracrlab.rasp.presets import PRESETS
from tracrlab.rasp.tokens import MAX_OPS, VOCABULARY

SCHEMA = 1
MODEL_FILE, CONFIG_FILE = "model.safetensors", "config.json"
#: Architectures that a folder may hold: the thesis's meta-model and our two.
METHODS = ("lines", "tokens", "circuits")
#: No size of a meta-model is larger; those of 800M parameters stay far below.
LARGEST_SIZE, MOST_LAYERS = 1 << 16, 256


@dataclass(frozen=True)
class Description:
    """What a meta-model is; JSON throughout.

    Attributes:
      method: its architecture, one of `METHODS`.
      sizes: arguments of its settings (`LineModelSettings`, `ModelSettings` or `CircuitSettings`).
      preset: the sampler's preset whose ops it may write.
      max_ops: the longest program that it may write.
      limits: largest models that it reads: ``max_tokens`` parameter tokens, ``max_blocks`` blocks.
      training: steps, seed, zoo, parameters, samples, minutes ...: free.
    """

    method: str
    sizes: dict[str, Any]
    preset: str
    max_ops: int
    limits: dict[str, int]
    training: dict[str, Any] = field(default_factory=dict)

    def problem(self) -> str:
        """What no meta-model can have; empty if there is nothing."""
        if self.method not in METHODS:
            return f"its method is {self.method!r}, which is none of {', '.join(METHODS)}"
        if self.preset not in PRESETS:
            return f"its preset is {self.preset!r}, which is none of {', '.join(PRESETS)}"
        if not isinstance(self.max_ops, int) or not 1 <= self.max_ops <= MAX_OPS:
            return f"its max_ops is {self.max_ops!r} and a program has 1 to {MAX_OPS} ops"
        if not isinstance(self.sizes, dict) or not isinstance(self.limits, dict):
            return "its sizes or limits are no table"
        for name, size in self.sizes.items():
            most = MOST_LAYERS if name.endswith("layers") else LARGEST_SIZE
            if not isinstance(size, int | float) or not 0 <= size <= most:
                return f"its {name} is {size!r}, beyond the largest that is read, {most}"
        for name in ("max_tokens", "max_blocks"):
            if not isinstance(self.limits.get(name), int):
                return f"its limits do not say {name}"
        return ""


class Trained(NamedTuple):
    """A meta-model, ready to be run, and what it is."""

    model: nn.Module
    description: Description


def save(folder: Path, model: nn.Module, description: Description, half: bool = False) -> None:
    """Writes a meta-model's folder; the configuration comes last and vouches for the weights.

    Args:
      folder: where; what is there of an earlier model is replaced.
      model: the meta-model.
      description: what it is.
      half: float16 in place of float32, at half the size.

    Raises:
      TracrLabError: if a weight is not finite, or is not in half precision.
    """
    from safetensors.torch import save_file

    if problem := description.problem():
        raise TracrLabError(f"the meta-model cannot be saved: {problem}.")
    dtype = torch.float16 if half else torch.float32
    weights = {
        name: value.detach().cpu().to(dtype).contiguous().clone()
        for name, value in model.state_dict().items()
    }
    for name, value in weights.items():
        if not value.isfinite().all():
            raise TracrLabError(
                f"the meta-model's {name} is not finite{' as float16' if half else ''}; its "
                "training went wrong."
            )
    with atomic_path(folder / MODEL_FILE) as temporary:
        save_file(weights, temporary)
    record = {
        "schema": SCHEMA,
        **asdict(description),
        "precision": str(dtype).removeprefix("torch."),
        "encodings": encodings(),
        "sha256": sha256(folder / MODEL_FILE),
    }
    write_text(folder / CONFIG_FILE, json.dumps(record, indent=1) + "\n")


def load(folder: str | Path, device: torch.device | str = "cpu") -> Trained:
    """Reads a meta-model, in float32 and for use (no dropout).

    Raises:
      TracrLabError: if it is not there, is of another schema, encoding or configuration, is
        damaged, or has sizes or weights that cannot be.
    """
    folder = Path(folder)
    description, digest = _read_config(folder)
    weights = _read_weights(folder, digest)
    # Shapes first: nothing is allocated that the file does not fill.
    with torch.device("meta"), _WithoutInitialisation():
        wanted = _built(folder, description).state_dict()
    shapes = {name: tuple(value.shape) for name, value in wanted.items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if shapes != found:
        name = sorted(name for name in shapes | found if shapes.get(name) != found.get(name))[0]
        raise TracrLabError(
            f"{folder} holds weights of another configuration: {name} is {found.get(name)} where "
            f"its sizes make it {shapes.get(name)}; train the decompiler again."
        )
    model = _built(folder, description)
    model.load_state_dict(weights)
    return Trained(model.to(device).eval().requires_grad_(False), description)


def encodings() -> dict[str, str]:
    """Digests of what the numbers of each encoding mean."""
    blocks = [*PARAMETER_TYPES, str(WIDTH)]
    lines = [symbol for slot in SLOT_VOCABULARIES for symbol in slot]
    return {
        name: hashlib.sha256("\n".join(symbols).encode()).hexdigest()[:16]
        for name, symbols in (("tokens", VOCABULARY), ("lines", lines), ("blocks", blocks))
    }


class _WithoutInitialisation(TorchFunctionMode):
    """Leaves parameters as they are allocated.

    Drawing random numbers for parameters without storage makes torch import its compiler, which
    takes longer than all else that loading does.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _built(folder: Path, description: Description) -> nn.Module:
    try:
        return build(description)
    except (TracrLabError, TypeError, ValueError, RuntimeError) as error:
        raise TracrLabError(
            f"{folder} has sizes that no meta-model can have ({_reason(error)})."
        ) from None


def _read_config(folder: Path) -> tuple[Description, str]:
    path = folder / CONFIG_FILE
    if not path.is_file() or not (folder / MODEL_FILE).is_file():
        raise TracrLabError(
            f"{folder} is no decompiler: it has no {CONFIG_FILE} with a {MODEL_FILE}; give the "
            "folder that training wrote."
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        schema = record["schema"]
        if schema != SCHEMA:
            raise TracrLabError(
                f"{folder} is a decompiler of schema {schema!r} and this version reads schema "
                f"{SCHEMA}; train it again."
            )
        names = ("method", "sizes", "preset", "max_ops", "limits", "training")
        description = Description(**{name: record[name] for name in names})
        written, digest = record["encodings"], record["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TracrLabError(f"{path} is damaged ({_reason(error)}).") from None
    if problem := description.problem():
        raise TracrLabError(f"{folder} is no decompiler that can be read: {problem}.")
    if written != encodings():
        raise TracrLabError(
            f"{folder} was trained with another encoding of programs or weights; train it again."
        )
    return description, digest


def _read_weights(folder: Path, digest: str) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / MODEL_FILE
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise TracrLabError(f"{path} is damaged ({_reason(error)}).") from None
    if digest != sha256(path):
        raise TracrLabError(
            f"{path} is not the file that {CONFIG_FILE} beside it was written for; train the "
            "decompiler again."
        )
    for name, value in weights.items():
        if not value.isfinite().all():
            raise TracrLabError(f"{path} has a {name} that is not finite; train it again.")
    return {name: value.float() for name, value in weights.items()}


def _reason(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
