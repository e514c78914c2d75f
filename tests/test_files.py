"""Files are there whole or not at all; tables; progress."""

import hashlib

import pandas as pd
import pytest

from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path, sha256, write_text
from tracrlab.programs import parse_symbols
from tracrlab.progress import _duration, progress
from tracrlab.tables import write_tables


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_sha256(tmp_path):
    write_text(tmp_path / "a", "abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_tables_leave_missing_values_empty(tmp_path):
    table = pd.DataFrame({"name": ["a", "b"], "share": [0.25, None]})
    write_tables(table, [tmp_path / "t.csv", tmp_path / "t.md"])
    assert (tmp_path / "t.csv").read_text() == "name,share\na,0.25\nb,\n"
    assert (tmp_path / "t.md").read_text().splitlines()[-1].split("|")[1:3] == [
        " b      ",
        "         ",
    ]
    with pytest.raises(TracrLabError, match=r"must end in \.csv or \.md"):
        write_tables(table, [tmp_path / "t.txt"])


def test_progress_passes_everything_on_and_ends_with_a_rate(capsys):
    assert list(progress(iter("abc"), 3, "reading")) == ["a", "b", "c"]
    assert capsys.readouterr().err.startswith("reading: 3 in 0 s, ")


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.4, "3 s"), (75, "1 min 15 s"), (7260, "2 h 1 min")]
)
def test_duration(seconds, text):
    assert _duration(seconds) == text


def test_symbols_as_people_type_them():
    assert parse_symbols("a,b, c") == ("a", "b", "c")
    assert parse_symbols("0 1 2.5") == (0, 1, 2.5)
    assert parse_symbols("({)}") == ("(", "{", ")", "}")
    assert parse_symbols('"0","1"') == ("0", "1")
