"""Likeness: what one model's blocks write, read from another's."""

from dataclasses import replace

import numpy as np
import pytest

from tests.decompiler.models import SETTINGS, compiled, dense, table
from tests.decompiler.test_checking import IS_TWO, NARROWED, of
from tracrlab.compiler.forward import Trace, forward
from tracrlab.compiler.verification import model_inputs
from tracrlab.decompiler.augmentation import FOR_DENSE, augment
from tracrlab.decompiler.checking import VERIFIED, Candidate, Checker
from tracrlab.decompiler.likeness import RIDGE, Blocks
from tracrlab.rasp.program import Program


def inputs(model, rows=40):
    return model_inputs(model, SETTINGS.domain, np.arange(rows))


def turned(model):
    """The same model in another basis, with no zeros and ones left."""
    flat = model.architecture.flatten(model.weights)
    changed = augment(model.architecture, flat, FOR_DENSE, np.random.default_rng(0))
    return replace(model, weights=model.architecture.unflatten(changed), labels=())


@pytest.mark.parametrize("index", range(8))
def test_a_model_is_like_itself_in_any_basis(index):
    model = compiled(index)
    for one in (model, turned(model)):
        assert Blocks(one, *inputs(one)).likeness(model) > 0.98
    # Not every other model is: two of these have as many layers and other blocks.
    others = [compiled(number) for number in range(8) if number != index]
    found = [Blocks(model, *inputs(model)).likeness(other) for other in others]
    assert min(found) < 0.9


def test_against_a_plain_reading():
    """Least squares with further equations that ask for zeros, direction by direction."""
    model, other = dense(2), compiled(2)
    codes, lengths = inputs(model)
    there = np.arange(codes.shape[1]) < lengths[:, None]

    def written(one):
        trace = Trace()
        forward(one.architecture, one.weights, codes, lengths, trace)
        before = [np.zeros_like(trace.residuals[0]), *trace.residuals[:-1]]
        pairs = zip(trace.residuals, before, strict=True)
        return np.concatenate([(now - then)[there] for now, then in pairs]).astype(np.float64)

    source, target = written(model), written(other)
    width = source.shape[1]
    zeros = np.sqrt(RIDGE * np.square(source).sum() / width + 1e-12) * np.eye(width)
    shares = []
    for column in target.T:
        if not column.any():
            continue
        stacked = np.concatenate([source, zeros]), np.concatenate([column, np.zeros(width)])
        read = source @ np.linalg.lstsq(*stacked, rcond=None)[0]
        shares.append(1 - np.square(read - column).sum() / np.square(column).sum())
    found = Blocks(model, codes, lengths).likeness(other)
    assert found == pytest.approx(np.mean(shares), abs=1e-4)


def test_another_number_of_layers():
    models = [compiled(index) for index in range(8)]
    layers = [len(model.architecture.layers) for model in models]
    one, other = layers.index(min(layers)), layers.index(max(layers))
    assert layers[one] < layers[other]
    assert Blocks(models[one], *inputs(models[one])).likeness(models[other]) == 0


def test_of_programs_that_compute_the_same_a_trained_model_is_known_by_its_blocks():
    """Both are verified; the model was made of the second, in another basis."""
    own, other = Program.from_text(NARROWED.format(0)), Program.from_text(IS_TWO)
    checker = Checker(turned(of(NARROWED.format(0))))
    assert not checker.compiled
    checks = [checker.check(one) for one in (own, other)]
    assert [check.verdict for check in checks] == [VERIFIED, VERIFIED]
    assert checks[0].likeness > checks[1].likeness
    assert not checks[0].same_weights
    candidates = [Candidate(other, -1.0), Candidate(own, -2.0)]
    assert checker.best(candidates).candidate.program == other  # the search ends there
    assert checker.best(candidates, all_of_them=True).candidate.program == own


def test_candidates_that_are_not_verified_have_none():
    check = Checker(turned(compiled(0))).check(table(1).program)
    assert (check.verdict != VERIFIED, check.likeness) == (True, 0.0)
