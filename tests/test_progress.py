"""Progress: a bar at a terminal, and plain lines now and then in a log file."""

import io
import os
import pty
import sys
import termios

import pytest

from tracrlab import progress as module
from tracrlab.progress import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_log_file_gets_a_line_now_and_then(clock, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    for _ in progress(range(100), 100, "compiling", lambda: ", 93% accepted"):
        clock[0] += 0.5
    lines = log.getvalue().splitlines()
    assert lines == [
        "compiling: 20 of 100, 2.0/s, 40 s left, 93% accepted",
        "compiling: 40 of 100, 2.0/s, 30 s left, 93% accepted",
        "compiling: 60 of 100, 2.0/s, 20 s left, 93% accepted",
        "compiling: 80 of 100, 2.0/s, 10 s left, 93% accepted",
        "compiling: 100 in 50 s, 2.0/s, 93% accepted",
    ]
    assert "\r" not in log.getvalue()


def test_long_work_is_told_in_hours(clock, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    steps = iter(progress(range(1000), 1000, "training"))
    next(steps)
    clock[0] += 60
    next(steps)
    assert log.getvalue() == "training: 1 of 1,000, 0.0/s, 16 h 39 min left\n"


def test_items_pass_unchanged_and_no_work_is_said(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    assert list(progress(["a", "b"], 2, "reading")) == ["a", "b"]
    assert list(progress([], 0, "reading")) == []
    assert log.getvalue().splitlines()[-1].startswith("reading: 0 in 0 s")


def test_a_terminal_gets_a_bar_on_one_line(monkeypatch):
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, 80))
    with os.fdopen(child, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert list(progress(range(3), 3, "reading")) == [0, 1, 2]
        terminal.flush()
        shown = os.read(parent, 65536).decode()
    os.close(parent)
    assert "reading: 100%" in shown
    assert "3/3" in shown
    assert shown.count("\r\n") == 1
