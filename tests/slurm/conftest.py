"""The cluster, started once, and Snakemake as a person calls it on a login node."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from tests.slurm.sandbox import Sandbox, why_not

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "profiles" / "slurm"
#: The delivered profile asks every 20 seconds, and exits up to a minute after the last job; a test
#: does not wait that long.
FAST = ("--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "20")
FAST += ("--max-jobs-per-timespan", "5000/1s")


def cluster(accounting: bool):
    if reason := why_not(accounting):
        pytest.skip(reason)
    sandbox = Sandbox(accounting)
    try:
        sandbox.start()
        yield sandbox
    finally:
        sandbox.stop()


@pytest.fixture(scope="session")
def slurm():
    yield from cluster(accounting=False)


@pytest.fixture(scope="session")
def slurm_with_accounting():
    yield from cluster(accounting=True)


def emptied(sandbox):
    """A cluster with nothing in its queue, and no Snakemake of a failed test left behind."""
    sandbox.forget()
    yield sandbox
    for child in Submission.children:
        if child.poll() is None:
            Submission.kill(child)
    Submission.children.clear()
    sandbox.cancel_all()


@pytest.fixture
def idle(slurm):
    yield from emptied(slurm)


@pytest.fixture
def idle_with_accounting(slurm_with_accounting):
    yield from emptied(slurm_with_accounting)


def changed_profile(folder: Path, change) -> Path:
    """A copy of the delivered profile in which a function has changed the values."""
    shutil.copytree(PROFILE, folder / "profile")
    path = folder / "profile" / "config.yaml"
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values))
    return path.parent


class Submission:
    """A Snakemake that submits to the cluster from a folder of its own."""

    children: ClassVar[list[subprocess.Popen]] = []

    def __init__(self, folder: Path, snakefile: Path = ROOT / "Snakefile"):
        self.folder, self.snakefile = folder, snakefile
        folder.mkdir(exist_ok=True)
        shutil.copytree(ROOT / "config", folder / "config", dirs_exist_ok=True)
        self.out = folder / "out.txt"

    def start(self, *arguments: str, profile: Path = PROFILE, fast=FAST, env=None):
        """Starts Snakemake; its output goes to `out`."""
        words = [sys.executable, "-m", "snakemake", "--snakefile", str(self.snakefile)]
        words += ["--profile", str(profile), "--directory", str(self.folder), *fast, *arguments]
        with open(self.out, "ab") as out:
            child = subprocess.Popen(
                words, cwd=ROOT, stdout=out, stderr=out, env=env, start_new_session=True
            )
        self.children.append(child)
        return child

    def run(self, *arguments: str, timeout: float = 300, **options) -> tuple[int, str]:
        """Runs Snakemake to its end and gives its exit code and what it said."""
        self.out.write_bytes(b"")
        child = self.start(*arguments, **options)
        return self.finish(child, timeout)

    def finish(self, child: subprocess.Popen, timeout: float = 300) -> tuple[int, str]:
        """Waits for a Snakemake; one that hangs is killed, and the test fails with what it said."""
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill(child)
            pytest.fail(f"Snakemake hangs:\n{self.out.read_text()[-6000:]}")
        return code, self.out.read_text()

    @staticmethod
    def kill(child: subprocess.Popen) -> None:
        """Kills Snakemake as a crash of the login node would."""
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def wait_until(ready, seconds: float = 90, what: str = "what is waited for"):
    """Waits until a function gives something, and gives that."""
    end = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < end, f"{what} did not happen in {seconds} seconds"
        time.sleep(0.3)
    return found
