"""Refinement: from W alone to weights that are all trained."""

from dataclasses import replace

import numpy as np
import pytest

from tests.students.conftest import teachers
from tracrlab.compiler.forward import forward
from tracrlab.students.checkpoints import Checkpoint
from tracrlab.students.compressing import Compression
from tracrlab.students.enlarging import balanced, enlarged
from tracrlab.students.folding import fold
from tracrlab.students.making import Making, all_inputs, make
from tracrlab.students.refining import Refinement
from tracrlab.students.shapes import Shape
from tracrlab.students.stepping import student_weights
from tracrlab.students.training import TrainingSettings
from tracrlab.students.transformer import embed, run

TRAINING = TrainingSettings(steps=20, chunk=20, lanes=2, batch=16, pool=64)
REFINEMENT = replace(TRAINING, steps=160)
COMPRESSION = Compression(0.5, "random", refined=True)
#: So narrow that one of the three, or two, have no solution and are trained.
NARROW = Compression(0.15, "random", refined=True)


def shape_of(chosen, method=COMPRESSION):
    shapes = [
        Shape.of(own, method.student_architecture(own))
        for own in (one.model.architecture for one in chosen)
    ]
    shape = shapes[0]
    for other in shapes[1:]:
        shape = shape.union(other)
    return shape


def made(refinement=REFINEMENT, checkpoint=None, method=COMPRESSION):
    chosen = teachers(3)
    making = Making(TRAINING, refinement=refinement)
    return list(make(chosen, shape_of(chosen, method), method, making, checkpoint))


def in_id_order(students):
    return sorted(students, key=lambda student: student.id)


@pytest.fixture(scope="module")
def alone():
    return in_id_order(made(None))


@pytest.fixture(scope="module")
def refined():
    return in_id_order(made())


def test_training_starts_at_the_function_of_w_alone():
    chosen = teachers(3)
    inputs = all_inputs(chosen[0])
    visible = np.arange(inputs.codes.shape[1]) < inputs.lengths[:, None]
    for one in chosen:
        start = COMPRESSION.job(one, shape_of(chosen)).parameters
        folded, readout = COMPRESSION.finished(one, start)
        method = Refinement(COMPRESSION, {one.id: start})
        weights, same = method.folded(one)
        architecture = method.student_architecture(one.model.architecture)
        assert {name: value.shape for name, value in weights.items()} == dict(architecture.shapes)
        given = forward(architecture, weights, inputs.codes, inputs.lengths)[visible]
        wanted = folded.logits(inputs.codes, inputs.lengths)[visible]
        assert given == pytest.approx(wanted, abs=1e-4 * max(1, float(np.abs(wanted).max())))
        assert same == pytest.approx(readout)


@pytest.mark.parametrize("wrong", [0.0, 0.25])
def test_a_solution_is_the_start_only_where_it_is_right(wrong, monkeypatch):
    one = teachers(1)[0]
    shape, inputs = shape_of([one]), all_inputs(one)
    method = Refinement(COMPRESSION, {0: COMPRESSION.job(one, shape).parameters})
    found = replace(method.solution(one), wrong=wrong)
    monkeypatch.setattr(method, "solution", lambda teacher: found)
    job = method.job(one, shape)
    weights = student_weights(job.parameters, job.teacher, method.trained)
    logits = run(weights, embed(weights, inputs.codes), inputs.lengths, causal=inputs.causal).logits
    start = method.folded(one)[0] if wrong else found.weights
    architecture = method.student_architecture(one.model.architecture)
    wanted = forward(architecture, start, inputs.codes, inputs.lengths)
    visible = np.arange(inputs.codes.shape[1]) < inputs.lengths[:, None]
    given = np.asarray(logits)[..., : wanted.shape[-1]]
    close = 1e-4 * max(1, float(np.abs(wanted[visible]).max()))
    assert given[visible] == pytest.approx(wanted[visible], abs=close)


def test_balancing_makes_the_two_sides_equal_and_changes_no_output():
    one = teachers(1)[0]
    rng = np.random.default_rng(0)
    width = one.model.architecture.d_model
    model = fold(one.model, rng.normal(size=(width, width // 2)).astype(np.float32) / 3)
    even = balanced(model)
    inputs = all_inputs(one)
    wanted = model.logits(inputs.codes, inputs.lengths)
    given = even.logits(inputs.codes, inputs.lengths)
    assert given == pytest.approx(wanted, abs=1e-3 * float(np.abs(wanted).max()))
    for name, matrix in even.weights.items():
        if name.endswith("/linear_1"):
            inward = np.linalg.norm(matrix, axis=0)
            outward = np.linalg.norm(even.weights[name[:-1] + "2"], axis=1)
            used = (inward > 0) & (outward > 0)
            assert used.any()
            assert inward[used] == pytest.approx(outward[used], rel=1e-3)
        if name.endswith("/query"):
            queries = np.linalg.norm(matrix, axis=0)
            keys = np.linalg.norm(even.weights[name.replace("query", "key")], axis=0)
            used = (queries > 0) & (keys > 0)
            assert queries[used] == pytest.approx(keys[used], rel=1e-3)


def test_what_is_added_reads_and_does_not_write():
    one = teachers(1)[0]
    to = COMPRESSION.student_architecture(one.model.architecture)
    small = fold(one.model, np.eye(one.model.architecture.d_model, to.d_model))
    large = enlarged(small, to, np.random.default_rng(0))
    assert {name: value.shape for name, value in large.items()} == dict(to.shapes)
    for number, (own, layer) in enumerate(zip(small.architecture.layers, to.layers, strict=True)):
        first = large[f"layer_{number}/mlp/linear_1"][:, own.mlp_hidden :]
        second = large[f"layer_{number}/mlp/linear_2"][own.mlp_hidden :]
        assert layer.mlp_hidden == 32
        assert (first != 0).all()
        assert (second == 0).all()


def test_only_what_w_alone_leaves_is_refined_and_only_for_the_better(alone, refined):
    assert [one.id for one in refined] == [one.id for one in alone] == [0, 1, 2]
    assert any(one.refined for one in refined)
    for before, after in zip(alone, refined, strict=True):
        assert not before.refined
        if after.refined:
            assert after.rank > before.rank
            assert before.steps <= after.steps <= before.steps + REFINEMENT.steps
            assert after.outcome in ("exact_refined", "accepted_refined")
        else:
            assert after.steps == before.steps
            for name, value in before.model.weights.items():
                assert np.array_equal(after.model.weights[name], value)


def test_an_exact_start_is_not_refined():
    (student,) = [one for one in made(method=Compression(1.0, refined=True)) if one.id == 0]
    assert student.exact
    assert not student.refined
    assert student.outcome == "exact"


@pytest.fixture(scope="module")
def narrow():
    return in_id_order(made(method=NARROW))


def test_what_solving_leaves_is_trained_and_may_be_refused(narrow):
    one = teachers(2)[1]
    start = NARROW.job(one, shape_of([one], NARROW)).parameters
    assert Refinement(NARROW, {1: start}).solution(one).wrong > 0
    first, left, third = narrow
    assert (first.exact, first.refined, first.steps) == (True, True, TRAINING.steps)
    assert third.refined
    assert left.refusal


def test_without_steps_what_solving_leaves_is_not_trained(narrow):
    """The same students where solving makes them exact, and the nearest to right of the others."""
    for solved, trained in zip(
        in_id_order(made(replace(TRAINING, steps=0), method=NARROW)), narrow, strict=True
    ):
        assert solved.steps == TRAINING.steps
        assert solved.exact or solved.rank <= trained.rank
        if trained.steps == TRAINING.steps:
            assert (solved.exact, solved.refined) == (trained.exact, trained.refined)
            for name, value in trained.model.weights.items():
                assert np.array_equal(solved.model.weights[name], value), name


@pytest.mark.parametrize("chunks", [1, 4, 6])
def test_a_job_that_is_killed_in_either_training_ends_as_if_it_had_not_been(
    narrow, tmp_path, chunks
):
    path, looks = tmp_path / "state", 0

    def kept():
        """The checkpoint, which writes after each chunk, and kills the job after some."""
        checkpoint = Checkpoint(path, "settings")
        for one in (checkpoint, checkpoint.of_refinement()):

            def after_chunk(lanes, one=one):
                nonlocal looks
                looks += 1
                one.write(lanes)
                if looks == chunks:
                    raise KeyboardInterrupt

            one.after_chunk = after_chunk
        return checkpoint

    with pytest.raises(KeyboardInterrupt):
        made(checkpoint=kept(), method=NARROW)
    assert (tmp_path / "state.refinement").exists() == (chunks > 2)
    checkpoint = Checkpoint(path, "settings")
    resumed = in_id_order(made(checkpoint=checkpoint, method=NARROW))
    for student, whole in zip(resumed, narrow, strict=True):
        assert (student.steps, student.refined) == (whole.steps, whole.refined)
        for name, value in student.model.weights.items():
            assert np.array_equal(value, whole.model.weights[name]), name
    checkpoint.remove()
    assert not list(tmp_path.iterdir())
