"""Learning curves as a TensorBoard event file, without TensorBoard.

The file is a row of TFRecords (length, its checksum, data, its checksum; checksums are masked
CRC-32C), each of which is an `Event` message of `tensorflow/core/util/event.proto`. Only scalars
are written, which takes five fields of it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tracrlab.files import atomic_path

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (RFC 3720, appendix B.4)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    value = crc32c(data)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """One TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _message(field: int, data: bytes) -> bytes:
    """A field that holds bytes, a text or a message."""
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def event(wall_time: float, step: int, scalars: dict[str, float]) -> bytes:
    """An `Event`: wall_time is field 1, step 2, summary 5, whose values have a tag and a number."""
    values = b"".join(
        _message(1, _message(1, tag.encode()) + _varint(2 << 3 | 5) + struct.pack("<f", value))
        for tag, value in scalars.items()
    )
    head = _varint(1 << 3 | 1) + struct.pack("<d", wall_time) + _varint(2 << 3) + _varint(step)
    return head + _message(5, values)


def write_events(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Writes the event file of a curve, atomically.

    Args:
      path: the file; TensorBoard looks for `tfevents` in its name.
      lines: of the curve, each with `step`; other numbers become scalars, None is left out.
    """
    now = time.time()
    version = _varint(1 << 3 | 1) + struct.pack("<d", now) + _message(3, b"brain.Event:2")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(record(version))
        for line in lines:
            scalars = {
                name: float(value)
                for name, value in line.items()
                if name != "step" and value is not None
            }
            file.write(record(event(now, int(line["step"]), scalars)))
