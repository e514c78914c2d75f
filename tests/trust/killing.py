"""Runs of the workflow that are killed, with SIGKILL and all of their processes, and run again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: How long a job may be waited for, in seconds.
PATIENCE = 900


@dataclass
class Life:
    """One folder that is worked in until everything is there.

    Attributes:
      folder: where.
      targets: what is made.
      kills: kills by the rule that was started last.
      running: kills by rules that were at work.
    """

    folder: Path
    targets: tuple[str, ...]
    kills: Counter = field(default_factory=Counter)

    def command(self, *more: str) -> list[str]:
        """Snakemake, as a person calls it."""
        words = [sys.executable, "-m", "snakemake", *self.targets, "--profile", "profiles/local"]
        words += ["--directory", str(self.folder), "--configfile", "config/smoke.yaml"]
        return [*words, *more]

    def run(self, *more: str) -> str:
        """Runs to the end."""
        run = subprocess.run(
            self.command(*more),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE * 4,
            check=False,
        )
        assert run.returncode == 0, run.stdout[-4000:]
        return run.stdout

    def run_and_kill(self, generator: random.Random, longest: float) -> str | None:
        """Kills a run at a random moment after one of its jobs has begun.

        Args:
          generator: of the moment.
          longest: seconds after the job's start, at most.

        Returns:
          the rule whose job had begun; None if the run came to its end.
        """
        before = self.logs()
        skipped = generator.randrange(3)  # jobs that may begin before the one that is waited for
        with open(self.folder / "killed.log", "a") as said:
            process = subprocess.Popen(
                self.command(), cwd=ROOT, stdout=said, stderr=said, start_new_session=True
            )
            rule = self._wait_for_job(process, before, skipped)
            if rule is not None:
                time.sleep(generator.uniform(0, longest))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                _wait_until_gone(process.pid)
                self.kills[rule] += 1
                return rule
        assert process.returncode == 0, (self.folder / "killed.log").read_text()[-4000:]
        return None

    def logs(self) -> dict[Path, int]:
        """The logs of jobs, with when they were last begun or written."""
        found = (self.folder / "logs").rglob("*.log")
        return {path: path.stat().st_mtime_ns for path in found}

    def _wait_for_job(self, process, before: dict[Path, int], skipped: int) -> str | None:
        """The rule of the first job, some skipped, whose log has changed."""
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            assert time.monotonic() < deadline
            begun = [path for path, at in self.logs().items() if before.get(path) != at]
            if len(begun) > skipped:
                newest = max(begun, key=lambda path: path.stat().st_mtime_ns)
                return _rule_of(newest.relative_to(self.folder / "logs"))
            time.sleep(0.02)
        return None


def _rule_of(log: Path) -> str:
    """A log is logs/STAGE/RULE.log or logs/STAGE/RULE/WILDCARDS.log."""
    return log.parts[1].removesuffix(".log")


def _wait_until_gone(session: int) -> None:
    """Waits until no process of a session is left."""
    for _ in range(500):
        alive = subprocess.run(
            ["ps", "-o", "stat=", "-s", str(session)], capture_output=True, text=True, check=False
        ).stdout.split()
        if not [state for state in alive if not state.startswith("Z")]:
            return
        time.sleep(0.02)
    raise AssertionError("a killed run has processes left")


def new_life(folder: Path, *targets: str) -> Life:
    """A fresh folder with the repository's configuration."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "config", folder / "config")
    return Life(folder, targets or ("all",))
