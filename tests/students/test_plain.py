"""Models run without padding, against the compiled programs."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from tests.students.conftest import teacher, teachers
from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.verification import verify
from tracrlab.students import plain
from tracrlab.students.compressing import Compression
from tracrlab.students.making import all_inputs
from tracrlab.students.marks import RIGHT, SURE, UNSURE, WRONG, Wanted
from tracrlab.students.natural import Natural
from tracrlab.students.shapes import Shape
from tracrlab.students.stepping import compiled, look, student_weights, targets
from tracrlab.students.student import Teacher
from tracrlab.students.transformer import Outputs

METHODS = [Compression(0.5), Natural(0.5)]
#: Of both kinds of outputs, and a causal one; all padded to one shape.
TEACHERS = [*teachers(6), Teacher(6, *teacher(6, causal=True))]


@pytest.fixture(params=METHODS, ids=lambda method: method.trained)
def jobs(request):
    shapes = []
    for one in TEACHERS:
        own = one.model.architecture
        shapes.append(Shape.of(own, request.param.student_architecture(own)))
    largest = shapes[0]
    for shape in shapes:
        largest = largest.union(shape)
    return [(one, request.param, request.param.job(one, largest)) for one in TEACHERS]


def stacked(arrays):
    return {name: value[None] for name, value in arrays.items()}


def test_both_kinds_of_outputs_are_among_them():
    assert {one.model.output_encoding for one in TEACHERS} == {"categorical", "numerical"}


def test_targets_are_those_of_the_compiled_program(jobs):
    for one, _, job in jobs:
        inputs = all_inputs(one)
        count = len(inputs.codes)
        with_room = plain.targets(job, inputs.codes, inputs.lengths, count + 3)
        assert with_room.logits.shape[0] == with_room.blocks.shape[1] == count + 3
        given = Outputs(with_room.logits[:count], with_room.blocks[:, :count])
        arrays = inputs.codes[None], inputs.lengths[None]
        wanted = compiled(targets)(stacked(job.teacher), *arrays, inputs.causal)
        visible = np.arange(inputs.codes.shape[1]) < inputs.lengths[:, None]
        for mine, other in zip(given, wanted, strict=True):
            there = np.asarray(other)[0][..., visible, :]
            assert mine.shape == other.shape[1:]
            close = 1e-5 * max(1, float(np.abs(there).max()))
            assert mine[..., visible, :] == pytest.approx(there, abs=close)


def compiled_look(method, job, inputs):
    weights = student_weights(job.parameters, job.teacher, method.trained)
    weights.pop("readout")
    found, bad = compiled(look)(
        stacked(weights),
        inputs.codes[None],
        inputs.lengths[None],
        Wanted(*(part[None] for part in job.wanted)),
        np.array([job.tolerance > 0]),
        inputs.causal,
    )
    return np.asarray(found)[0], int(bad[0])


def look_at(job, inputs, model=None):
    model = model or job.plain(job.parameters)
    return plain.look(model, inputs.codes, inputs.lengths, job.wanted, job.tolerance > 0)


def test_a_look_finds_what_the_compiled_program_finds(jobs):
    shares = []
    for one, method, job in jobs:
        inputs = all_inputs(one)
        marks, bad = compiled_look(method, job, inputs)
        found = look_at(job, inputs)
        assert found.bad == bad
        assert np.array_equal(found.marks, marks)
        shares.append((found.marks == WRONG).mean())
    assert max(shares) > 0, "some are wrong"
    if method.trained == "compression":
        assert min(shares) < 1, "and some are right"


def test_a_look_says_of_every_input_what_verification_says(jobs):
    """Of models that are right, that are nearly right, and that are wrong."""
    rng, seen = np.random.default_rng(0), set()
    for one, _, job in jobs:
        inputs = all_inputs(one)
        for noise in (0.0, 0.003, 0.01, 0.03, 0.1, 0.3):
            weights = {
                name: value * (1 + noise * rng.normal(size=value.shape).astype(np.float32))
                for name, value in one.model.weights.items()
            }
            model = one.read_as(replace(one.model, weights=weights))
            result, found = verify(model, one.table, None), look_at(job, inputs, model)
            assert np.count_nonzero(found.marks == WRONG) == result.mismatches
            assert found.bad == result.wrong_positions
            assert found.error == pytest.approx(result.max_error, rel=1e-4, abs=1e-5)
            if found.error < SURE / 2 * min(1, 2 * job.tolerance or 1):
                assert (found.marks == RIGHT).all(), "nothing is further off than is sure"
            seen.update(found.marks.tolist())
    assert seen == {RIGHT, UNSURE, WRONG}


def test_nearly_wrong_numbers_are_unsure():
    """Numbers 0, 1 and 3 are read as the nearest, and counted as unsure from 0.7 of the way."""
    wanted = Wanted(
        *(np.array([part], np.float32) for part in ([0, 1, 3], [np.inf, 0.5, 1], [0.5, 1, np.inf]))
    )
    marks = {}
    for off in (-0.6, -0.4, -0.3, 0.0, 0.3, 0.4, 0.6, 1.1):
        numbers = np.array([0, 1, 3], np.float32) + np.float32(off)
        each = []
        for place in range(3):
            logits = np.array([0, 1, 3], np.float32)
            logits[place] = numbers[place]
            each.append(int(look_at_numbers(logits, wanted).marks[0]))
        marks[off] = each
    assert marks == {
        -0.6: [UNSURE, WRONG, UNSURE],
        -0.4: [UNSURE, UNSURE, UNSURE],
        -0.3: [RIGHT, RIGHT, RIGHT],
        0.0: [RIGHT, RIGHT, RIGHT],
        0.3: [RIGHT, RIGHT, RIGHT],
        0.4: [UNSURE, UNSURE, UNSURE],
        0.6: [WRONG, UNSURE, UNSURE],
        1.1: [WRONG, WRONG, UNSURE],
    }


def look_at_numbers(numbers, wanted):
    """A look at a model without layers that says given numbers at its positions."""
    architecture = Architecture(
        input_symbols=("a", "bos"), max_seq_len=3, d_model=1, layers=(), output_size=1, causal=False
    )
    weights = {
        "token_embed": np.zeros((2, 1), np.float32),
        "pos_embed": np.array([[0], *([number] for number in numbers)], np.float32),
        "unembed": np.ones((1, 1), np.float32),
    }
    model = replace(TEACHERS[0].model, architecture=architecture, weights=weights, labels=())
    return plain.look(model, np.array([[1, 0, 0, 0]]), np.array([4]), wanted, True)


def test_a_model_that_leaves_the_numbers_is_wrong_and_nothing_is_said(jobs):
    one, _, job = jobs[0]
    inputs = all_inputs(one)
    parameters = {name: value * np.float32(1e30) for name, value in job.parameters.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = look_at(job, inputs, job.plain(parameters))
    assert (found.marks == WRONG).any()
