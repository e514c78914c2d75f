"""Stand-ins for students: their sizes, what their blocks write, and what is drawn."""

import numpy as np
import pytest

from tests.decompiler.models import compiled, flat
from tracrlab.compiler.forward import Trace, forward
from tracrlab.decompiler import stand_ins
from tracrlab.decompiler.circuits import Probes, circuit_of
from tracrlab.decompiler.stand_ins import stand_in
from tracrlab.students.sizes import uniform

MODELS = range(24)


def exact(monkeypatch, **changed):
    """Everything is kept but the sizes of layers, and what `changed` says."""
    plain = {"KEPT": 0.0, "WIDTHS": (1.0, 1.0), "STRETCH": 0.0, "READ_NOISE": 0.0}
    plain |= {"WRITE_NOISE": 0.0, "RIDGE": (-7.0, -7.0), "IDLE": 0.0}
    for name, value in (plain | changed).items():
        monkeypatch.setattr(stand_ins, name, value)


def made(index, seed=0):
    one = compiled(index)
    architecture, weights = stand_in(one.architecture, flat(one), np.random.default_rng(seed))
    return one, architecture, weights


def outputs(architecture, weights):
    """On the probes, at the positions that are there; and the trace."""
    own = architecture
    probes = Probes.of(own.input_symbols, own.max_seq_len, own.causal)
    trace = Trace()
    lengths = 1 + probes.there.sum(axis=1)
    result = forward(own, own.unflatten(weights), probes.codes, lengths, trace)
    return result[:, 1:][probes.there], trace


@pytest.mark.parametrize("index", MODELS)
def test_a_stand_in_has_the_sizes_of_a_student(index, monkeypatch):
    monkeypatch.setattr(stand_ins, "KEPT", 0.0)
    one, architecture, weights = made(index)
    own = one.architecture
    assert architecture == uniform(own, architecture.d_model)
    low, high = stand_ins.WIDTHS
    assert low * own.d_model <= architecture.d_model <= np.ceil(high * own.d_model)
    assert weights.dtype == np.float32
    assert np.isfinite(weights).all()
    assert len(weights) == sum(a * b for a, b in architecture.shapes.values())
    circuit_of(architecture, weights)


@pytest.mark.parametrize("stretch", [0.0, 1.0])
def test_with_nothing_lost_it_computes_the_program(stretch, monkeypatch):
    """In as wide a stream, however stretched, and with little ridge: the blocks write the same."""
    exact(monkeypatch, STRETCH=stretch)
    errors = []
    for index in MODELS:
        one, architecture, weights = made(index)
        found, _ = outputs(architecture, weights)
        wanted, _ = outputs(one.architecture, flat(one))
        errors.append(np.abs(found - wanted).max() / max(1, np.abs(wanted).max()))
    assert np.median(errors) < 1e-3
    assert np.quantile(errors, 0.9) < 0.05


@pytest.mark.parametrize(
    "changed",
    [{"WIDTHS": (0.3, 0.3)}, {"READ_NOISE": 3.0, "RIDGE": (0.0, 0.0)}, {"WRITE_NOISE": 2.0}],
)
def test_each_change_is_one(changed, monkeypatch):
    exact(monkeypatch, **changed)
    errors = []
    for index in MODELS:
        one, architecture, weights = made(index)
        wanted, _ = outputs(one.architecture, flat(one))
        errors.append(np.abs(outputs(architecture, weights)[0] - wanted).max())
    assert np.median(errors) > 0.05


def test_blocks_with_nothing_to_write_write_a_little(monkeypatch):
    """Layers of one size: where the compiled layer has no heads, or no MLP, the stand-in has."""
    sizes = {}
    for idle in (0.0, 0.7):
        exact(monkeypatch, IDLE=idle)
        written = []
        for index in MODELS:
            one, architecture, weights = made(index)
            residuals = outputs(architecture, weights)[1].residuals
            for number, layer in enumerate(one.architecture.layers):
                if not layer.heads and architecture.layers[number].heads:
                    change = residuals[2 * number + 1] - residuals[2 * number]
                    written.append(
                        np.sqrt(np.square(change).mean() / np.square(residuals[0]).mean())
                    )
        assert len(written) >= 5
        sizes[idle] = np.mean(written)
    assert sizes[0.0] < 1e-6
    assert 0.1 < sizes[0.7] < 1


def test_draws_are_fresh_and_the_compiled_model_stays():
    one = compiled(3)
    weights = flat(one)
    before = weights.copy()
    drawn = [stand_in(one.architecture, weights, np.random.default_rng(seed)) for seed in range(8)]
    again = stand_in(one.architecture, weights, np.random.default_rng(5))
    np.testing.assert_array_equal(weights, before)
    np.testing.assert_array_equal(again[1], drawn[5][1])
    assert len({found.tobytes() for _, found in drawn}) >= 6


def test_some_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(stand_ins, "KEPT", 1.0)
    one, architecture, weights = made(0)
    assert architecture is one.architecture
    np.testing.assert_array_equal(weights, flat(one))
