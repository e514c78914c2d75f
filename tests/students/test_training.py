"""Training in lanes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.students.conftest import teachers
from tracrlab.compiler import verify
from tracrlab.students import looking
from tracrlab.students.compressing import Compression
from tracrlab.students.making import all_inputs
from tracrlab.students.marks import UNSURE, WRONG
from tracrlab.students.natural import Natural
from tracrlab.students.shapes import Shape
from tracrlab.students.stepping import flat, student_weights
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


def test_a_student_is_the_running_mean_of_what_the_steps_give():
    _, _, jobs, inputs = jobs_of(METHODS[1], 1)
    # The chunks of one step each draw the same inputs with and without the mean.
    settings = replace(SHORT, steps=3, chunk=1, trained="weights", lanes=1)

    def always(state):
        return Look(give=True, leave=False)

    last = list(train(jobs, inputs, settings, always))
    mean = list(train(jobs, inputs, replace(settings, averaging=0.75), always))
    wanted = flat(jobs[0].parameters)
    for plain, averaged in zip(last, mean, strict=True):
        assert flat(plain.parameters) == pytest.approx(plain.walk[0], abs=1e-7)
        wanted = 0.75 * wanted + 0.25 * averaged.walk[0]
        assert flat(averaged.parameters) == pytest.approx(wanted, abs=1e-6)
    first = [states[0].walk[0] for states in (last, mean)]
    assert first[0] == pytest.approx(first[1], abs=1e-7), "the steps are the same"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.trained)
def test_what_training_says_is_wrong_is_what_the_finished_model_gets_wrong(method):
    chosen, _, jobs, inputs = jobs_of(method, 4)
    for id_, state in trained(jobs, inputs, replace(SHORT, trained=method.trained)).items():
        model, _ = method.finished(chosen[id_], state.parameters)
        result = verify(chosen[id_].read_as(model), chosen[id_].table, None)
        assert (state.marks == WRONG).sum() == pytest.approx(result.mismatches, abs=1)
        assert state.accuracy == pytest.approx(result.accuracy, abs=1e-2)


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


def test_half_of_a_pool_is_drawn_from_inputs_that_are_wrong_or_unsure():
    _, _, jobs, inputs = jobs_of(METHODS[0], 1)
    settings = replace(SHORT, pool=4000, batch=200)
    marks = np.zeros(1000, np.int8)
    state = replace(trained(jobs, inputs, SHORT)[0], marks=marks)

    def drawn():
        batches = _batches(state, settings)
        assert len(batches.pool) == 4000
        assert batches.rows.shape == (20, 200)
        assert batches.rows.max() < batches.distinct
        used = batches.pool[: batches.distinct]
        assert len(set(used.tolist())) == batches.distinct, "none has two places"
        assert used.max() < 1000
        return batches.pool[batches.rows]

    assert (drawn() < 100).mean() == pytest.approx(0.1, abs=0.03)
    marks[:100] = WRONG
    # Half from the wrong ones, and their tenth of the other half.
    assert (drawn() < 100).mean() == pytest.approx(0.55, abs=0.03)
    marks[100:200] = UNSURE  # half as often as a wrong one
    chosen = drawn()
    assert (chosen < 100).mean() == pytest.approx(0.5 * 2 / 3 + 0.05, abs=0.03)
    assert ((chosen >= 100) & (chosen < 200)).mean() == pytest.approx(0.5 / 3 + 0.05, abs=0.03)


def test_looks_run_what_is_wrong_and_reach_every_input():
    _, _, jobs, inputs = jobs_of(METHODS[0], 1)
    settings = replace(SHORT, looked=100)
    marks = np.zeros(1000, np.int8)
    marks[:20], marks[20:30] = WRONG, UNSURE
    state = replace(trained(jobs, inputs, SHORT)[0], marks=marks)
    reached = np.zeros(1000, bool)
    for number in range(20):
        order = _batches(replace(state, steps=number * settings.chunk), settings).looked
        assert sorted(order) == list(range(1000))
        looked = order[:100]
        assert set(range(30)) <= set(looked.tolist())
        assert (order[:60:2] < 30).all(), "by turns with others: each part has both"
        reached[looked] = True
    assert reached.all()
    many = _batches(replace(state, marks=np.full(1000, WRONG, np.int8)), settings).looked
    assert sorted(many) == list(range(1000))


def test_a_look_at_a_part_changes_what_is_known_of_that_part():
    """A look ends after `looked` inputs, or before where a quarter of a pool is wrong."""
    _, _, jobs, inputs = jobs_of(METHODS[0], 1)
    count, once = len(inputs.codes), lambda state: Look(give=True, leave=True)
    large = 10 * count  # pool: a quarter of it is never wrong
    whole = trained(jobs, inputs, replace(SHORT, looked=count, pool=large), once)[0]
    start = replace(whole, steps=0, marks=np.zeros(count, np.int8))
    assert (whole.marks == WRONG).sum() > 8
    for part, most in (
        (replace(SHORT, looked=count // 3, pool=large), count // 3),
        (replace(SHORT, looked=8, pool=large), 8),
    ):
        state = trained(jobs, inputs, part, once)[0]
        looked = _batches(start, part).looked[:most]
        unseen = np.setdiff1d(np.arange(count), looked)
        assert (whole.marks[unseen] == WRONG).any()
        assert not (state.marks[unseen]).any()


@pytest.mark.parametrize("pool", [4, 400])
def test_fewer_inputs_are_looked_at_where_many_are_wrong(pool, monkeypatch):
    _, _, jobs, inputs = jobs_of(METHODS[1], 1)
    monkeypatch.setattr(looking, "AT_ONCE", 16)
    settings = replace(SHORT, looked=64, pool=pool, trained="weights", lanes=1)
    (state,) = train(jobs, inputs, settings, lambda state: Look(give=True, leave=True))
    known = np.count_nonzero(state.marks)
    assert known <= 16 if pool == 4 else 48 < known <= 64


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
    assert state.is_right
    assert state.accuracy == 1
    assert 0 <= state.error < 0.5
    wanted = job.wanted
    for place in (0, 11, len(inputs.codes) - 1):
        values = wanted.values.copy()
        values[place, 0] -= 1 if values[place, 0] else -1
        job.wanted = wanted._replace(values=values)
        (state,) = train([job], inputs, gentle, lambda state: Look(give=False, leave=False))
        assert not state.is_right
        assert np.isnan(state.error)
        assert np.flatnonzero(state.marks == WRONG).tolist() == [place]
