"""The event file, taken apart by hand, and its checksums."""

import struct

import pytest

from tracrlab.decompiler.curve_events import crc32c, event, record, write_events


@pytest.mark.parametrize(
    ("data", "checksum"),
    [  # RFC 3720, appendix B.4
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
    ],
)
def test_the_checksum_is_that_of_the_standard(data, checksum):
    assert crc32c(data) == checksum


def test_an_event_by_hand():
    data = event(1.5, 300, {"loss": 0.25})
    value = b"\x0a\x04loss" + b"\x15" + struct.pack("<f", 0.25)
    summary = b"\x0a" + bytes([len(value)]) + value
    wall = b"\x09" + struct.pack("<d", 1.5)
    assert data == wall + b"\x10\xac\x02" + b"\x2a" + bytes([len(summary)]) + summary


def test_a_file_is_a_row_of_records(tmp_path):
    path = tmp_path / "curve.tfevents"
    write_events(path, [{"step": 2, "loss": 1.0, "token_accuracy": None}, {"step": 4, "loss": 0.5}])
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(data[12 : 12 + length])
        assert record(found[-1]) == data[: 16 + length]
        data = data[16 + length :]
    assert len(found) == 3
    assert found[0].endswith(b"brain.Event:2")
    assert b"loss" in found[1]
    assert b"token_accuracy" not in found[1]
    assert found[2].endswith(b"\x15" + struct.pack("<f", 0.5))
