"""What each choice in the training of students is worth: the defaults with one thing changed.

`python -m benchmarks.student_choices --models 32` prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from benchmarks.measure import cpu_seconds, machine
from benchmarks.students import methods, sampled_teachers, side_by_side


def variants(kind: str, method, making) -> dict:
    """Names, methods and makings: the default, and others that differ in one thing."""

    def trained(**changes):
        return method, replace(making, training=replace(making.training, **changes))

    chosen = {
        "as configured": (method, making),
        "no inputs drawn for being wrong": trained(mined=0.0),
        "peak rate 3e-3": trained(learning_rate=3e-3),
        "peak rate 3e-2": trained(learning_rate=3e-2),
        "output loss l2 alone": trained(output_loss="l2"),
        "layer weight 1": trained(layer_weight=1.0),
    }
    if kind == "compressed":
        from tracrlab.students.compressing import Compression

        random = Compression(method.ratio, "random", seed=method.seed, refined=method.refined)
        chosen["random start"] = random, making
    return chosen


def main() -> None:
    """Prints the table."""
    os.environ["NPROC"] = "1"  # XLA's threads: a job of the workflow has one
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=32)
    options = parser.parse_args()
    teachers = sampled_teachers(options.models, 4, 6)
    print(f"{options.models} programs of 4 to 6 ops, on {machine()}\n")
    print("| students | choice | exact | past the gate | core-seconds a model |")
    print("|---|---|---|---|---|")
    for kind, (*pair, worth) in methods().items():
        for name, (method, making) in variants(kind, *pair).items():
            seconds, students = cpu_seconds(
                lambda m=method, k=making, w=worth: side_by_side(teachers, m, k, w)
            )
            count = len(students)
            exact = sum(student.exact for student in students) / count
            accepted = sum(not student.refusal for student in students) / count
            print(
                f"| {kind} | {name} | {exact:.0%} | {accepted:.0%} | {seconds / count:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
