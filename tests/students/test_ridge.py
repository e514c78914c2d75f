"""Least squares with a ridge."""

import numpy as np
import pytest

from tracrlab.students.ridge import ridge_solution


def test_ridge_by_hand():
    """Features (1, 2) and targets (2, 4): with a ridge of 1 over a mean square of 5, 10 / 10."""
    features, target = np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]])
    assert ridge_solution(features, target, 0)[0, 0] == pytest.approx(2)
    assert ridge_solution(features, target, 1)[0, 0] == pytest.approx(1)
    # A feature that is always 0 maps to nothing.
    empty = np.hstack([features, np.zeros((2, 1))])
    assert ridge_solution(empty, target, 1e-7)[:, 0] == pytest.approx([2, 0], abs=1e-5)


def test_ridge_against_a_plain_one():
    """Ridge is least squares with further equations that ask for zeros."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 6)).astype(np.float32)
    target = rng.normal(size=(30, 3)).astype(np.float32)
    ridge = 0.2
    zeros = np.sqrt(ridge * np.square(features).sum() / 6) * np.eye(6)
    stacked = np.concatenate([features, zeros]), np.concatenate([target, np.zeros((6, 3))])
    expected = np.linalg.lstsq(*stacked, rcond=None)[0]
    np.testing.assert_allclose(ridge_solution(features, target, ridge), expected, atol=1e-5)
