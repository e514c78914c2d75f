"""Models run without padding, against the compiled programs."""

import warnings

import numpy as np
import pytest

from tests.students.conftest import teacher, teachers
from tracrlab.students import plain
from tracrlab.students.compressing import Compression
from tracrlab.students.making import all_inputs
from tracrlab.students.natural import Natural
from tracrlab.students.shapes import Shape
from tracrlab.students.stepping import compiled, look, student_weights, targets
from tracrlab.students.student import Teacher

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
        given = plain.targets(job, inputs.codes, inputs.lengths)
        arrays = inputs.codes[None], inputs.lengths[None]
        wanted = compiled(targets)(stacked(job.teacher), *arrays, inputs.causal)
        visible = np.arange(inputs.codes.shape[1]) < inputs.lengths[:, None]
        for mine, other in zip(given, wanted, strict=True):
            there = np.asarray(other)[0][..., visible, :]
            assert mine.shape == other.shape[1:]
            close = 1e-5 * max(1, float(np.abs(there).max()))
            assert mine[..., visible, :] == pytest.approx(there, abs=close)


def test_a_look_finds_what_the_compiled_program_finds(jobs):
    shares = []
    for one, method, job in jobs:
        inputs = all_inputs(one)
        weights = student_weights(job.parameters, job.teacher, method.trained)
        weights.pop("readout")
        found, bad = compiled(look)(
            stacked(weights),
            inputs.codes[None],
            inputs.lengths[None],
            job.wanted[None],
            np.array([job.tolerance], np.float32),
            inputs.causal,
        )
        of_model = plain.look(
            job.plain(job.parameters), inputs.codes, inputs.lengths, job.wanted, job.tolerance
        )
        assert of_model[1] == int(bad[0])
        assert np.array_equal(of_model[0], np.asarray(found)[0])
        shares.append(of_model[0].mean())
    assert max(shares) > 0, "some are wrong"
    if method.trained == "compression":
        assert min(shares) < 1, "and some are right"


def test_a_model_that_leaves_the_numbers_is_wrong_and_nothing_is_said(jobs):
    one, _, job = jobs[0]
    inputs = all_inputs(one)
    parameters = {name: value * np.float32(1e30) for name, value in job.parameters.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = job.plain(parameters)
        found, _ = plain.look(model, inputs.codes, inputs.lengths, job.wanted, job.tolerance)
    assert found.any()
