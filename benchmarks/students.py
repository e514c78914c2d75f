"""Students: accepted and exact shares, core-seconds, and side by side against one at a time.

`python -m benchmarks.students --models 192 --ops 4 6` prints a Markdown table. "One at a time"
trains some of the same models alone, each in its own shape, as a loop over models would: the same
settings, one lane.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from benchmarks.measure import cpu_seconds, machine


def sampled_teachers(count: int, fewest: int, most: int) -> list:
    """Compiled programs of the default domain within the default limits of a teacher."""
    from tracrlab.compiler import compile_table
    from tracrlab.rasp.sampler import SamplerSettings, sample
    from tracrlab.sections.students import StudentZoo
    from tracrlab.students.student import Teacher

    limits = StudentZoo()
    settings = SamplerSettings((0, 1, 2, 3, 4), 5, min_ops=fewest, max_ops=most)
    teachers, index = [], 0
    while len(teachers) < count:
        table = sample(settings, 5, index).table
        model = compile_table(table)
        widest = max(layer.mlp_hidden for layer in model.architecture.layers)
        if model.architecture.d_model <= limits.max_d_model and widest <= limits.max_mlp_hidden:
            teachers.append(Teacher(index, model, table))
        index += 1
    return teachers


def methods() -> dict:
    """The two kinds of students, with the settings of the default configuration."""
    from tracrlab.config import Config
    from tracrlab.students.selecting import KINDS, making_of, method_of

    config = Config()
    return {kind: (method_of(config, kind), making_of(config, kind)) for kind in KINDS}


def side_by_side(teachers: list, method, making) -> list:
    """Students of all teachers, in the shapes that a zoo would have."""
    from tracrlab.students.making import make
    from tracrlab.students.shapes import plan

    shapes = plan([_shape(teacher, method) for teacher in teachers], 2 * making.training.lanes)
    students = []
    for shape in sorted(set(shapes), key=lambda shape: shape.numbers):
        group = [one for one, own in zip(teachers, shapes, strict=True) if own == shape]
        students += make(group, shape, method, making)
    return students


def one_at_a_time(teachers: list, method, making) -> list:
    """The same students, each alone in its own shape."""
    from tracrlab.students.making import make

    alone = replace(making, training=replace(making.training, lanes=1))
    return [
        student
        for teacher in teachers
        for student in make([teacher], _shape(teacher, method), method, alone)
    ]


def _shape(teacher, method):
    from tracrlab.students.shapes import Shape

    own = teacher.model.architecture
    return Shape.of(own, method.student_architecture(own))


def main() -> None:
    """Prints the table."""
    os.environ["NPROC"] = "1"  # XLA's threads: a job of the workflow has one
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=192)
    parser.add_argument("--alone", type=int, default=6, help="models of the one-at-a-time loop")
    parser.add_argument("--ops", type=int, nargs=2, default=[4, 6])
    options = parser.parse_args()
    teachers = sampled_teachers(options.models, *options.ops)
    fewest, most = options.ops
    print(f"{options.models} programs of {fewest} to {most} ops, on {machine()}\n")
    print(
        "| students | past the gate | exact | core-seconds attempted | core-seconds accepted "
        "| mean steps | one at a time |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, (method, making) in methods().items():
        seconds, students = cpu_seconds(lambda m=method, k=making: side_by_side(teachers, m, k))
        few = teachers[: options.alone]
        alone, _ = cpu_seconds(lambda m=method, k=making, f=few: one_at_a_time(f, m, k))
        count = len(students)
        accepted = sum(not student.refusal for student in students)
        exact = sum(student.exact for student in students)
        steps = sum(student.steps for student in students) / count
        print(
            f"| {kind} | {accepted / count:.1%} | {exact / count:.1%} | {seconds / count:.2f} "
            f"| {seconds / max(accepted, 1):.2f} | {steps:.0f} "
            f"| {(alone / len(few)) / (seconds / count):.1f} times the core-seconds |",
            flush=True,
        )


if __name__ == "__main__":
    main()
