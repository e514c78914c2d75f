"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tracrlab.errors import TracrLabError

#: What the machine may refuse a writer, and the mend.
_MENDS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EROFS: "give a folder that can be written",
    errno.EACCES: "give a folder that you may write",
    errno.EPERM: "give a folder that you may write",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.EIO: "the disk fails: write to another",
}
_OS_ERROR = re.compile(r"(?:os error |\[Errno |errno: )(\d+)")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path; it takes the name `path` when the block ends without an error.

    Two processes may write the same path, on two nodes of a cluster too: each has a path of its own
    and the last to end wins. What a killed process of this machine left there is removed.

    Raises:
      TracrLabError: where the machine refuses: no space, no permission, a limit. What was at `path`
        is as it was.
    """
    path = Path(path)
    with refused(path), partial_folder(path) as folder:
        temporary = folder / path.name
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """Turns what the machine refuses a writer of `path` into a sentence.

    Raises:
      TracrLabError: no space, no permission, or a limit of the process.
    """
    try:
        yield
    except TracrLabError:
        raise
    except Exception as error:
        refusal = _refusal(path, error)
        if refusal is None:
            raise
        raise refusal from None


@contextmanager
def partial_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` for what is being written, removed with all that is left in it.

    A folder, because libraries put files of their own beside the one that they write, and a killed
    process leaves them. Those of processes of this machine that are no more are removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path)
    folder = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(path: Path) -> None:
    """Removes the partial folders of `path` whose processes, of this machine, are no more."""
    head, tail = f".{path.name}.{socket.gethostname()}.", ".partial"
    if not path.parent.is_dir() or not Path("/proc/self").exists():
        return  # in the second case, who is alive cannot be told
    for name in os.listdir(path.parent):
        number = name[len(head) : -len(tail)]
        is_partial = name.startswith(head) and name.endswith(tail) and number.isdecimal()
        if is_partial and not Path(f"/proc/{number}").exists():
            shutil.rmtree(path.with_name(name), ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, so that none is lost with the power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without folder syncs
            raise
    finally:
        os.close(handle)


def _refusal(path: Path, error: Exception) -> TracrLabError | None:
    """The sentence for an error of the machine; None for any other error.

    Libraries in other languages pass such errors on as text, with the number in it.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (match := _OS_ERROR.search(str(error))):
        number = int(match[1])
    if number not in _MENDS:
        return None
    return TracrLabError(f"{path} cannot be written ({os.strerror(number)}); {_MENDS[number]}.")


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
