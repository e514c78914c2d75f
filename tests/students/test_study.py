"""The superposition study: what is minimised, how it is trained, and what is measured."""

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pandas as pd
import pytest

from tracrlab.compiler.forward import Trace, forward
from tracrlab.errors import TracrLabError
from tracrlab.sections.study import StudyScale
from tracrlab.students.folding import fold
from tracrlab.students.study import (
    Study,
    StudySettings,
    exact_bucket,
    initial_matrices,
    run_losses,
    spread_widths,
    studied_inputs,
)
from tracrlab.students.study_measures import (
    curve_rows,
    half_layers,
    load_arrays,
    measure,
    principal_components,
    results,
    save_arrays,
    study_model,
)
from tracrlab.students.study_summary import (
    best_by_width,
    read_runs,
    smallest_without_loss,
    study_settings,
    summary_table,
)

SMALL = StudySettings(widths=(2, 5), seeds=2, steps=6, batch=4, points=3, scale=None)
cached_model = cache(study_model)
batch_losses = jax.jit(run_losses, static_argnums=(4, 5))


def study_of(program, settings=SMALL):
    return Study(*cached_model(program), settings)


def plain_student(model, matrix, codes, length):
    """One input, written out with loops: outputs and half-layer outputs (thesis, Algorithm 1).

    Padding is cut off.
    """
    codes = codes[:length]
    weights, sizes = model.weights, model.architecture
    stream = (weights["token_embed"][codes] + weights["pos_embed"][: len(codes)]) @ matrix
    blocks = []
    for number, layer in enumerate(sizes.layers):
        read, prefix = stream @ matrix.T, f"layer_{number}/"
        attended = np.zeros_like(read)
        for head in range(layer.heads):
            keys = slice(head * layer.key_size, (head + 1) * layer.key_size)
            values = slice(head * layer.value_size, (head + 1) * layer.value_size)
            query = read @ weights[prefix + "attn/query"][:, keys]
            key = read @ weights[prefix + "attn/key"][:, keys]
            value = read @ weights[prefix + "attn/value"][:, values]
            for at in range(len(codes)):
                seen = min(length, at + 1) if sizes.causal else length
                # Not `@`: BLAS may read the vector that it has yet to write, and warn of it.
                logits = np.einsum("kd,d->k", key[:seen], query[at]) / np.sqrt(layer.key_size)
                pattern = np.exp(logits - logits.max())
                pattern /= pattern.sum()
                mixed = np.einsum("k,kv->v", pattern, value[:seen])
                attended[at] += np.einsum("v,vd->d", mixed, weights[prefix + "attn/linear"][values])
        stream = stream + attended @ matrix
        computed = np.zeros_like(read)
        if layer.mlp_hidden:
            hidden = np.maximum(stream @ matrix.T @ weights[prefix + "mlp/linear_1"], 0)
            computed = hidden @ weights[prefix + "mlp/linear_2"]
        stream = stream + computed @ matrix
        blocks += [attended, computed]
    return stream @ matrix.T @ weights["unembed"], np.stack(blocks)


@pytest.mark.parametrize("program", ["frac_prevs", "sort_unique", "causal_length"])
def test_the_loss_is_the_papers_written_out(program):
    """Tracr paper, section 5.1: output loss, and squared differences of the layer outputs."""
    study = study_of(program)
    rows = np.array([3, 20, 60])
    codes, lengths = (array[rows] for array in study.inputs)
    matrix = study.matrices[0, 1]
    outputs, layers, places = 0.0, 0.0, lengths.sum()
    identity = np.eye(len(matrix), dtype=np.float32)
    for row, length in zip(codes, lengths, strict=True):
        teacher = plain_student(study.model, identity, row, length)
        student = plain_student(study.model, matrix, row, length)
        for at in range(length):
            layers += ((teacher[1][:, at] - student[1][:, at]) ** 2).sum() / places
            wanted, given = teacher[0][at].astype(float), student[0][at].astype(float)
            if study.output_loss == "l2":
                outputs += (wanted[0] - given[0]) ** 2 / places
            else:
                p, q = (np.exp(10 * x - (10 * x).max()) for x in (wanted, given))
                p, q = p / p.sum(), np.maximum(q / q.sum(), 1e-300)
                outputs += (p * (np.log(np.maximum(p, 1e-300)) - np.log(q))).sum() / places
    total, output = batch_losses(
        study.weights, matrix[None], codes, lengths, study.bucket.causal, study.output_loss
    )
    assert float(output[0]) == pytest.approx(outputs, rel=1e-3)
    assert float(total[0]) == pytest.approx(outputs + layers, rel=1e-3)


def test_training_is_adamw_with_the_papers_schedule():
    """Appendix E, written out: weight decay 0.1, b1 0.9, b2 0.99, linear over the first half."""
    settings = replace(SMALL, widths=(5,), seeds=1, points=6, learning_rate=0.02)
    study = study_of("frac_prevs", settings)
    codes, lengths = study.inputs
    matrix = study.matrices[0, 0].astype(np.float64)
    first, second = np.zeros_like(matrix), np.zeros_like(matrix)
    key = jax.random.fold_in(jax.random.key(settings.seed + 1), 0)

    @jax.jit
    def loss_and_gradient(matrix, codes, lengths):
        def loss(matrix):
            return run_losses(study.weights, matrix[None], codes, lengths, False, "l2")[0][0]

        return jax.value_and_grad(loss)(matrix)

    for step, point in enumerate(study.train()):
        step_key = jax.random.fold_in(key, step)
        rows = np.asarray(jax.random.randint(step_key, (4,), 0, len(codes)))
        value, gradient = loss_and_gradient(matrix.astype(np.float32), codes[rows], lengths[rows])
        assert point.step == step + 1
        assert float(point.total[0, 0]) == pytest.approx(float(value), rel=1e-3)
        gradient = np.asarray(gradient, np.float64)
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        direction = (first / (1 - 0.9 ** (step + 1))) / (
            np.sqrt(second / (1 - 0.99 ** (step + 1))) + 1e-8
        )
        rate = 0.02 + (1e-6 - 0.02) * min(1, step / 3)
        matrix = matrix - rate * (direction + 0.1 * matrix)
        assert study.matrices[0, 0] == pytest.approx(matrix, abs=1e-5)


def test_runs_side_by_side_are_runs_alone():
    both = study_of("frac_prevs")
    list(both.train())
    alone = study_of("frac_prevs", replace(SMALL, widths=(2,)))
    list(alone.train())
    assert both.matrices[:, 0, :, :2] == pytest.approx(alone.matrices[:, 0], abs=1e-5)
    assert not both.matrices[:, 0, :, 2:].any()
    assert abs(both.matrices[0] - both.matrices[1]).max() > 0.01  # seeds differ


def test_a_run_that_is_not_a_number_leaves_its_neighbours_alone():
    sound, broken = study_of("frac_prevs"), study_of("frac_prevs")
    broken.matrices = broken.matrices.copy()
    broken.matrices[0, 1, 0, 0] = np.nan
    list(sound.train())
    points = list(broken.train())
    assert np.isnan(points[-1].total).tolist() == [[False, True], [False, False]]
    assert (broken.matrices[1] == sound.matrices[1]).all()
    assert (broken.matrices[0, 0] == sound.matrices[0, 0]).all()
    runs = results("frac_prevs", broken).runs
    assert best_by_width(runs)["seed"].tolist()[1] == 1


def test_training_lowers_the_loss():
    settings = StudySettings((8,), 1, steps=400, batch=8, learning_rate=2e-2, scale=None, points=40)
    losses = [float(point.total[0, 0]) for point in study_of("frac_prevs", settings).train()]
    assert losses[-1] < 0.3 * losses[0]


def test_the_same_seed_starts_the_same():
    settings = replace(SMALL, widths=(3, 7))
    start, other = initial_matrices(13, settings), initial_matrices(13, SMALL)
    assert start.shape == (2, 2, 13, 7)
    assert start[:, 0, :, :2] * np.sqrt(3) == pytest.approx(other[:, 0, :, :2] * np.sqrt(2))
    unit = initial_matrices(64, replace(SMALL, widths=(64,), scale=1.0))
    assert unit.std() == pytest.approx(1, abs=0.02)


def test_the_compiled_model_itself_loses_nothing():
    for program in ("frac_prevs", "sort_unique"):
        study = study_of(program)
        identity = np.eye(study.model.architecture.d_model, dtype=np.float32)
        (found,) = measure(study, identity[None])
        assert found.loss == pytest.approx(0, abs=1e-5)
        assert (found.accuracy, found.inputs_right) == (1, 1)
        layers = study.model.architecture.layers
        writes = [size > 0 for layer in layers for size in (layer.heads, layer.mlp_hidden)]
        assert found.cosine[writes] == pytest.approx(1, abs=1e-5)
        assert np.isnan(found.cosine[np.logical_not(writes)]).all()
        assert half_layers(study.model.architecture)[:2] == ["attn_1", "mlp_1"]


def test_measures_agree_with_the_folded_model_and_with_loops():
    study = study_of("sort_unique")
    rng = np.random.default_rng(1)
    matrix = np.eye(21, dtype=np.float32) + rng.normal(0, 0.05, (21, 21)).astype(np.float32)
    (found,) = measure(study, matrix[None])
    folded, (codes, lengths) = fold(study.model, matrix), study.inputs
    wanted, given = (m.logits(codes, lengths).argmax(-1) for m in (study.model, folded))
    right = [(wanted[row, 1:length] == given[row, 1:length]) for row, length in enumerate(lengths)]
    assert found.inputs_right == pytest.approx(np.mean([row.all() for row in right]))
    assert found.accuracy == pytest.approx(np.mean(np.concatenate(right)))
    assert 0 < found.inputs_right < found.accuracy < 1
    identity = np.eye(21, dtype=np.float32)
    cosines, outputs, errors, places = [], 0.0, 0.0, 0
    for row, length in zip(*study.inputs, strict=True):
        teacher = plain_student(study.model, identity, row, length)[1][:, :length]
        student = plain_student(study.model, matrix, row, length)[1][:, :length]
        outputs, errors = outputs + student.sum(1), errors + ((student - teacher) ** 2).sum(1)
        places += length
        for wanted, given in zip(teacher[0], student[0], strict=True):
            if np.linalg.norm(wanted) > 1e-6:
                size = np.linalg.norm(wanted) * np.linalg.norm(given)
                cosines.append(wanted @ given / max(size, 1e-12))
    assert found.cosine[0] == pytest.approx(np.mean(cosines), abs=1e-3)
    assert found.mean_output == pytest.approx(outputs / places, abs=1e-3)
    assert found.mean_error == pytest.approx(errors / places, abs=1e-3)


def test_none_is_an_answer_where_the_program_gives_it():
    """A student that writes nothing is right where shift_by_1 is None: at each first position."""
    study = study_of("shift_by_1")
    (found,) = measure(study, np.zeros((1, 15, 15), np.float32))
    lengths = study.inputs[1] - 1
    assert study.has_none
    assert found.accuracy == pytest.approx(len(lengths) / lengths.sum())
    assert found.inputs_right == pytest.approx((lengths == 1).mean())


def test_principal_components_are_those_of_the_compiled_streams():
    study = study_of("frac_prevs")
    trace = Trace()
    codes, lengths = study.inputs
    forward(study.model.architecture, study.model.weights, codes, lengths, trace)
    visible = np.arange(codes.shape[1]) < lengths[:, None]
    vectors = np.concatenate([stream[visible] for stream in trace.residuals])
    directions = principal_components(study)
    assert directions.T @ directions == pytest.approx(np.eye(13), abs=1e-5)
    energy = ((vectors @ directions) ** 2).sum(axis=0)
    wanted = np.linalg.svd(vectors, compute_uv=False) ** 2
    assert energy == pytest.approx(wanted, rel=1e-3, abs=1e-2)


def test_results_have_a_row_a_run_and_round_trip(tmp_path):
    study = study_of("frac_prevs")
    curves = pd.concat(curve_rows(SMALL.widths, study.train()))
    assert curves["step"].unique().tolist() == [2, 4, 6]
    assert len(curves) == 3 * 4
    last = curves[(curves["step"] == 6) & (curves["d"] == 5) & (curves["seed"] == 1)]
    assert last["loss"].item() > last["output_loss"].item() > 0
    found = results("frac_prevs", study)
    assert found.runs[["d", "method"]].value_counts().to_dict() == {
        (2, "gradient"): 2,
        (5, "gradient"): 2,
        (2, "pca"): 1,
        (5, "pca"): 1,
    }
    assert found.matrices["gradient/d5/seed1"] == pytest.approx(study.matrices[1, 1])
    assert found.matrices["pca/d2"].shape == (13, 2)
    save_arrays(tmp_path / "a.safetensors", found.outputs)
    read = load_arrays(tmp_path / "a.safetensors")
    assert read.keys() == found.outputs.keys()
    assert all((read[name] == found.outputs[name]).all() for name in read)
    (tmp_path / "a.safetensors").write_bytes(b"no such format")
    with pytest.raises(TracrLabError, match=r"a.safetensors is damaged"):
        load_arrays(tmp_path / "a.safetensors")
    with pytest.raises(TracrLabError, match="there is no file"):
        load_arrays(tmp_path / "b.safetensors")


def test_inputs_without_a_value_are_left_out_where_there_are_others():
    permutations = 4 + 4 * 3 + 4 * 3 * 2 + 4 * 3 * 2
    table = cached_model("sort_unique")[1]
    rows = studied_inputs(table)
    assert len(rows) == permutations
    for row in rows:
        tokens = table.domain.input(row)
        assert len(set(tokens)) == len(tokens)
    for name in ("frac_prevs", "shift_by_1"):  # no None; None at the start of every input
        table = cached_model(name)[1]
        assert len(studied_inputs(table)) == len(table.domain.codes)


def test_widths_are_spread():
    assert spread_widths(13, 100) == tuple(range(1, 14))
    assert spread_widths(21, 3) == (1, 11, 21)
    assert spread_widths(21, 3, always=(8, 30)) == (1, 8, 11, 21)
    assert spread_widths(21, 1) == (21,)


def test_widths_of_the_configuration():
    assert study_settings(StudyScale(widths=3), 21, 7).widths == (1, 8, 11, 21)
    assert study_settings(StudyScale(widths=[30, 6, 4]), 21, 7).widths == (4, 6)
    with pytest.raises(TracrLabError, match=r"none of the widths \[30\] is within the 21"):
        study_settings(StudyScale(widths=[30]), 21, 7)
    with pytest.raises(TracrLabError, match="13 directions cannot be compressed to 14"):
        study_of("frac_prevs", replace(SMALL, widths=(14,)))


def test_the_bucket_is_exact():
    architecture = cached_model("sort_unique")[0].architecture
    bucket = exact_bucket(architecture, 4)
    assert (bucket.d_model, bucket.layers, bucket.width) == (21, 2, 4)
    assert bucket.mlp_hidden == max(layer.mlp_hidden for layer in architecture.layers)


@pytest.fixture
def runs():
    """Two seeds at d = 4, 6, 8 of D = 14, worked out by hand."""
    rows = [
        (4, "gradient", 0, 0.5, 0.4, 0.80, 0.7),
        (4, "gradient", 1, 0.3, 0.2, 0.90, 0.8),
        (6, "gradient", 0, 0.2, 0.1, 1.00, 0.9),
        (6, "gradient", 1, np.nan, np.nan, 0.00, 0.1),
        (8, "gradient", 0, 0.1, 0.02, 0.995, 1.0),
        (8, "gradient", 1, 0.2, 0.01, 1.00, 1.0),
        (8, "pca", None, 0.9, 0.6, 0.50, 0.6),
    ]
    columns = ["d", "method", "seed", "loss", "output_loss", "accuracy", "cosine"]
    table = pd.DataFrame(rows, columns=columns).assign(
        program="frac_prevs", d_model=14, steps=3000, batch=16, inputs=9, inputs_right=0.5
    )
    return table.astype({"seed": "Int64"})


def test_the_best_run_of_a_width_has_the_lowest_loss(runs):
    best = best_by_width(runs)
    assert best["seed"].tolist() == [1, 0, 0]
    assert smallest_without_loss(best) == 6
    assert smallest_without_loss(best.assign(accuracy=[1.0, 0.5, 1.0])) == 8
    assert smallest_without_loss(best.assign(accuracy=[1.0, 1.0, 0.98])) is None


def test_the_summary_stands_beside_the_paper(runs, tmp_path):
    table = summary_table(runs).set_index("quantity")
    assert table["value"].to_dict() == pytest.approx(
        {
            "d_model": 14,
            "smallest d without loss": 6,
            "its share of d_model": 6 / 14,
            "best accuracy": 1,
            "d of the best accuracy": 6,
            "cosine there": 0.9,
            "final output loss at d = 8": 0.02,
            "output loss of PCA at d = 8": 0.6,
            "accuracy at d = 8": 0.995,
            "accuracy of PCA at d = 8": 0.5,
        }
    )
    assert table.loc["smallest d without loss", "paper"] == "6"
    assert table.loc["best accuracy", "scale"] == "3,000 steps, batch 16"
    path = tmp_path / "runs.csv"
    runs.to_csv(path, index=False)
    assert summary_table(read_runs(path)).set_index("quantity").equals(table)


def test_a_program_that_never_works_has_no_smallest_width(runs):
    table = summary_table(runs.assign(accuracy=0.1)).set_index("quantity")
    assert table["value"].isna()["smallest d without loss"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "there is no file"), ("a,b\n1,2\n", "no column program"), ("", "is not a table")],
)
def test_a_file_that_is_no_table_of_runs_is_named(tmp_path, text, sentence):
    path = tmp_path / "runs.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TracrLabError, match=rf"runs.csv.*{sentence}|{sentence}.*runs.csv"):
        read_runs(path)
