"""What a configuration costs, computed from rates that the benchmarks measured."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files

from tracrlab.config import Config

#: Seconds that a job takes before and after its work (start of Python, imports).
JOB_OVERHEAD = 4.0
#: Programs that the thesis compiled a second and core (55 a second on 12 threads).
THESIS_RATE = 55 / 12


@cache
def measured_rates() -> dict:
    """Rates by sampler preset, with the machine and command they were measured with."""
    text = files("tracrlab").joinpath("measured_rates.json").read_text(encoding="utf-8")
    return json.loads(text)


def plan_table(config: Config) -> list[tuple[str, ...]]:
    """A line for each step of the zoo, and the sum; the first line is the heading."""
    zoo = config.zoo
    rates = measured_rates()["zoo"][zoo.preset]
    candidates = zoo.candidates
    steps = [
        ("sample candidates", zoo.program_shards, candidates / rates["sampled_per_core_second"], 0),
        ("select", 1, candidates / 100_000, 0),
        (
            "compile, verify, write",
            zoo.shards,
            zoo.programs / rates["built_per_core_second"],
            zoo.programs * rates["bytes_per_program"],
        ),
    ]
    rows = [("step", "jobs", "programs", "core-hours", "bytes")]
    total_jobs = total_seconds = total_bytes = 0.0
    for name, jobs, work, size in steps:
        seconds = work + jobs * JOB_OVERHEAD
        count = zoo.programs if size else candidates
        rows.append((name, f"{jobs:,}", f"{count:,}", hours(seconds), amount(size)))
        total_jobs, total_seconds = total_jobs + jobs, total_seconds + seconds
        total_bytes += size
    rows.append(("total", f"{total_jobs:,.0f}", "", hours(total_seconds), amount(total_bytes)))
    thesis = zoo.programs / THESIS_RATE
    rows.append(("the thesis's rate", "", f"{zoo.programs:,}", hours(thesis), ""))
    return rows


def hours(seconds: float) -> str:
    """Core-hours with two digits that mean something."""
    value = seconds / 3600
    digits = max(0, 1 - math.floor(math.log10(value))) if 0 < value < 10 else 0
    return f"{value:,.{digits}f}"


def amount(size: float) -> str:
    """Bytes in the unit that a person would use."""
    if not size:
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
