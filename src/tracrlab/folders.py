"""Folders of a model: there whole or not at all, with a checksum of every file."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tracrlab.errors import TracrLabError
from tracrlab.files import partial_folder, refused, sha256, sync_folder
from tracrlab.sealing import BLANK_SEAL, check_seal, seal

CHECKSUMS = "checksums.json"

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder that takes the name `path` when the block ends without an error.

    What is there is replaced in one step. The checksums of all files are written beside them.

    Raises:
      TracrLabError: where the machine refuses: no space, no permission, a limit.
    """
    path = Path(path)
    with refused(path), partial_folder(path) as temporary:
        yield temporary
        _write_checksums(temporary)
        for file in _files(temporary):
            with open(file, "rb+") as handle:
                os.fsync(handle.fileno())
        if path.is_dir():
            _exchange(temporary, path)
        else:
            os.replace(temporary, path)
        sync_folder(path.parent)


def check_folder(folder: str | Path) -> None:
    """Compares every file of a folder with its checksum.

    Raises:
      ValueError: naming the file that is missing, not listed, or not as it was written.
    """
    folder = Path(folder)
    listed = folder / CHECKSUMS
    if not listed.is_file():
        raise ValueError(f"it has no {CHECKSUMS}")
    check_seal(listed)
    sums = json.loads(listed.read_text(encoding="utf-8"))["files"]
    there = {file.relative_to(folder).as_posix() for file in _files(folder)} - {CHECKSUMS}
    if there != sums.keys():
        odd = sorted(there ^ sums.keys())[0]
        raise ValueError(f"{odd} is missing, or does not belong there")
    for name, checksum in sums.items():
        if sha256(folder / name) != checksum:
            raise ValueError(f"{name} has changed since it was written")


def _write_checksums(folder: Path) -> None:
    sums = {file.relative_to(folder).as_posix(): sha256(file) for file in _files(folder)}
    listed = folder / CHECKSUMS
    listed.write_text(json.dumps({"checksum": BLANK_SEAL, "files": sums}, indent=1) + "\n")
    seal(listed)


def _files(folder: Path) -> list[Path]:
    """The files of a folder; those that begin with a dot are not the model's."""
    return sorted(
        file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")
    )


def _exchange(new: Path, old: Path) -> None:
    """Exchanges two folders in one step, or, where the system cannot, in two."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = os.fsencode(new), os.fsencode(old)
    if call is not None and call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return
    shutil.rmtree(old)
    os.replace(new, old)


def damaged_folder(folder: str | Path, error: Exception) -> TracrLabError:
    """The error for a folder that cannot be read."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return TracrLabError(f"the model in {folder} is damaged ({reason}); make it again.")
