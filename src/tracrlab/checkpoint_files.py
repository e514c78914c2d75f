"""Checkpoints on disk: safetensors with a checksum, the newest and the one before it.

The one before is kept because a checkpoint is what a run of days is continued from: where the
newest is damaged, the work of one interval is lost and not that of the run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path, remove_abandoned
from tracrlab.sealing import BLANK_SEAL, check_seal, seal

#: What reading a damaged file may raise, beside the library's own error.
DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)

Contents = tuple[dict[str, Any], dict[str, Any]]


def previous_of(path: str | Path) -> Path:
    """Where the checkpoint before the newest lies."""
    path = Path(path)
    return path.with_name(f"{path.name}.previous")


def write_checkpoint(
    path: str | Path,
    save_file: Callable[..., None],
    tensors: Mapping[str, Any],
    form: str,
    header: Mapping[str, Any],
) -> None:
    """Writes a checkpoint; the one that was there becomes the previous one.

    Args:
      path: the file.
      save_file: of `safetensors.numpy` or `safetensors.torch`.
      tensors: arrays by name.
      form: name of the format, under which the header is kept.
      header: all the rest; JSON.
    """
    path = Path(path)
    text = json.dumps({"checksum": BLANK_SEAL, **header})
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={form: text})
        seal(temporary)
        if path.is_file():
            path.replace(previous_of(path))


def read_checkpoint(
    path: str | Path, framework: str, form: str, is_own: Callable[[dict], bool]
) -> Contents | None:
    """Reads the newest checkpoint that is whole; if that is not the newest, says so.

    Args:
      path: the file.
      framework: "numpy" or "pt".
      form: name of the format.
      is_own: whether a header is of this run; one of another run is not used.

    Returns:
      header and tensors; None where there is no checkpoint of this run.

    Raises:
      TracrLabError: if there are checkpoints and none is whole.
    """
    faults: list[str] = []
    for candidate in (Path(path), previous_of(path)):
        if not candidate.is_file():
            continue
        try:
            contents = _read(candidate, framework, form)
            if not is_own(contents[0]):
                return None
        except DAMAGE as error:
            faults.append(f"the checkpoint {candidate} is damaged ({str(error).rstrip('.')})")
            continue
        if faults:
            print(f"{faults[0]}; going on from the one before it, {candidate}.", file=sys.stderr)
        return contents
    if faults:
        raise TracrLabError(f"{'; '.join(faults)}; delete it to begin again.")
    return None


def remove_checkpoint(path: str | Path) -> None:
    """Deletes a run's checkpoints and what was being written of one: the run is done."""
    for candidate in (Path(path), previous_of(path)):
        candidate.unlink(missing_ok=True)
    remove_abandoned(Path(path))


def _read(path: Path, framework: str, form: str) -> Contents:
    from safetensors import SafetensorError, safe_open

    try:
        check_seal(path)
        with safe_open(path, framework=framework) as file:
            header = json.loads((file.metadata() or {})[form])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    header.pop("checksum")
    return header, tensors
