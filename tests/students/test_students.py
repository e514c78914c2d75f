"""Compression: the padded transformer, folding, the start from data, and training in lanes."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from tracrlab.compiler import compile_table, verify
from tracrlab.compiler.forward import Trace, forward
from tracrlab.compiler.verification import model_inputs
from tracrlab.errors import TracrLabError
from tracrlab.rasp import Domain, evaluate
from tracrlab.rasp.library import LIBRARY
from tracrlab.rasp.sampler import SamplerSettings, sample
from tracrlab.students.compressing import CompressionSettings, Student, compress
from tracrlab.students.folding import fold
from tracrlab.students.initialisation import ReadError, from_data, random_orthogonal
from tracrlab.students.losses import distance
from tracrlab.students.stacking import Bucket, padded_weights, stack
from tracrlab.students.training import Job, TrainingSettings, train
from tracrlab.students.transformer import Outputs, embed, run


def teacher(index, *, causal=False):
    settings = SamplerSettings((0, 1, 2), 4, causal, min_ops=4, max_ops=7)
    table = sample(settings, 11, index).table
    return compile_table(table), table


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


def jobs_of(indices):
    bucket, entries = None, []
    for index in indices:
        model, table = teacher(index)
        entries.append((index, model, table))
    sizes = [Bucket.of(m.architecture, m.architecture.d_model // 2) for _, m, _ in entries]
    largest = {
        name: max(getattr(size, name) for size in sizes)
        for name in ("layers", "d_model", "heads", "key_size", "value_size", "mlp_hidden")
    }
    width, outputs = max(s.width for s in sizes), max(s.outputs for s in sizes)
    bucket = replace(sizes[0], width=width, outputs=outputs, **largest)
    jobs = []
    for index, model, _ in entries:
        width = model.architecture.d_model // 2
        start = random_orthogonal(model.architecture.d_model, width, np.random.default_rng(index))
        padded = np.zeros((bucket.d_model, bucket.width), np.float32)
        padded[: start.shape[0], : start.shape[1]] = start
        mask = (padded != 0).astype(np.float32)
        jobs.append(Job(index, padded_weights(model, bucket), padded, mask))
    return bucket, jobs, inputs_of(*entries[0][1:])


SHORT = TrainingSettings(steps=40, chunk=20, lanes=2, batch=16, learning_rate=1e-2)


def trained(bucket, jobs, inputs, settings=SHORT):
    never = lambda job, matrix, loss: False  # noqa: E731
    return {result.id: result for result in train(jobs, bucket, *inputs, settings, never)}


def test_a_model_trains_the_same_in_any_company():
    bucket, jobs, inputs = jobs_of((0, 1, 2))
    together = trained(bucket, jobs, inputs)
    alone = trained(bucket, jobs[2:], inputs)
    assert set(together) == {0, 1, 2}
    assert together[2].compression == pytest.approx(alone[2].compression, abs=1e-5)
    assert not np.allclose(together[0].compression, jobs[0].compression, atol=1e-3)


def test_padding_of_a_matrix_stays_zero():
    bucket, jobs, inputs = jobs_of((0, 1))
    for job in jobs:
        result = trained(bucket, [job], inputs)[job.id]
        assert (result.compression[job.mask == 0] == 0).all()
        assert result.steps == 40


def test_a_model_that_is_not_a_number_leaves_its_neighbours_alone():
    bucket, jobs, inputs = jobs_of((0, 1))
    alone = trained(bucket, jobs[:1], inputs)[0]
    broken = replace(jobs[1], compression=np.full_like(jobs[1].compression, np.nan))
    together = trained(bucket, [jobs[0], broken], inputs)
    assert not np.isfinite(together[1].loss)
    assert together[1].steps == 20, "it ends at the first look"
    assert together[0].compression == pytest.approx(alone.compression, abs=1e-5)


@pytest.mark.parametrize("samples", ["vocabulary", "random", "combined"])
def test_training_lowers_the_loss(samples):
    bucket, jobs, inputs = jobs_of((0,))
    settings = replace(SHORT, steps=20, samples=samples)
    first = trained(bucket, jobs, inputs, settings)[0].loss
    longer = trained(bucket, jobs, inputs, replace(settings, steps=300))[0].loss
    assert longer < 0.8 * first


def test_compress_gives_a_student_for_every_teacher():
    teachers = [(index, *teacher(index)) for index in range(5)]
    training = TrainingSettings(steps=40, chunk=20, lanes=2, learning_rate=1e-2)
    students = {
        student.id: student for student in compress(teachers, CompressionSettings(0.9, training))
    }
    assert set(students) == set(range(5))
    for index, model, table in teachers:
        student = students[index]
        width = int(np.ceil(0.9 * model.architecture.d_model))
        assert student.model.architecture.d_model == width
        result = verify(student.model, table)
        assert student.accuracy == 1 - result.mismatches / result.inputs
        assert student.exact == result.passed
    assert sum(student.exact for student in students.values()) >= 4


def test_the_gate():
    model, _ = teacher(0)

    def student(accuracy, loss):
        return Student(0, model, np.eye(2), accuracy, loss, 0)

    assert student(0.9, 0.05).passes_gate
    assert not student(0.89, 0.01).passes_gate
    assert not student(1.0, 0.06).passes_gate
    assert student(1.0, 0.06).exact


@pytest.mark.parametrize("ratio", [0.0, -1, 1.5, 0.01, float("nan")])
def test_a_ratio_that_leaves_no_dimension(ratio):
    with pytest.raises(TracrLabError, match=r"leaves no dimension of 20; give one from 0\.05 to 1"):
        CompressionSettings(ratio).width(20)


def test_widths():
    assert CompressionSettings(0.5).width(20) == 10
    assert CompressionSettings(0.5).width(21) == 11
    assert CompressionSettings(1.0).width(7) == 7


def test_stacking_puts_models_first():
    bucket, jobs, _ = jobs_of((0, 1, 2))
    stacked = stack([job.weights for job in jobs])
    assert stacked["linear_1"].shape == (3, bucket.layers, bucket.d_model, bucket.mlp_hidden)
    assert np.array_equal(stacked["query"][1], jobs[1].weights["query"])
