"""`tracrlab export` as a person uses it."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tests.zoo.conftest import make_zoo
from tracrlab.cli import app
from tracrlab.errors import TracrLabError


def export(*arguments):
    done = CliRunner().invoke(app, ["export", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments):
    done = CliRunner().invoke(app, ["export", *map(str, arguments)])
    assert isinstance(done.exception, TracrLabError)
    return str(done.exception)


def test_a_manifest_becomes_a_dataset(tmp_path):
    zoo = make_zoo(tmp_path / "zoo")
    text = export(zoo.manifest, "--out", tmp_path / "data", "--license", "cc-by-4.0", "--name", "Z")
    assert ": 50 rows (" in text
    card = (tmp_path / "data" / "README.md").read_text()
    assert "license: cc-by-4.0" in card
    assert "\n# Z\n" in card


@pytest.mark.parametrize("form", ["torch", "transformer-lens", "haiku"])
def test_a_library_program_becomes_a_folder(form, tmp_path):
    text = export("hist", "--to", form, "--out", tmp_path / "hist")
    assert "weights of hist as " + form in text
    config = json.loads((tmp_path / "hist" / "config.json").read_text())
    assert "SelectorWidth" in config["program"]
    assert (tmp_path / "hist" / "model.py").exists() == (form != "haiku")


def test_a_model_file_and_a_program_of_ones_own(tmp_path):
    CliRunner().invoke(app, ["compile", "hist", "--out", str(tmp_path / "hist.safetensors")])
    export(tmp_path / "hist.safetensors", "--to", "torch", "--out", tmp_path / "a")
    text = "v1 = Map(x + 1, tokens)"
    export(text, "--to", "torch", "--vocab", "0,1", "--length", 3, "--out", tmp_path / "b")
    code = "from model import *; print(CompiledTransformer.load('.').apply([0, 1, 1]))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "b", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[1, 2, 2]"


def test_a_circuit_as_json_and_picture(tmp_path):
    outs = [tmp_path / f"circuit.{suffix}" for suffix in ("json", "pdf", "png", "svg")]
    text = export(
        "frac_prevs", "--to", "circuit", *(part for out in outs for part in ("--out", out))
    )
    assert text.endswith(": 7 components, 7 edges\n")
    assert all(out.stat().st_size > 1000 for out in outs)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("hist", "--out", "x"), "--to says the form"),
        (("hist", "--to", "torch", "--out", "x", "--out", "y"), "writes one folder"),
        (("hist", "--to", "circuit", "--out", "x.txt"), "must end in .json"),
        (("nothing.json", "--out", "x"), "no manifest"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(*arguments)
    assert not list(tmp_path.iterdir())


def test_a_student_has_no_circuit(tmp_path):
    path = tmp_path / "hist.safetensors"
    CliRunner().invoke(
        app, ["compile", "hist", "--vocab", "a,b", "--length", "3", "--out", str(path)]
    )
    small = tmp_path / "small.safetensors"
    CliRunner().invoke(app, ["compress", str(path), "--steps", "1", "--out", str(small)])
    assert "compiled model only" in refused(small, "--to", "circuit", "--out", tmp_path / "c.json")
