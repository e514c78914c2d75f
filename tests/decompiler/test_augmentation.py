from dataclasses import replace

import numpy as np
import pytest

from tests.decompiler.models import SETTINGS, compiled, dense, flat
from tracrlab import TracrLabError
from tracrlab.compiler.forward import forward
from tracrlab.compiler.verification import model_inputs
from tracrlab.decompiler.augmentation import (
    FOR_CIRCUITS,
    FOR_COMPILED,
    FOR_DENSE,
    SKEW,
    Augmentation,
    augment,
    rotation,
)
from tracrlab.decompiler.parameter_tokens import encode_tokens
from tracrlab.decompiler.virtual_weights import products


def outputs(model, weights):
    domain = SETTINGS.domain
    codes, lengths = model_inputs(model, domain, np.arange(len(domain.codes)))
    result = forward(model.architecture, model.architecture.unflatten(weights), codes, lengths)
    return result[:, 1:][domain.mask]


KEEP = Augmentation(units=False, residual="keep", inner="keep")
EACH = [
    replace(KEEP, units=True),
    replace(KEEP, residual="permute"),
    replace(KEEP, residual="rotate"),
    replace(KEEP, residual="skew"),
    replace(KEEP, inner="permute"),
    replace(KEEP, inner="rotate"),
    replace(KEEP, scale=1.0),
    replace(KEEP, inner="rotate", scale=1.0),
    FOR_COMPILED,
    FOR_DENSE,
    FOR_CIRCUITS,
]


@pytest.mark.parametrize("augmentation", EACH)
@pytest.mark.parametrize("model", [compiled, dense])
def test_the_function_stays(model, augmentation):
    """In float64, so that what is measured is the change and not the precision of weights."""
    rng = np.random.default_rng(0)
    changed = 0
    for index in range(12):
        one = model(index)
        weights = flat(one).astype(np.float64)
        new = augment(one.architecture, weights, augmentation, rng)
        np.testing.assert_allclose(outputs(one, new), outputs(one, weights), atol=1e-5, rtol=0)
        changed += not np.array_equal(new, weights)
    assert changed >= 6  # a model with one head and one neuron has nothing to exchange


@pytest.mark.parametrize("index", range(24))
def test_what_is_drawn_for_compiled_models_is_exact_in_single_precision(index):
    model = compiled(index)
    new = augment(model.architecture, flat(model), FOR_COMPILED, np.random.default_rng(index))

    assert new.dtype == np.float32
    np.testing.assert_allclose(outputs(model, new), outputs(model, flat(model)), atol=1e-5)


def test_nothing_drawn_is_nothing_changed():
    model = compiled(3)
    new = augment(model.architecture, flat(model), KEEP, np.random.default_rng(0))

    assert np.array_equal(new, flat(model))
    assert new is not flat(model)


def test_draws_are_fresh_and_leave_the_weights_alone():
    model, rng = compiled(3), np.random.default_rng(0)
    weights = flat(model)
    weights.setflags(write=False)
    one, other = (augment(model.architecture, weights, FOR_COMPILED, rng) for _ in range(2))
    again = augment(model.architecture, weights, FOR_COMPILED, np.random.default_rng(0))

    assert not np.array_equal(one, other)
    assert np.array_equal(one, again)
    assert np.array_equal(np.sort(one), np.sort(weights))  # nothing but places changes


def test_a_rotated_stream_leaves_virtual_weights_alone():
    model = compiled(4)
    rotate = replace(KEEP, residual="rotate")
    new = augment(model.architecture, flat(model), rotate, np.random.default_rng(1))
    before, after = (
        products(encode_tokens(model.architecture, weights)) for weights in (flat(model), new)
    )

    np.testing.assert_allclose(after, before, atol=1e-3, rtol=1e-5)


def test_rotations_are_orthogonal_and_of_both_kinds():
    rng = np.random.default_rng(2)
    matrices = [rotation(5, rng) for _ in range(40)]

    for matrix in matrices:
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(5), atol=1e-12)
    signs = {round(np.linalg.det(matrix)) for matrix in matrices}
    assert signs == {-1, 1}


def test_skewed_bases_are_far_from_singular():
    rng = np.random.default_rng(3)
    for size in (2, 10, 50):
        for _ in range(40):
            noise = SKEW * rng.standard_normal((size, size)) / np.sqrt(size)
            assert np.linalg.cond(np.eye(size) + noise) < 40


def test_wrong_settings_are_one_sentence():
    with pytest.raises(
        TracrLabError, match="residual is keep, permute, rotate or skew, not 'turn'"
    ):
        Augmentation(residual="turn")
    with pytest.raises(TracrLabError, match="scale is from 0 to 3, not 9"):
        Augmentation(scale=9)
