"""Training in lanes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.students.conftest import teachers
from tracrlab.compiler import verify
from tracrlab.students.compressing import Compression
from tracrlab.students.making import all_inputs
from tracrlab.students.natural import Natural
from tracrlab.students.shapes import Shape
from tracrlab.students.stepping import student_weights
from tracrlab.students.training import Look, TrainingSettings, _batches, train
from tracrlab.students.transformer import embed, run

SHORT = TrainingSettings(steps=40, chunk=20, lanes=2, batch=16, pool=64)


def jobs_of(method, count):
    chosen = [method.teacher(one) for one in teachers(count)]
    shapes = [
        Shape.of(one.model.architecture, method.student_architecture(one.model.architecture))
        for one in chosen
    ]
    shape = shapes[0]
    for other in shapes:
        shape = shape.union(other)
    return chosen, shape, [method.job(one, shape) for one in chosen], all_inputs(chosen[0])


def trained(jobs, inputs, settings, look=lambda state: Look(give=False, leave=False)):
    return {state.id: state for state in train(jobs, inputs, settings, look)}


METHODS = [Compression(start="random"), Natural()]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.trained)
def test_a_model_trains_the_same_in_any_company(method):
    _, _, jobs, inputs = jobs_of(method, 3)
    settings = replace(SHORT, trained=method.trained)
    together = trained(jobs, inputs, settings)
    alone = trained(jobs[2:], inputs, replace(settings, lanes=1))
    assert set(together) == {0, 1, 2}
    for name, value in alone[2].parameters.items():
        assert together[2].parameters[name] == pytest.approx(value, abs=1e-5), name
        assert not np.allclose(value, jobs[2].parameters[name], atol=1e-3), name


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.trained)
def test_padding_stays_zero(method):
    _, _, jobs, inputs = jobs_of(method, 2)
    for id_, state in trained(jobs, inputs, replace(SHORT, trained=method.trained)).items():
        assert state.steps == 40
        for name, value in state.parameters.items():
            assert (value[jobs[id_].mask[name] == 0] == 0).all(), name


def test_a_model_that_is_not_a_number_leaves_its_neighbours_alone():
    _, _, jobs, inputs = jobs_of(METHODS[0], 2)
    alone = trained(jobs[:1], inputs, SHORT)[0]
    jobs[1].parameters = {"write": np.full_like(jobs[1].parameters["write"], np.nan)}
    together = trained(jobs, inputs, SHORT)
    assert not np.isfinite(together[1].loss)
    assert together[1].steps == 20, "it ends at the first look"
    assert together[0].parameters["write"] == pytest.approx(alone.parameters["write"], abs=1e-5)


def test_a_model_without_hope_leaves_at_its_first_look():
    _, _, jobs, inputs = jobs_of(METHODS[0], 3)
    looked: dict[int, list[float]] = {0: [], 1: [], 2: []}

    def look(state):
        looked[state.id].append(state.accuracy)
        return Look(give=False, leave=False)

    trained(jobs, inputs, SHORT, look)
    assert all(len(accuracies) == 2 for accuracies in looked.values())
    first = sorted(accuracies[0] for accuracies in looked.values())
    between = (first[0] + first[-1]) / 2
    states = trained(jobs, inputs, replace(SHORT, hopeful=between))
    for id_, state in states.items():
        assert state.steps == (20 if looked[id_][0] < between else 40)
    assert {state.steps for state in states.values()} == {20, 40}


def test_training_that_goes_on_from_a_state_ends_as_if_never_stopped():
    _, _, jobs, inputs = jobs_of(METHODS[1], 2)
    settings = replace(SHORT, trained="weights")
    whole = trained(jobs, inputs, settings)
    half = trained(jobs, inputs, settings, lambda state: Look(give=True, leave=True))
    for job in jobs:
        assert half[job.id].steps == 20
        job.state = half[job.id]
    resumed = trained(jobs, inputs, settings)
    for id_, state in whole.items():
        assert resumed[id_].steps == 40
        for name, value in state.parameters.items():
            assert np.array_equal(resumed[id_].parameters[name], value), name


@pytest.mark.parametrize("samples", ["vocabulary", "random", "combined"])
def test_training_lowers_the_loss(samples):
    _, _, jobs, inputs = jobs_of(METHODS[0], 1)
    settings = replace(SHORT, steps=20, samples=samples, lanes=1)
    first = trained(jobs, inputs, settings)[0].loss
    longer = trained(jobs, inputs, replace(settings, steps=300))[0].loss
    assert longer < 0.8 * first


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.trained)
def test_what_training_says_is_wrong_is_what_the_finished_model_gets_wrong(method):
    chosen, _, jobs, inputs = jobs_of(method, 4)
    for id_, state in trained(jobs, inputs, replace(SHORT, trained=method.trained)).items():
        model, _ = method.finished(chosen[id_], state.parameters)
        result = verify(chosen[id_].read_as(model), chosen[id_].table, None)
        if model.output_encoding == "categorical":
            assert state.wrong.sum() == pytest.approx(result.mismatches, abs=1)
            assert state.accuracy == pytest.approx(result.accuracy, abs=1e-2)
        else:  # half the least gap is stricter than the nearest value
            assert state.wrong.sum() >= result.mismatches


def test_w_alone_is_the_folded_teacher():
    method = METHODS[0]
    chosen, _, jobs, inputs = jobs_of(method, 3)
    for one, job in zip(chosen, jobs, strict=True):
        weights = student_weights(job.parameters, job.teacher, "compression")
        model, readout = method.finished(one, job.parameters)
        given = run(weights, embed(weights, inputs.codes), inputs.lengths, causal=inputs.causal)
        wanted = model.logits(inputs.codes, inputs.lengths)
        visible = np.arange(inputs.codes.shape[1]) < inputs.lengths[:, None]
        own = np.asarray(given.logits)[..., : wanted.shape[-1]][visible]
        assert own == pytest.approx(wanted[visible], abs=1e-3 * max(1, float(np.abs(wanted).max())))
        assert readout.shape == (model.architecture.d_model, one.model.architecture.d_model)


def test_half_of_a_pool_is_drawn_from_inputs_that_are_wrong():
    _, _, jobs, inputs = jobs_of(METHODS[0], 1)
    settings = replace(SHORT, pool=4000)
    wrong = np.zeros(1000, bool)
    state = replace(trained(jobs, inputs, SHORT)[0], wrong=wrong)
    drawn = _batches(state, settings)
    assert len(drawn.pool) == 4000
    assert (drawn.pool < 100).mean() == pytest.approx(0.1, abs=0.03)
    assert drawn.pool.max() < 1000
    assert drawn.rows.shape == (20, 16)
    assert drawn.rows.max() < 4000
    wrong[:100] = True
    # Half from the wrong ones, and their tenth of the other half.
    drawn = _batches(state, settings).pool
    assert (drawn < 100).mean() == pytest.approx(0.55, abs=0.03)


def test_looks_run_what_is_wrong_and_reach_every_input():
    _, _, jobs, inputs = jobs_of(METHODS[0], 1)
    settings = replace(SHORT, looked=100)
    wrong = np.zeros(1000, bool)
    wrong[:30] = True
    state = replace(trained(jobs, inputs, SHORT)[0], wrong=wrong)
    reached = np.zeros(1000, bool)
    for number in range(20):
        order = _batches(replace(state, steps=number * settings.chunk), settings).looked
        assert sorted(order) == list(range(1000))
        looked = order[:100]
        assert set(range(30)) <= set(looked.tolist())
        reached[looked] = True
    assert reached.all()
    many = _batches(replace(state, wrong=np.ones(1000, bool)), settings).looked
    assert sorted(many) == list(range(1000))


def test_a_look_at_a_part_changes_what_is_known_of_that_part():
    _, _, jobs, inputs = jobs_of(METHODS[0], 1)
    count = len(inputs.codes)
    at_once = replace(SHORT, looked=count)
    whole = trained(jobs, inputs, at_once, lambda state: Look(give=True, leave=True))[0]
    part = replace(SHORT, looked=count // 3)
    state = trained(jobs, inputs, part, lambda state: Look(give=True, leave=True))[0]
    start = replace(whole, steps=0, wrong=np.zeros(count, bool))
    looked = _batches(start, part).looked[: count // 3]
    unseen = np.setdiff1d(np.arange(count), looked)
    assert (state.wrong[looked] == whole.wrong[looked]).all()
    assert whole.wrong[unseen].any()
    assert not state.wrong[unseen].any()


@pytest.mark.parametrize("looked", [7, 40, 10_000])
def test_a_model_is_said_to_be_right_only_when_all_inputs_are(looked):
    """One input of all is wrong; it is found at whatever place, in blocks of whatever size."""
    method = Compression(1.0)
    chosen, _, jobs, inputs = jobs_of(method, 2)
    job = next(
        job
        for one, job in zip(chosen, jobs, strict=True)
        if one.model.output_encoding == "categorical"
    )
    gentle = replace(SHORT, steps=20, learning_rate=1e-9, looked=looked, lanes=1)
    (state,) = train([job], inputs, gentle, lambda state: Look(give=False, leave=False))
    assert not state.wrong.any()
    assert state.accuracy == 1
    for place in (0, 11, len(inputs.codes) - 1):
        job.wanted = job.wanted.copy()
        job.wanted[place, 0] += 100
        (state,) = train([job], inputs, gentle, lambda state: Look(give=False, leave=False))
        job.wanted[place, 0] -= 100
        assert np.flatnonzero(state.wrong).tolist() == [place]
