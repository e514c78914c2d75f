"""The padded transformer, folding, losses, and the start from data."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from tests.students.conftest import teacher
from tracrlab.compiler import compile_table, verify
from tracrlab.compiler.forward import Trace, forward
from tracrlab.compiler.verification import model_inputs
from tracrlab.errors import TracrLabError
from tracrlab.rasp import Domain, evaluate
from tracrlab.rasp.library import LIBRARY
from tracrlab.students.folding import fold, rotate
from tracrlab.students.initialisation import ReadError, from_data, random_orthogonal, softened
from tracrlab.students.losses import distance, mean_square
from tracrlab.students.stacking import Bucket, padded_weights, stack, unpadded_weights
from tracrlab.students.transformer import Outputs, embed, run


def inputs_of(model, table):
    return model_inputs(model, table.domain, np.arange(len(table.domain.codes)))


def padded_logits(model, table, compression=None):
    codes, lengths = inputs_of(model, table)
    width = 3 if compression is None else compression.shape[1]
    bucket = Bucket.of(model.architecture, width)
    bucket = replace(bucket, layers=bucket.layers + 2, heads=bucket.heads + 1)  # more padding
    weights = {name: jnp.asarray(w) for name, w in padded_weights(model, bucket).items()}
    padded = None
    if compression is not None:
        padded = np.zeros((bucket.d_model, bucket.width), np.float32)
        padded[: compression.shape[0], : compression.shape[1]] = compression
    outputs = run(weights, embed(weights, codes), lengths, causal=bucket.causal, compression=padded)
    visible = np.arange(codes.shape[1]) < lengths[:, None]
    return np.asarray(outputs.logits)[..., : model.architecture.output_size][visible], visible


@pytest.mark.parametrize("causal", [False, True])
def test_the_padded_model_is_the_model(causal):
    for index in range(6):
        model, table = teacher(index, causal=causal)
        logits, visible = padded_logits(model, table)
        wanted = model.logits(*inputs_of(model, table))[visible]
        assert logits == pytest.approx(wanted, abs=1e-4)


def test_compression_by_the_identity_changes_nothing():
    model, table = teacher(3)
    identity = np.eye(model.architecture.d_model, dtype=np.float32)
    logits, visible = padded_logits(model, table, identity)
    wanted = model.logits(*inputs_of(model, table))[visible]
    assert logits == pytest.approx(wanted, abs=1e-4)
    assert verify(fold(model, identity), table, None).passed


@pytest.mark.parametrize("causal", [False, True])
def test_folded_and_unfolded_students_agree(causal):
    """Thesis, Algorithms 1 and 2."""
    rng = np.random.default_rng(0)
    for index in range(4):
        model, table = teacher(index, causal=causal)
        width = model.architecture.d_model // 2
        matrix = random_orthogonal(model.architecture.d_model, width, rng)
        unfolded, visible = padded_logits(model, table, matrix)
        folded = fold(model, matrix)
        assert folded.architecture.d_model == width
        assert folded.labels == ()
        given = folded.logits(*inputs_of(model, table))[visible]
        assert given == pytest.approx(unfolded, abs=1e-4 * max(1, float(np.abs(unfolded).max())))


def test_folding_against_a_slow_plain_version():
    """Algorithm 1 written out for one attention head and one MLP."""
    entry = LIBRARY["hist"]
    table = evaluate(entry.program, Domain(entry.vocab, entry.max_seq_len))
    model = compile_table(table)
    matrix = random_orthogonal(model.architecture.d_model, 9, np.random.default_rng(1))
    codes = model.encode(list("abac"))
    w = {name: value.astype(np.float64) for name, value in model.weights.items()}
    stream = (w["token_embed"][codes] + w["pos_embed"][: len(codes)]) @ matrix
    x = stream @ matrix.T
    query, key, value = (x @ w[f"layer_0/attn/{name}"] for name in ("query", "key", "value"))
    logits = query @ key.T / np.sqrt(query.shape[1])
    pattern = np.exp(logits - logits.max(axis=1, keepdims=True))
    pattern /= pattern.sum(axis=1, keepdims=True)
    stream = stream + pattern @ value @ w["layer_0/attn/linear"] @ matrix
    x = stream @ matrix.T
    hidden = np.maximum(x @ w["layer_0/mlp/linear_1"], 0)
    stream = stream + hidden @ w["layer_0/mlp/linear_2"] @ matrix
    wanted = stream @ matrix.T @ w["unembed"]
    given = fold(model, matrix).logits(codes[None], np.array([len(codes)]))[0]
    assert given == pytest.approx(wanted, abs=1e-3)


def test_losses_by_hand():
    teacher_ = Outputs(jnp.array([[[1.0, 0.0]]]), jnp.array([[[[1.0, 2.0]]]]))
    student = Outputs(jnp.array([[[0.5, 0.0]]]), jnp.array([[[[1.0, -1.0]]]]))
    visible, mask = jnp.array([[True]]), jnp.array([1.0, 1.0])

    def loss(**names):
        return float(distance(teacher_, student, visible, mask, **names))

    assert loss(layer="l2", output="l2") == pytest.approx(9.25)
    assert loss(layer="l1", output="none") == pytest.approx(3)
    assert loss(layer="l2", output="l2", combine="product") == pytest.approx(2.25)
    wanted, given = np.array([10.0, 0.0]), np.array([5.0, 0.0])
    softmax = np.exp(wanted) / np.exp(wanted).sum()
    entropy = -(softmax * (given - np.log(np.exp(given).sum()))).sum()
    assert loss(layer="none", output="cross_entropy") == pytest.approx(entropy, rel=1e-5)
    for names in ({"layer": "l3", "output": "l2"}, {"layer": "l2", "output": "l3"}):
        with pytest.raises(TracrLabError, match="'l3' is not a"):
            loss(**names)
    with pytest.raises(TracrLabError, match="'mean' does not combine losses"):
        loss(layer="l2", output="l2", combine="mean")


def test_positions_that_are_padding_do_not_count():
    blocks = jnp.array([[[[1.0], [5.0]]]])
    teacher_ = Outputs(jnp.zeros((1, 2, 1)), jnp.zeros_like(blocks))
    student = Outputs(jnp.zeros((1, 2, 1)), blocks)
    visible = jnp.array([[True, False]])
    loss = distance(teacher_, student, visible, jnp.ones(1), layer="l2", output="none")
    assert float(loss) == 1.0


def test_the_gradient_of_the_read_error():
    model, table = teacher(2)
    error = ReadError.of(model, table)
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(model.architecture.d_model, 4)) / 3
    step = rng.normal(size=matrix.shape) * 1e-6
    numeric = (error(matrix + step)[0] - error(matrix - step)[0]) / 2
    assert numeric == pytest.approx((error(matrix)[1] * step).sum(), rel=1e-4)


def test_a_width_that_holds_every_stream_loses_nothing():
    """The streams that occur, BOS included, span fewer directions than there are."""
    for index in range(5):
        model, table = teacher(index)
        trace = Trace()
        codes, lengths = inputs_of(model, table)
        forward(model.architecture, model.weights, codes, lengths, trace)
        visible = np.arange(codes.shape[1]) < lengths[:, None]
        streams = np.concatenate([stream[visible] for stream in trace.residuals])
        rank = np.linalg.matrix_rank(streams, tol=1e-3)
        assert rank < model.architecture.d_model
        matrix, error = from_data(model, table, int(rank))
        assert error < 1e-4
        assert verify(fold(model, matrix), table, None).passed


def test_data_is_a_better_start_than_chance():
    model, table = teacher(1)
    width = round(0.8 * model.architecture.d_model)
    error = ReadError.of(model, table)
    chance = random_orthogonal(model.architecture.d_model, width, np.random.default_rng(0))
    assert from_data(model, table, width)[1] < 0.1 * error(chance)[0]


def test_a_softened_teacher_computes_the_same():
    for index in range(4):
        model, table = teacher(index)
        soft = softened(model, table)
        assert verify(soft, table, None).passed
        for name, value in model.weights.items():
            scale = 0.2 if name.endswith("/query") else 1
            assert soft.weights[name] == pytest.approx(scale * value)


def test_unpadding_is_the_inverse_of_padding():
    for index in range(6):
        model, _ = teacher(index)
        bucket = Bucket.of(model.architecture, 3)
        bucket = replace(bucket, layers=bucket.layers + 1, mlp_hidden=bucket.mlp_hidden + 8)
        weights = unpadded_weights(padded_weights(model, bucket), model.architecture)
        assert list(weights) == list(model.architecture.shapes)
        for name, value in weights.items():
            assert value == pytest.approx(model.weights[name], rel=1e-6)


def test_a_rotated_model_computes_the_same():
    model, table = teacher(2)
    readout = np.eye(model.architecture.d_model, dtype=np.float32)
    rotated, turned = rotate(model, readout, np.random.default_rng(0))
    logits = rotated.logits(*inputs_of(model, table))
    assert logits == pytest.approx(model.logits(*inputs_of(model, table)), abs=1e-3)
    assert turned.T @ turned == pytest.approx(readout, abs=1e-5)
    streams = Trace(), Trace()
    for one, trace in zip((model, rotated), streams, strict=True):
        forward(one.architecture, one.weights, *inputs_of(model, table), trace)
    for plain, other in zip(streams[0].residuals, streams[1].residuals, strict=True):
        assert other @ turned == pytest.approx(plain, abs=1e-3)


def test_the_mean_square_by_hand():
    right = Outputs(jnp.array([[[1.0, 0.0]]]), jnp.array([[[[1.0, 2.0]]], [[[0.0, 0.0]]]]))
    given = Outputs(jnp.array([[[0.5, 0.0]]]), jnp.array([[[[1.0, -1.0]]], [[[0.0, 1.0]]]]))
    # Two half-layers of two directions: (9 + 1) / 4; two outputs: 0.25 / 2.
    assert float(mean_square(right, given, jnp.array([[True]]), 4, 2)) == pytest.approx(2.625)


def test_numbers_are_compared_by_squares_whatever_the_output_loss():
    right = Outputs(jnp.array([[[3.0, 0.0]]]), jnp.zeros((2, 1, 1, 1)))
    given = Outputs(jnp.array([[[2.5, 0.0]]]), jnp.zeros((2, 1, 1, 1)))
    visible, mask = jnp.array([[True]]), jnp.array([1.0, 0.0])
    for output in ("l2", "cross_entropy", "both"):
        settings = {"layer": "none", "output": output, "numerical": 1.0, "numerical_weight": 4.0}
        assert float(distance(right, given, visible, mask, **settings)) == pytest.approx(1.0)


def test_stacking_puts_models_first():
    models = [teacher(index)[0] for index in range(3)]
    buckets = [Bucket.of(model.architecture, 3) for model in models]
    sizes = {name: max(getattr(b, name) for b in buckets) for name in buckets[0].__annotations__}
    bucket = Bucket(**sizes)
    entries = [padded_weights(model, bucket) for model in models]
    stacked = stack(entries)
    assert stacked["linear_1"].shape == (3, bucket.layers, bucket.d_model, bucket.mlp_hidden)
    assert np.array_equal(stacked["query"][1], entries[1]["query"])
