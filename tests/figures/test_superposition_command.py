"""The study's commands, from training to figures, on a small run."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from tracrlab.cli import app
from tracrlab.errors import TracrLabError
from tracrlab.figures.superposition_command import head_matrices
from tracrlab.students.study_measures import study_model

SCALE = {"seeds": 1, "steps": 4, "batch": 4, "widths": [3, 8], "start": "scaled"}
CONFIG = json.dumps({"study": SCALE | {"library": SCALE}})


def run(*arguments):
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "frac_prevs"
    run("study", "train", "frac_prevs", "--out-dir", folder, "--config", CONFIG)
    return folder


def test_training_leaves_tables_and_matrices(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {"runs.csv", "curves.csv", "matrices.safetensors", "outputs.safetensors"}
    runs = pd.read_csv(folder / "runs.csv")
    assert runs[["d", "method", "steps"]].to_numpy().tolist() == [
        [3, "gradient", 4],
        [3, "pca", 0],
        [8, "gradient", 4],
        [8, "pca", 0],
    ]


@pytest.mark.parametrize("figure", ["loss", "layers", "matrices"])
def test_every_figure_of_a_program(folder, tmp_path, figure):
    for width in ([], ["--width", 3]):
        out = tmp_path / f"{figure}.pdf"
        run("figure", "study", figure, folder, "--out", out, *width)
        assert out.read_bytes().startswith(b"%PDF")
    with pytest.raises(TracrLabError, match="--width is 5; trained were 3, 8"):
        run("figure", "study", figure, folder, "--out", out, "--width", 5)


def test_the_summary_and_the_library_figure(folder, tmp_path):
    run("study", "summary", folder / "runs.csv", "--out", tmp_path / "summary.md")
    assert "smallest d without loss" in (tmp_path / "summary.md").read_text()
    run("study", "library", "frac_prevs", "--out", tmp_path / "a.csv", "--config", CONFIG)
    run("figure", "study", "library", tmp_path / "a.csv", "--out", tmp_path / "library.svg")
    assert "frac_prevs" in (tmp_path / "library.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("study", "train", "histt", "--out-dir", "x"), "'histt' is not a library program"),
        (("figure", "study", "loss", "missing", "--out", "x.pdf"), "there is no file missing"),
        (
            ("study", "train", "hist", "--out-dir", "x", "--config", '{"study":{"widths":[99]}}'),
            "none of the widths",
        ),
    ],
)
def test_wrong_input_ends_in_one_sentence(arguments, sentence):
    with pytest.raises(TracrLabError, match=sentence):
        run(*arguments)


def test_a_head_is_its_own_columns():
    model, _ = study_model("frac_prevs")
    head = head_matrices(model, 1)
    assert {name: matrix.shape for name, matrix in head.items()} == {
        "query": (13, 6),
        "key": (13, 6),
        "value": (13, 1),
        "output": (13, 1),
    }
    assert (head["output"][:, 0] == model.weights["layer_1/attn/linear"][0]).all()
