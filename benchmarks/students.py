"""Compression of many models: exact share, core-seconds, and side by side against one at a time.

`python -m benchmarks.students --models 48 --ratios 0.5 0.75 0.9` prints a Markdown table.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from benchmarks.measure import cpu_seconds, machine

SETTINGS = {"steps": 200, "chunk": 100, "learning_rate": 1e-2, "batch": 32}


def sampled_teachers(count: int) -> list:
    """Compiled programs of 4 to 6 ops of the default domain, with ids and truth tables."""
    from tracrlab.compiler import compile_table
    from tracrlab.rasp.sampler import SamplerSettings, sample

    settings = SamplerSettings((0, 1, 2, 3, 4), 5, min_ops=4, max_ops=6)
    tables = [sample(settings, 5, index).table for index in range(count)]
    return [(index, compile_table(table), table) for index, table in enumerate(tables)]


def measure(teachers: list, ratio: float, lanes: int) -> tuple[float, list]:
    """Core-seconds of compressing all teachers, and the students."""
    from tracrlab.students.compressing import CompressionSettings, compress
    from tracrlab.students.training import TrainingSettings

    settings = CompressionSettings(ratio, replace(TrainingSettings(lanes=lanes), **SETTINGS))
    return cpu_seconds(lambda: list(compress(teachers, settings)))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=48)
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.5, 0.75, 0.9])
    options = parser.parse_args()
    teachers = sampled_teachers(options.models)
    print(f"{options.models} programs of 4 to 6 ops, {SETTINGS}, on {machine()}\n")
    print(
        "| ratio | exact | exact from the start | past the thesis's gate "
        "| core-seconds a model | one at a time |"
    )
    print("|---|---|---|---|---|---|")
    for ratio in options.ratios:
        seconds, students = measure(teachers, ratio, 16)
        few = teachers[: max(4, len(teachers) // 6)]
        side_by_side, _ = measure(few, ratio, 16)
        alone, _ = measure(few, ratio, 1)
        count = len(students)
        print(
            f"| {ratio:g} | {sum(s.exact for s in students) / count:.0%} "
            f"| {sum(s.exact and s.steps == 0 for s in students) / count:.0%} "
            f"| {sum(s.passes_gate for s in students) / count:.0%} "
            f"| {seconds / count:.2f} | {alone / side_by_side:.1f} times the core-seconds |",
            flush=True,
        )


if __name__ == "__main__":
    main()
