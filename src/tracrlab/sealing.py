"""A checksum inside the file that it is of.

The checksum is the SHA-256 of every other byte of the file, its own 64 digits read as zeros, so one
that is checked leaves no byte unchecked: not the header of a safetensors file, whose numbers its
library cannot doubt, nor the footer of a Parquet file, which page checksums leave out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

_MARK = b"tracrlab-sha256:"
_DIGITS = 64
#: What a file is written with, in its JSON header, before it is sealed.
BLANK_SEAL = _MARK.decode() + "0" * _DIGITS

#: The largest header that is read, in bytes; a file that says more is damaged.
MAX_HEADER = 64 << 20
_CHUNK = 1 << 20


def seal(path: str | Path) -> None:
    """Puts the checksum in the place of the `BLANK_SEAL` that the file was written with.

    Raises:
      ValueError: if the file has no such place, or several.
    """
    with open(path, "r+b") as file:
        place = _place(file)
        digest = _digest(file, place)
        file.seek(place)
        file.write(digest.encode())


def check_seal(path: str | Path) -> None:
    """Reads the whole file and compares it with its checksum.

    Raises:
      ValueError: if the file carries no checksum, or is not as it was when it was sealed.
    """
    with open(path, "rb") as file:
        place = _place(file)
        file.seek(place)
        said = file.read(_DIGITS)
        if said != _digest(file, place).encode():
            raise ValueError("its contents do not have the checksum that it carries")


def _place(file: BinaryIO) -> int:
    """Where the digits of the checksum begin."""
    start, length = _header(file)
    file.seek(start)
    header = file.read(length)
    found = header.find(_MARK)
    if found < 0 or header.find(_MARK, found + 1) >= 0:
        raise ValueError("it carries no checksum")
    return start + found + len(_MARK)


def _header(file: BinaryIO) -> tuple[int, int]:
    """Start and length of the part that holds the checksum, by the format of the file."""
    size = file.seek(0, 2)
    file.seek(0)
    first = file.read(8)
    if first.startswith(b"PAR1"):
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(4), "little")
        start = size - 8 - length
    elif first[:1] in (b"{", b"["):
        start, length = 0, size
    else:
        start, length = 8, int.from_bytes(first, "little")
    if start < 0 or length > min(size, MAX_HEADER):
        raise ValueError("its header is longer than the file, or than any header")
    return start, length


def _digest(file: BinaryIO, place: int) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    left = place
    while left and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    digest.update(b"0" * _DIGITS)
    file.seek(place + _DIGITS)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
