"""Students from start to verdict."""

import math
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from tests.students.conftest import teacher, teachers
from tracrlab.checkpoint_files import previous_of, remove_checkpoint
from tracrlab.compiler import verify
from tracrlab.compiler.architecture import Layer
from tracrlab.compiler.verification import Verification
from tracrlab.errors import TracrLabError
from tracrlab.students import making as making_module
from tracrlab.students import student as student_module
from tracrlab.students.checkpoints import Checkpoint
from tracrlab.students.compressing import Compression
from tracrlab.students.making import Making, make
from tracrlab.students.natural import Natural
from tracrlab.students.shapes import Shape, plan
from tracrlab.students.sizes import LEAST_HEAD, LEAST_MLP, width_of
from tracrlab.students.student import Student
from tracrlab.students.training import TrainingSettings

TRAINING = TrainingSettings(steps=60, chunk=20, lanes=2, batch=16, pool=64)


def shape_of(method, chosen):
    shapes = [
        Shape.of(one.model.architecture, method.student_architecture(one.model.architecture))
        for one in chosen
    ]
    return plan(shapes, math.inf)[0]


def made(method, count=4, training=TRAINING, checkpoint=None, **options):
    chosen = teachers(count)
    making = Making(training, **options)
    return list(make(chosen, shape_of(method, chosen), method, making, checkpoint))


def test_compression_gives_every_teacher_a_student():
    students = {student.id: student for student in made(Compression(0.9))}
    assert set(students) == set(range(4))
    for index, student in students.items():
        model, table = teacher(index)
        assert student.model.architecture.d_model == np.ceil(0.9 * model.architecture.d_model)
        result = verify(student.model, table, None)
        assert student.accuracy == result.accuracy
        assert student.exact == result.passed
    assert sum(student.exact for student in students.values()) >= 3
    assert any(student.steps == 0 for student in students.values()), "exact from the data"


@pytest.mark.parametrize(
    ("gate", "within_reach", "steps"), [(0.9, 0.0, 60), (0.9, 1.0, 40), (0.0, 0.0, 40)]
)
def test_another_cycle_for_what_comes_near_the_gate(gate, within_reach, steps, monkeypatch):
    """Not for what passes it, and not for what is far from it."""
    monkeypatch.setattr(making_module, "WITHIN_REACH", within_reach)
    monkeypatch.setattr(student_module, "GATE_ACCURACY", gate)
    monkeypatch.setattr(student_module, "GATE_LOSS", 0.05 if gate else math.inf)
    training = replace(TRAINING, steps=40, cycles=2, extra_cycles=1, learning_rate=1e-6)
    for one in made(Natural(), training=training):
        assert one.steps == steps
        assert bool(one.refusal) == (gate > 0)


def test_a_verdict_from_the_last_look_is_that_of_a_verification():
    """A student that leaves right has been run on all inputs; it is not run on them again."""
    training = replace(TRAINING, steps=600, chunk=50, lanes=1, batch=32, pool=256)
    exact = 0
    for one in made(Natural(), training=training):
        result = verify(one.model, teacher(one.id)[1], None)
        assert one.exact == result.passed
        assert one.accuracy == pytest.approx(result.accuracy)
        assert one.verification.inputs == result.inputs
        assert one.verification.positions == result.positions
        assert one.verification.max_error == pytest.approx(result.max_error, rel=1e-3)
        exact += one.exact
    assert exact >= 3


def test_natural_students_learn_their_programs():
    training = replace(TRAINING, steps=600, chunk=50, lanes=4, batch=32, pool=256)
    students = made(Natural(), training=training)
    assert sum(student.exact for student in students) >= 3
    assert all(not student.refusal for student in students if student.exact)
    for student in students:
        own = teacher(student.id)[0].architecture.d_model
        assert student.readout.shape == (student.model.architecture.d_model, own)
        assert student.model.labels == ()


def test_the_architecture_of_a_natural_student_is_uniform():
    architecture = teacher(1)[0].architecture
    student = Natural(0.5).student_architecture(architecture)
    (layer,) = set(student.layers)
    assert len(student.layers) == len(architecture.layers)
    assert layer.mlp_hidden == max(LEAST_MLP, *(one.mlp_hidden for one in architecture.layers))
    assert layer.heads == max(one.heads for one in architecture.layers)
    assert layer.key_size >= LEAST_HEAD
    without = replace(architecture, layers=(Layer(0, 0, 0, 5),))
    assert Natural().student_architecture(without).layers == (Layer(0, 0, 0, LEAST_MLP),)


def test_snapshots_are_the_same_model_trained_on():
    gentle = replace(TRAINING, learning_rate=1e-4)
    students = made(Compression(0.95), count=2, training=gentle, snapshots=2)
    by_id = {index: [one for one in students if one.id == index] for index in range(2)}
    for group in by_id.values():
        assert [one.snapshot for one in group] == list(range(len(group)))
        steps = [one.steps for one in group]
        assert steps == sorted(set(steps))
    assert any(len(group) == 3 for group in by_id.values())


def test_a_rotation_changes_the_weights_and_not_the_verdict():
    plain = {one.id: one for one in made(Compression(0.9), count=3)}
    turned = {one.id: one for one in made(Compression(0.9), count=3, rotate=True)}
    for id_, student in plain.items():
        assert turned[id_].accuracy == student.accuracy
        name = "unembed"
        assert not np.allclose(turned[id_].model.weights[name], student.model.weights[name])


def test_noise_moves_the_start():
    chosen = teachers(1)[0]
    method = Compression(0.8)
    shape = shape_of(method, [chosen])
    start = method.job(chosen, shape).parameters["write"]
    noisy = Compression(0.8, noise=0.1).job(chosen, shape).parameters["write"]
    assert (noisy - start)[start != 0].std() == pytest.approx(
        0.1 * start[start != 0].std(), rel=0.3
    )
    assert (noisy[start == 0] == 0).all()


def test_a_killed_job_goes_on_from_its_checkpoint(tmp_path):
    """Whatever was done when it was killed, students come out as if it had not been."""
    whole = {one.id: one for one in made(Compression(0.7, "random"))}
    path = tmp_path / "state"
    for chunks in (1, 2, 4):
        remove_checkpoint(path)
        checkpoint = Checkpoint(path, "settings")
        looks = 0

        def after_chunk(lanes, checkpoint=checkpoint, chunks=chunks):
            nonlocal looks
            looks += 1
            checkpoint.write(lanes)
            if looks == chunks:
                raise KeyboardInterrupt

        checkpoint.after_chunk = after_chunk
        with pytest.raises(KeyboardInterrupt):
            made(Compression(0.7, "random"), checkpoint=checkpoint)
        resumed = made(Compression(0.7, "random"), checkpoint=Checkpoint(path, "settings"))
        assert sorted(one.id for one in resumed) == sorted(whole)
        for student in resumed:
            assert student.steps == whole[student.id].steps
            for name, value in student.model.weights.items():
                assert np.array_equal(value, whole[student.id].model.weights[name])


def test_a_checkpoint_of_other_settings_is_not_used_and_a_damaged_one_is_named(tmp_path):
    path = tmp_path / "state"
    checkpoint = Checkpoint(path, "settings")
    made(Compression(0.7, "random"), count=2, checkpoint=checkpoint)
    checkpoint.write([])
    assert Checkpoint(path, "settings").given
    assert not Checkpoint(path, "other settings").given
    for kept in (path, previous_of(path)):
        kept.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TracrLabError, match=r"state is damaged .*delete it to begin again"):
        Checkpoint(path, "settings")


def test_the_gate():
    def student(wrong, loss):
        result = Verification(10, int(wrong > 0), 0.0, "", 100, wrong)
        return Student(0, teacher(0)[0], np.eye(2), result, loss, 0)

    assert student(10, 0.05).refusal == ""
    assert student(11, 0.01).refusal == "accuracy"
    assert student(0, 0.06).refusal == "loss"
    assert student(0, np.nan).refusal == "not_finite"
    assert student(0, 0.06).exact
    assert not student(1, 0.0).exact


def test_numbers_are_read_as_the_nearest_that_the_program_gives():
    numerical = next(one for one in teachers(40) if one.model.output_encoding == "numerical")
    values = sorted(set(numerical.table.output.values))
    model = numerical.read_as(numerical.model)
    assert model.output_values == tuple(values)
    gap = min(1.0, float(np.diff(values).min()))
    assert numerical.tolerance == pytest.approx(gap / 2)
    shifted = np.array(values) + 0.4 * gap
    assert model.snap(shifted) == pytest.approx(np.array(values))
    assert numerical.model.snap(shifted) == pytest.approx(shifted), "a compiled model's are as is"


@pytest.mark.parametrize("ratio", [0.0, -1, 1.5, 0.01, float("nan")])
def test_a_ratio_that_leaves_no_dimension(ratio):
    with pytest.raises(TracrLabError, match=r"leaves no dimension of 20; give one from 0\.05 to 1"):
        width_of(ratio, 20)


def test_widths():
    assert [width_of(0.5, 20), width_of(0.5, 21), width_of(1.0, 7)] == [10, 11, 7]


def test_a_start_that_is_none():
    with pytest.raises(TracrLabError, match="'pca' is not a start; they are data, random"):
        Compression(start="pca")


def test_shapes_are_merged_while_that_costs_less_than_compiling():
    method = Natural()
    shapes = [
        Shape.of(one.model.architecture, method.student_architecture(one.model.architecture))
        for one in teachers(30)
    ]
    assert plan(shapes, 0) == shapes
    assert len(set(plan(shapes, math.inf))) == 1
    shapes_used = []
    for worth in (0.5, 4, 30):
        planned = plan(shapes, worth)
        assert all(own.union(to) == to for own, to in zip(shapes, planned, strict=True))
        assert all(
            to
            == reduce(
                Shape.union, [own for own, one in zip(shapes, planned, strict=True) if one == to]
            )
            for to in set(planned)
        ), "no shape is larger than those in it need"
        shapes_used.append(len(set(planned)))
    assert shapes_used == sorted(shapes_used, reverse=True)
    assert len(set(shapes)) > shapes_used[-1]
    numbers = shapes[0].numbers
    assert Shape.from_numbers(numbers, causal=False) == shapes[0]


def test_a_large_model_does_not_pad_many_small_ones():
    method = Natural()
    small = [
        Shape.of(one.model.architecture, method.student_architecture(one.model.architecture))
        for one in teachers(1)
    ] * 40
    sizes = np.array(small[0].numbers)
    large = Shape.from_numbers((sizes * 3).tolist(), causal=False)
    slightly = Shape.from_numbers([*sizes[:-1].tolist(), int(sizes[-1]) + 1], causal=False)
    planned = plan([*small, large, slightly], 8)
    assert planned == [slightly] * 40 + [large, slightly]
    assert set(plan([*small, large, slightly], 4000)) == {large}
