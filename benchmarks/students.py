"""Students: accepted and exact shares, core-seconds, and side by side against one at a time.

`python -m benchmarks.students --models 192 --ops 4 6` prints a Markdown table. "One at a time" is a
plain loop over some of the same models, spread over all: each in its own exact sizes, its update
compiled for it and called step by step, for the same number of steps.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.measure import cpu_seconds, machine

KINDS = ("compressed", "natural")
#: Most steps of all weights in which the plain loop makes what W alone leaves: by default a zoo
#: solves for it and trains nothing.
STEPS_OF_ALL_WEIGHTS = 800


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
    """Method, making and worth of a shape of both kinds, as in the default configuration."""
    from tracrlab.config import Config
    from tracrlab.students.selecting import KINDS, making_of, method_of, settings_of

    config = Config()
    return {
        kind: (
            method_of(config, kind),
            making_of(config, kind),
            settings_of(config, kind).shape_teachers,
        )
        for kind in KINDS
    }


def side_by_side(teachers: list, method, making, worth: float) -> list:
    """Students of all teachers, in the shapes that a zoo would have.

    Args:
      teachers: the teachers.
      method: the kind of student.
      making: what is asked for.
      worth: as in `shapes.plan`.
    """
    from tracrlab.students.making import make
    from tracrlab.students.shapes import plan

    shapes = plan([_shape(teacher, method) for teacher in teachers], worth)
    students = []
    for shape in sorted(set(shapes), key=lambda shape: shape.numbers):
        group = [one for one, own in zip(teachers, shapes, strict=True) if own == shape]
        students += make(group, shape, method, making)
    return students


def one_at_a_time(teachers: list, students: dict, method, making) -> None:
    """The same models as a plain loop over them makes them: by training alone.

    Each from the same start, with the same loss and for as many steps as its student took, but in
    its own exact sizes: its update is compiled for it, and called step by step. Where the student
    was solved for, the loop trains all weights until its own is right, for at most 800 steps.
    """
    from tracrlab.students.refining import Refinement

    for teacher in teachers:
        student = students[teacher.id]
        own = method.teacher(teacher)
        first = min(student.steps, making.training.steps) if student.refined else student.steps
        parameters = _trained_alone(own, method, making.training, first)
        if student.refined:
            second = Refinement(method, {teacher.id: parameters})
            steps = student.steps - first or STEPS_OF_ALL_WEIGHTS
            _trained_alone(own, second, making.refinement, steps)


def _trained_alone(teacher, method, training, steps: int) -> dict:
    """Parameters after a number of steps, or from when a refinement is right."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from tracrlab.compiler.verification import verify
    from tracrlab.students.making import all_inputs
    from tracrlab.students.refining import Refinement
    from tracrlab.students.stepping import B1, B2, loss_of, rate_of
    from tracrlab.students.transformer import embed, run

    settings = replace(training, trained=method.trained, steps=max(training.steps, steps))
    shape = _exact_shape(teacher, method)
    refines = isinstance(method, Refinement)
    job = method.training_job(teacher, shape) if refines else method.job(teacher, shape)
    inputs = all_inputs(teacher)
    right_weights = jax.tree.map(jnp.asarray, job.teacher)
    optimizer = optax.chain(
        optax.clip_by_global_norm(settings.clip), optax.adam(rate_of(settings), B1, B2)
    )

    @jax.jit
    def update(parameters, state, codes, lengths):
        embedded = embed(right_weights, codes)
        right = run(right_weights, embedded, lengths, causal=inputs.causal)
        _, gradient = jax.value_and_grad(loss_of)(
            parameters,
            right_weights,
            np.float32(job.tolerance),
            (codes, lengths, right),
            jax.random.key(0),
            settings,
            inputs.causal,
        )
        change, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, change), state

    parameters = jax.tree.map(jnp.asarray, job.parameters)
    state = optimizer.init(parameters)
    rng = np.random.default_rng(teacher.id)
    for step in range(steps):
        rows = rng.integers(len(inputs.codes), size=settings.batch)
        parameters, state = update(parameters, state, inputs.codes[rows], inputs.lengths[rows])
        if refines and (step + 1) % settings.chunk == 0:
            found, _ = method.finished(teacher, jax.tree.map(np.asarray, parameters))
            if verify(teacher.read_as(found), teacher.table).passed:
                break
    return {name: np.asarray(value) for name, value in parameters.items()}


def _exact_shape(teacher, method):
    """The sizes of a teacher and of its student, without padding."""
    from tracrlab.students.shapes import Shape
    from tracrlab.students.stacking import Bucket

    own = teacher.model.architecture
    student = method.student_architecture(own)

    def bucket(sizes):
        largest = {
            name: max(1, *(getattr(layer, name) for layer in sizes.layers))
            for name in ("heads", "key_size", "value_size", "mlp_hidden")
        }
        return Bucket(
            symbols=len(sizes.input_symbols),
            positions=sizes.max_seq_len + 1,
            layers=len(sizes.layers),
            d_model=sizes.d_model,
            outputs=sizes.output_size,
            width=student.d_model,
            causal=sizes.causal,
            **largest,
        )

    return Shape(bucket(own), bucket(student))


def _shape(teacher, method):
    from tracrlab.students.shapes import Shape

    own = teacher.model.architecture
    return Shape.of(own, method.student_architecture(own))


def main() -> None:
    """Prints the table."""
    # The threads of XLA and of numpy: a job of the workflow has one.
    os.environ |= {"NPROC": "1", "OMP_NUM_THREADS": "1"}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=192)
    parser.add_argument("--alone", type=int, default=6, help="models of the one-at-a-time loop")
    parser.add_argument("--ops", type=int, nargs=2, default=[4, 6])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    options = parser.parse_args()
    fewest, most = options.ops
    teachers = sampled_teachers(options.models, fewest, most)
    print(f"{options.models} programs of {fewest} to {most} ops, on {machine()}\n")
    print(
        "| students | past the gate | of them refined | exact | of them refined "
        "| core-seconds attempted | accepted | mean steps | one at a time, attempted |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for kind in options.kinds:
        for part in _line(kind, teachers, options.alone):
            print(part, end="", flush=True)


def _line(kind: str, teachers: list, alone: int) -> Iterator[str]:
    """A row of the table, the loop's cell apart."""
    method, making, worth = methods()[kind]
    seconds, students = cpu_seconds(lambda: side_by_side(teachers, method, making, worth))
    count = len(students)
    accepted = [student for student in students if not student.refusal]
    exact = [student for student in students if student.exact]
    yield (
        f"| {kind} | {len(accepted) / count:.1%} "
        f"| {sum(student.refined for student in accepted) / count:.1%} "
        f"| {len(exact) / count:.1%} | {sum(student.refined for student in exact) / count:.1%} "
        f"| {seconds / count:.2f} | {seconds / max(len(accepted), 1):.2f} "
        f"| {sum(student.steps for student in students) / count:.0f} "
    )
    few = teachers[:: -(-len(teachers) // max(alone, 1))][:alone]
    by_id = {student.id: student for student in students}
    loop, _ = cpu_seconds(lambda: one_at_a_time(few, by_id, method, making))
    each = loop / max(len(few), 1)
    beside = f"{each:.1f}, {each / (seconds / count):.1f} times" if few else "not run"
    yield f"| {beside} |\n"


if __name__ == "__main__":
    main()
