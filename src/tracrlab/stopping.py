"""Stopping a long command so that it can go on later: SIGTERM, a checkpoint, exit code 143."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: What a shell gives for a process that SIGTERM has ended; SLURM counts it as a failed job.
STOPPED_EXIT_CODE = 128 + signal.SIGTERM


class StoppedError(Exception):
    """The command was asked to stop, and what it has done so far is on disk."""


@dataclass
class Stop:
    """Whether this process has been asked to stop."""

    asked: bool = False


@contextmanager
def stopping() -> Iterator[Stop]:
    """Notes SIGTERM, so that the step in hand ends and a checkpoint is written.

    A second SIGTERM changes nothing: who must end the process at once has SIGKILL. Outside the main
    thread signals are someone else's, and nothing is noted.
    """
    stop = Stop()

    def note(*_) -> None:
        stop.asked = True

    try:
        before = signal.signal(signal.SIGTERM, note)
    except ValueError:
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
