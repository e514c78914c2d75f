"""Trainings that are stopped and killed: what their tests share.

Each is the command that its rule runs, as a process of its own.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tracrlab.stopping import STOPPED_EXIT_CODE

#: Longest wait for anything, on a machine that has other things to do.
SECONDS = 300


def command(words: list, config: dict, folder: Path) -> list[str]:
    """A command of `tracrlab` with a configuration, which is written into its folder."""
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return [sys.executable, "-m", "tracrlab.cli", *map(str, words), "--config", str(path)]


@contextmanager
def starting() -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts commands; those that a failed test leaves behind are ended."""
    children = []

    def start(words: list[str], folder: Path, gpus: str = "") -> subprocess.Popen:
        (folder / "out").mkdir(exist_ok=True)
        own = {"OMP_NUM_THREADS": "1", "NPROC": "1", "CUDA_VISIBLE_DEVICES": gpus}
        with open(folder / "said.txt", "ab") as said:
            child = subprocess.Popen(words, stdout=said, stderr=said, env=os.environ | own)
        children.append(child)
        return child

    try:
        yield start
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()


def finish(child: subprocess.Popen, folder: Path) -> None:
    """Waits for a command, which must succeed."""
    assert child.wait(SECONDS) == 0, (folder / "said.txt").read_text()[-3000:]


def contents(folder: Path) -> dict[str, bytes]:
    """Everything that the commands of a folder wrote."""
    files = (path for path in (folder / "out").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def wait_for(ready: Callable[[], bool], child: subprocess.Popen, folder: Path) -> None:
    """Waits until something is so while a command runs."""
    end = time.monotonic() + SECONDS
    while not ready():
        assert child.poll() is None, (folder / "said.txt").read_text()[-3000:]
        assert time.monotonic() < end
        time.sleep(0.01)


def is_training(child: subprocess.Popen) -> bool:
    """Whether a process handles SIGTERM itself, as it does from its first step to its last."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))


def check_stopped_and_then_killed(command_in: Callable[[Path], list[str]], place: Path) -> None:
    """Checks that a training that is stopped, and then killed, ends with the bytes of one alone.

    Args:
      command_in: the command for a folder, which writes into its `out`.
      place: where the folders are made.
    """
    left_alone, interrupted = place / "left_alone", place / "interrupted"
    for folder in (left_alone, interrupted):
        folder.mkdir()
    with starting() as start:
        alone = start(command_in(left_alone), left_alone)
        words = command_in(interrupted)

        child = start(words, interrupted)
        wait_for(lambda: is_training(child), child, interrupted)
        time.sleep(random.uniform(0, 1))
        child.send_signal(signal.SIGTERM)
        assert child.wait(SECONDS) == STOPPED_EXIT_CODE, (interrupted / "said.txt").read_text()
        checkpoints = list((interrupted / "out").glob("*.checkpoint*"))
        assert checkpoints
        assert "holds the" in (interrupted / "said.txt").read_text()

        child = start(words, interrupted)
        wait_for(lambda: is_training(child), child, interrupted)
        time.sleep(random.uniform(0, 1))
        child.kill()
        assert child.wait() == -signal.SIGKILL
        assert any(path.exists() for path in checkpoints), "the newest, or the one before it"

        finish(start(words, interrupted), interrupted)
        finish(alone, left_alone)
    assert not list((interrupted / "out").glob("*.checkpoint*"))
    found, wanted = contents(interrupted), contents(left_alone)
    said = (interrupted / "said.txt").read_text()
    assert found.keys() == wanted.keys(), said
    other = [name for name in wanted if found[name] != wanted[name]]
    assert not other, f"{other} are other bytes; {place} has both; it said:\n{said}"
