"""Timing, memory and the table of results."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
      name: what was measured.
      ours: our figure, with its unit.
      baseline: what it is compared with, and its figure.
      ratio: ours against the baseline; None where there is no baseline.
      target: what was asked for.
    """

    name: str
    ours: str
    baseline: str
    ratio: float | None
    target: str


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor time of a call in this process, and its result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def in_subprocess(module: str, *arguments: str) -> dict[str, Any]:
    """Runs ``python -m module arguments`` on one thread; the JSON that it prints last.

    The result gets ``cpu_seconds``, ``wall_seconds`` and ``peak_mb`` of the whole process.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]) | {"cpu_seconds": cpu, "wall_seconds": wall}


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB.

    Read from /proc: ``ru_maxrss`` would count the memory of the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def machine() -> str:
    """The machine in a line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}"


def markdown(results: list[Result], command: str) -> str:
    """The table with what it was measured on."""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `{command}` on {machine()}. Rates are per core: programs by processor time.",
        "",
        "| measured | Tracr Lab | baseline, same run | ratio | target |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        ratio = "" if result.ratio is None else f"{result.ratio:,.1f}"
        lines.append(
            f"| {result.name} | {result.ours} | {result.baseline} | {ratio} | {result.target} |"
        )
    return "\n".join(lines) + "\n"
