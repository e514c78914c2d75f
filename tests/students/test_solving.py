"""Students by least squares."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad

from tests.students.conftest import teachers
from tracrlab.compiler.verification import verify
from tracrlab.students import solving
from tracrlab.students.compressing import Compression
from tracrlab.students.initialisation import ReadError, from_data, random_orthogonal
from tracrlab.students.making import all_inputs
from tracrlab.students.sizes import uniform, width_of
from tracrlab.students.solving import (
    free_read_error,
    free_reading,
    solved,
)
from tracrlab.students.student import judge


def start_of(one, ratio=0.5):
    """A compression from data, and the sizes of a student."""
    width = width_of(ratio, one.model.architecture.d_model)
    write, _ = from_data(one.model, one.table, width)
    return write, uniform(one.model.architecture, width)


def student_of(one, architecture, solution):
    weights = solution.weights
    model = replace(one.model, architecture=architecture, weights=weights, labels=())
    return one.read_as(model)


@pytest.fixture(scope="module")
def chosen():
    compression = Compression(0.5)
    return [compression.teacher(one) for one in teachers(12)]


def test_most_students_that_w_alone_does_not_make_are_solved(chosen):
    """Nearly all are right on every input, and pass the gate, without a step of training."""
    right = 0
    for one in chosen:
        write, architecture = start_of(one)
        solution = solved(one, write, architecture, np.random.default_rng(0))
        student = student_of(one, architecture, solution)
        exact = verify(student, one.table, None).passed
        assert exact == (solution.wrong == 0)
        judged = judge(one, student, solution.readout, all_inputs(one), steps=0)
        right += judged.exact and not judged.refusal
    assert right >= 10


def test_a_solution_is_a_function_of_its_generator(chosen):
    write, architecture = start_of(chosen[0])
    first, second = (
        solved(chosen[0], write, architecture, np.random.default_rng(3)) for _ in range(2)
    )
    assert first.wrong == second.wrong
    for name, value in first.weights.items():
        assert np.array_equal(value, second.weights[name])


def test_weights_have_the_student_s_sizes(chosen):
    for one in chosen[:3]:
        write, architecture = start_of(one)
        solution = solved(one, write, architecture, np.random.default_rng(0))
        sizes = {name: value.shape for name, value in solution.weights.items()}
        assert sizes == dict(architecture.shapes)
        assert solution.readout.shape == (write.shape[1], write.shape[0])


def test_what_is_wrong_is_solved_again(chosen, monkeypatch):
    """On few inputs one solution gets more students wrong than several that learn from the last."""
    monkeypatch.setattr(solving, "FIRST_INPUTS", 8)
    shares = {}
    for rounds in (1, 8):
        monkeypatch.setattr(solving, "ROUNDS", rounds)
        found = [solved(one, *start_of(one), np.random.default_rng(0)).wrong for one in chosen]
        shares[rounds] = np.count_nonzero(found)
    assert shares[8] < shares[1]


def plain_error(error, compression):
    """Each read by itself, by a pseudo-inverse: what is lost of x R where x W is what is left."""
    total = 0.0
    for streams, readers in zip(error.streams, error.readers, strict=True):
        kept = compression.T @ streams @ compression
        map_back = np.linalg.pinv(kept) @ compression.T @ streams
        total += np.trace(readers @ (streams - streams @ compression @ map_back))
    return total


def test_the_error_of_free_reads_is_that_of_a_plain_loop(chosen):
    rng = np.random.default_rng(0)
    for one in chosen[:4]:
        error = ReadError.of(one.model, one.table)
        write = random_orthogonal(len(error.streams[0]), 5, rng).astype(np.float64)
        lost, _ = free_read_error(error, write)
        assert lost == pytest.approx(plain_error(error, write), rel=1e-3, abs=1e-4)
        # Any invertible map of the stream can be undone by who reads it.
        turned = write @ rng.normal(size=(5, 5))
        assert free_read_error(error, turned)[0] == pytest.approx(lost, rel=1e-2, abs=1e-3)


def test_the_gradient_of_the_error_is_its_gradient(chosen):
    error = ReadError.of(chosen[0].model, chosen[0].table)
    shape = (len(error.streams[0]), 5)

    def value(flat):
        return free_read_error(error, flat.reshape(shape))[0]

    def gradient(flat):
        return free_read_error(error, flat.reshape(shape))[1].ravel()

    point = random_orthogonal(*shape, np.random.default_rng(0)).astype(np.float64).ravel()
    size = np.linalg.norm(gradient(point))
    assert check_grad(value, gradient, point, epsilon=1e-6) < 1e-3 * size


def test_free_reads_lose_no_more_than_tied_ones(chosen):
    for one in chosen:
        error = ReadError.of(one.model, one.table)
        width = width_of(0.5, len(error.streams[0]))
        write = random_orthogonal(len(error.streams[0]), width, np.random.default_rng(one.id))
        free = free_reading(error, write)
        assert free.T @ free == pytest.approx(np.eye(width), abs=1e-5)
        write, free = write.astype(np.float64), free.astype(np.float64)
        before, after = (free_read_error(error, each)[0] for each in (write, free))
        all_that_is_read = np.vdot(error.readers, error.streams)
        assert after <= before * 1.001
        assert after < before / 2 or after < 1e-5 * all_that_is_read
        assert before <= error(write)[0]
