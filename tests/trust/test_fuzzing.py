"""Random input ends in a program that reads back, or in the documented error; nothing else."""

import pytest

from tests.trust.kinds_of_files import KINDS
from tests.trust.random_inputs import byte_strings, texts, token_sequences
from tests.trust.samples import sampled_row
from tracrlab.errors import TracrLabError
from tracrlab.rasp import Program
from tracrlab.rasp.library import LIBRARY

CASES = {"quick": 2_000, "full": 100_000}


def outcomes(cases, parse, check):
    """How many cases were read and how many refused; any other end fails, with the case."""
    read = refused = 0
    for case in cases:
        try:
            found = parse(case)
        except TracrLabError as error:
            refused += 1
            message = str(error)
            if not message or len(message) > 5_000:
                pytest.fail(f"{message[:200]!r} for {case!r}")
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error} for {case!r}")
        else:
            read += 1
            check(found, case)
    return read, refused


def reads_back(program, case):
    assert Program.from_text(program.text()) == program, case
    if len(program) <= 62:
        assert Program.from_tokens(program.tokens()) == program, case


def test_program_text(scale, tally):
    valid = [entry.program.text() for entry in LIBRARY.values() if _has_text(entry.program)]
    valid += [sampled_row(index)["text"] for index in range(10)]
    read, refused = outcomes(texts(valid, CASES[scale], 1), Program.from_text, reads_back)
    assert read > CASES[scale] // 1000
    tally(7, "random program texts", read + refused)


def _has_text(program):
    try:
        return bool(isinstance(program, Program) and program.text())
    except TracrLabError:
        return False


def test_token_ids(scale, tally):
    valid = [sampled_row(index)["tokens"] for index in range(30)]
    cases = token_sequences(valid, CASES[scale], 2)
    read, refused = outcomes(cases, Program.from_tokens, reads_back)
    assert read > CASES[scale] // 100
    tally(7, "random token sequences", read + refused)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("shard.parquet", "random shards"),
        ("compiled.safetensors", "random weight files"),
        ("manifest.json", "random manifests"),
        ("students.checkpoint", "random checkpoints"),
    ],
)
def test_files(name, what, scale, tmp_path, tally):
    path, kind = tmp_path / name, KINDS[name]
    kind.write(path)
    valid, content = path.read_bytes(), kind.read(path)

    def parse(case):
        path.write_bytes(case)
        return kind.read(path)

    def same(found, case):
        assert found == content

    read, refused = outcomes(byte_strings([valid], CASES[scale], 3), parse, same)
    assert refused > 0.99 * CASES[scale]
    tally(7, what, read + refused)
