"""What a configuration costs, computed from rates that the benchmarks measured."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from tracrlab.config import Config

#: Seconds that a SLURM job takes beside its work: three starts of Python, measured at 7 to 10.
JOB_OVERHEAD = 10.0
#: Tasks of a job array in `profiles/slurm`.
ARRAY_LIMIT = 32
#: Programs that the thesis sampled and compiled a second and core (55 a second on 12 threads).
THESIS_RATE = 55 / 12
#: What the papers report for the rest: (what, number of them, core-hours, GPU-hours).
REPORTED = (
    ("the thesis, 150,000 compressed models", 150_000, 20_000, 0),
    ("the thesis, 71,000 natural models", 71_000, 5_000, 0),
    ("Tracr-injection, one GPT-2-large, A40", 1, 0, 10),
)


@dataclass(frozen=True)
class Step:
    """A rule of the workflow: its jobs, all alike, and what they cost together.

    Attributes:
      name: what is done.
      jobs: how many jobs do it.
      programs: how many programs they go through.
      seconds: seconds of work on one core, or on one GPU, the jobs' own overhead left out.
      size: bytes that stay on disk.
      gpus: GPUs of a job.
      array: whether the jobs go as job arrays.
    """

    name: str
    jobs: int
    programs: int
    seconds: float
    size: float = 0
    gpus: int = 0
    array: bool = False

    @property
    def core_seconds(self) -> float:
        return self.seconds + self.jobs * JOB_OVERHEAD

    @property
    def gpu_seconds(self) -> float:
        return self.core_seconds * self.gpus

    def wall_seconds(self, cores: int) -> float:
        """Seconds from the first job's start to the last one's end, on so many cores."""
        return math.ceil(self.jobs / cores) * self.core_seconds / self.jobs

    @property
    def arrays(self) -> int:
        return math.ceil(self.jobs / ARRAY_LIMIT) if self.array else 0


@cache
def measured_rates() -> dict:
    """Rates by sampler preset, with the machine and command they were measured with."""
    text = files("tracrlab").joinpath("measured_rates.json").read_text(encoding="utf-8")
    return json.loads(text)


def steps(config: Config) -> Iterator[Step]:
    """The steps of the workflow that cost more than a moment, in order."""
    zoo = config.zoo
    rates = measured_rates()["zoo"][zoo.preset]
    yield Step(
        "sample candidates",
        zoo.program_shards,
        zoo.candidates,
        zoo.candidates / rates["sampled_per_core_second"],
        array=True,
    )
    yield Step("select", 1, zoo.candidates, zoo.candidates / 100_000)
    yield Step(
        "compile, verify, write",
        zoo.shards,
        zoo.programs,
        zoo.programs / rates["built_per_core_second"],
        zoo.programs * rates["bytes_per_program"],
        array=True,
    )


def plan_table(config: Config, cores: int = 2) -> list[tuple[str, ...]]:
    """A line for each step, the sum, and what the papers report; the first line is the heading.

    Args:
      config: the configuration.
      cores: cores of the machine, or of the partition, that run jobs at the same time.
    """
    wall = f"wall time on {cores:,}"
    rows = [("step", "jobs", "arrays", "programs", "core-hours", "GPU-hours", wall, "bytes")]
    planned = list(steps(config))
    for step in planned:
        rows.append(
            (
                step.name,
                f"{step.jobs:,}",
                f"{step.arrays:,} of {min(step.jobs, ARRAY_LIMIT)}" if step.array else "",
                f"{step.programs:,}",
                hours(step.core_seconds),
                hours(step.gpu_seconds) if step.gpus else "",
                duration(step.wall_seconds(cores)),
                amount(step.size),
            )
        )
    rows.append(
        (
            "total",
            f"{sum(step.jobs for step in planned):,}",
            f"{sum(step.arrays for step in planned):,}",
            "",
            hours(sum(step.core_seconds for step in planned)),
            "",
            duration(sum(step.wall_seconds(cores) for step in planned)),
            amount(sum(step.size for step in planned)),
        )
    )
    thesis = config.zoo.programs / THESIS_RATE
    rows.append(
        (
            "the thesis's rate for this zoo",
            *("", "", f"{config.zoo.programs:,}", hours(thesis), "", duration(thesis / cores), ""),
        )
    )
    for what, count, core_hours, gpu_hours in REPORTED:
        cpu, gpu = (hours(value * 3600) if value else "" for value in (core_hours, gpu_hours))
        rows.append((what, "", "", f"{count:,}", cpu, gpu, "", ""))
    return rows


def hours(seconds: float) -> str:
    """Core-hours with two digits that mean something."""
    value = seconds / 3600
    digits = max(0, 1 - math.floor(math.log10(value))) if 0 < value < 10 else 0
    return f"{value:,.{digits}f}"


def duration(seconds: float) -> str:
    """A time as a person says it."""
    minutes = math.ceil(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:,.1f} h" if minutes < 2880 else f"{minutes / 1440:,.1f} days"


def amount(size: float) -> str:
    """Bytes in the unit that a person would use."""
    if not size:
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
