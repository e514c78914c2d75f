"""The programs that train, against plain slow forms of the same."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.students.conftest import teachers
from tracrlab.students.compressing import Compression
from tracrlab.students.losses import mean_square
from tracrlab.students.making import all_inputs
from tracrlab.students.marks import WRONG
from tracrlab.students.shapes import Shape
from tracrlab.students.stacking import padded_weights
from tracrlab.students.stepping import B1, B2, adam_step, compiled, look, rate_of, student_weights
from tracrlab.students.student import judge
from tracrlab.students.training import TrainingSettings
from tracrlab.students.transformer import Outputs, embed, run

SETTINGS = TrainingSettings(steps=40, warm_up=0.2, clip=0.5)
SIZES = {"layers": 2, "width": 7, "heads": 2, "key_size": 4, "value_size": 5, "hidden": 9}


def random_weights(rng, layers, width, heads, key_size, value_size, hidden):
    shapes = {
        "tokens": (4, width),
        "positions": (6, width),
        "query": (layers, width, heads, key_size),
        "key": (layers, width, heads, key_size),
        "value": (layers, width, heads, value_size),
        "linear": (layers, heads, value_size, width),
        "linear_1": (layers, width, hidden),
        "linear_2": (layers, hidden, width),
        "unembed": (width, 3),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def plain_run(weights, codes, lengths, causal):
    """One input, one head, one query at a time; the outputs of the half-layers too."""
    logits, blocks = [], []
    for row, length in zip(codes, lengths, strict=True):
        stream = weights["tokens"][row] + weights["positions"][: len(row)]
        own = []
        for layer in range(len(weights["query"])):
            w = {name: weights[name][layer] for name in weights if weights[name].ndim > 2}
            attended = jnp.zeros_like(stream)
            for head in range(w["query"].shape[1]):
                scores = (stream @ w["query"][:, head]) @ (stream @ w["key"][:, head]).T
                for query in range(len(row)):
                    keys = min(length, query + 1) if causal else length
                    pattern = jnp.exp(scores[query, :keys] - scores[query, :keys].max())
                    mixed = pattern @ (stream[:keys] @ w["value"][:, head]) / pattern.sum()
                    attended = attended.at[query].add(mixed @ w["linear"][head])
            stream = stream + attended
            computed = jnp.maximum(stream @ w["linear_1"], 0) @ w["linear_2"]
            stream = stream + computed
            own += [attended, computed]
        logits.append(stream @ weights["unembed"])
        blocks.append(jnp.stack(own))
    return Outputs(jnp.stack(logits), jnp.stack(blocks, axis=1))


@pytest.mark.parametrize("causal", [False, True])
def test_outputs_and_gradients_are_those_of_the_plain_form(causal):
    rng = np.random.default_rng(0)
    weights = {name: 0.4 * value for name, value in random_weights(rng, **SIZES).items()}
    codes, lengths = rng.integers(4, size=(2, 4)), np.array([4, 2])
    visible = (np.arange(4) < lengths[:, None])[..., None]

    def square(outputs):
        return ((outputs.logits * visible) ** 2).sum() + ((outputs.blocks * visible) ** 2).sum()

    def fast(weights):
        return square(run(weights, embed(weights, codes), lengths, causal=causal))

    def plain(weights):
        return square(plain_run(weights, codes, lengths, causal))

    value, gradient = jax.jit(jax.value_and_grad(fast))(weights)
    wanted, wanted_gradient = jax.value_and_grad(plain)(jax.tree.map(jnp.asarray, weights))
    assert float(value) == pytest.approx(float(wanted), rel=1e-4)
    for name, one in wanted_gradient.items():
        assert gradient[name] == pytest.approx(np.asarray(one), rel=1e-3, abs=1e-3), name


def test_steps_are_those_of_optax():
    optimizer = optax.chain(
        optax.clip_by_global_norm(SETTINGS.clip), optax.adam(rate_of(SETTINGS), B1, B2)
    )
    rng = np.random.default_rng(0)
    flat = wanted = jnp.asarray(rng.normal(size=30), jnp.float32)
    moments, state = (jnp.zeros(30), jnp.zeros(30)), optimizer.init(wanted)
    for number in range(40):
        gradient = jnp.asarray(rng.normal(size=30) * (0.01 if number % 3 else 10), jnp.float32)
        flat, *moments = adam_step(flat, moments, gradient, number, SETTINGS)
        change, state = optimizer.update(gradient, state)
        wanted = optax.apply_updates(wanted, change)
        assert np.asarray(flat) == pytest.approx(np.asarray(wanted), abs=2e-6)


def test_each_cycle_has_the_schedule_of_its_steps():
    once, twice = rate_of(SETTINGS), rate_of(replace(SETTINGS, steps=80, cycles=2))
    rates = [float(once(step)) for step in range(40)]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(SETTINGS.learning_rate)
    assert [float(twice(step)) for step in range(80)] == pytest.approx(rates + rates)


def test_a_look_finds_each_wrong_position():
    (one,) = [one for one in teachers(1) if one.model.output_encoding == "categorical"]
    shape = Shape.of(one.model.architecture, one.model.architecture)
    inputs, weights = all_inputs(one), padded_weights(one.model, shape.teacher)
    values = one.wanted.values.copy()
    values[3, 0] += 1
    values[-1, :2] += 1
    hidden = np.flatnonzero(inputs.lengths - 1 < values.shape[1])[0]
    values[hidden, -1] += 1  # padding, which nobody looks at
    wanted = one.wanted._replace(values=values)
    arrays = (weights, inputs.codes, inputs.lengths, wanted, np.bool_(False))
    for lanes in (1, 2):
        stacked = jax.tree.map(lambda array, lanes=lanes: np.stack([array] * lanes), arrays)
        found, bad = compiled(look)(*stacked, inputs.causal)
        assert np.asarray(bad).tolist() == [3] * lanes
        for lane in np.asarray(found):
            assert np.flatnonzero(lane).tolist() == [3, len(values) - 1]
            assert set(lane[[3, -1]]) == {WRONG}


def test_the_loss_of_a_verdict_is_that_of_the_padded_models():
    one, method = teachers(3)[2], Compression(0.6, "random")
    own = one.model.architecture
    shape = Shape.of(own, method.student_architecture(own))
    job, inputs = method.job(one, shape), all_inputs(one)
    model, readout = method.finished(one, job.parameters)
    student = judge(one, model, readout, inputs, steps=0)
    rows = np.random.default_rng(0).permutation(len(inputs.codes))[:256]
    codes, lengths = inputs.codes[rows], inputs.lengths[rows]
    weights = student_weights(job.parameters, job.teacher, "compression")
    right = run(job.teacher, embed(job.teacher, codes), lengths, causal=inputs.causal)
    given = run(weights, embed(weights, codes), lengths, causal=inputs.causal)
    given = Outputs(given.logits, given.blocks @ weights["readout"])
    halves = sum((layer.heads > 0) + (layer.mlp_hidden > 0) for layer in own.layers)
    visible = jnp.arange(codes.shape[1]) < lengths[:, None]
    wanted = mean_square(right, given, visible, halves * own.d_model, own.output_size)
    assert student.loss == pytest.approx(float(wanted), rel=1e-3)
