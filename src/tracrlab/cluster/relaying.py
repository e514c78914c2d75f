"""SIGTERM on a node reaches the command that is at work, so that it can write a checkpoint.

SLURM signals a job that is preempted, cancelled or near its time limit. Where processes are tracked
by cgroups, only the process that SLURM started hears of it: Snakemake, which waits for its command
and says nothing. Here the command is told. The shell in between waits for the command (`trap` in
workflow/rules/common.smk), so nothing ends before the checkpoint is written.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

import psutil


def relay_termination() -> None:
    """Passes every SIGTERM on to all processes below this one, from now on.

    Snakemake sets its own handler later, so none is set here: Python writes the number of a signal
    that has any handler to the wake-up descriptor, and a thread reads it there.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_relay, args=(reading,), name="relay", daemon=True).start()


def _relay(reading: int) -> None:
    while numbers := os.read(reading, 64):
        if signal.SIGTERM in numbers:
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGTERM)
