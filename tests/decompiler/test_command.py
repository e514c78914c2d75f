"""`tracrlab decompile` and `tracrlab decompiler ...` as a person uses them."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.decompiler.models import compiled, table
from tracrlab.cli import app
from tracrlab.errors import TracrLabError
from tracrlab.rasp import Program


def out_of(*arguments):
    """What a command prints, run in this process: libraries are loaded once."""
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments):
    """The sentence that a command is refused with."""
    with pytest.raises(TracrLabError) as caught:
        out_of(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    replace(compiled(1), program=None).save(path)
    return path


def test_decompile_writes_a_program_that_reads_as_one(model, knowing):
    text = out_of("decompile", model, "--decompiler", knowing["tokens"])
    lines = text.splitlines()
    assert lines[0].startswith("# verified: right at 100 % of the positions of 120 inputs")
    assert "1 candidates run" in lines[1]
    assert Program.from_text(text) == table(1).program


def test_decompile_as_json(model, knowing):
    record = json.loads(out_of("decompile", model, "--decompiler", knowing["tokens"], "--json"))
    assert Program.from_text(record["program"]) == table(1).program
    assert (record["verdict"], record["agreement"], record["inputs"]) == ("verified", 1.0, 120)
    assert record["same_weights"]
    assert 0 < record["confidence"] <= 1


def test_decompile_imports_no_library_that_it_does_not_need(model):
    """The first answer takes seconds, which imports are most of."""
    code = (
        "import sys; from tracrlab.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "print({'transformers', 'datasets', 'jax', 'accelerate', 'torch._dynamo'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "decompile", str(model)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "set()"


def test_what_decompile_refuses(model, knowing, tmp_path):
    folder = knowing["tokens"]
    assert "there is no model file" in refused("decompile", tmp_path / "no.safetensors")
    said = refused("decompile", model, "--decompiler", tmp_path)
    assert "is no decompiler: it has no config.json" in said
    broken = compiled(1)
    weights = {name: np.full_like(value, np.nan) for name, value in broken.weights.items()}
    replace(broken, weights=weights).save(tmp_path / "nan.safetensors")
    said = refused("decompile", tmp_path / "nan.safetensors", "--decompiler", folder)
    assert "numbers that are not finite" in said
    large = tmp_path / "large.safetensors"
    out_of("compile", "length", "--length", 150, "--out", large)
    said = refused("decompile", large, "--decompiler", folder)
    assert "and the decompiler reads at most 256" in said


def test_from_predictions_to_tables(small_zoo, knowing, tmp_path):
    config = json.dumps({"decompiler": {"evaluation": {"test_programs": 4, "most_beams": 4}}})
    predictions = tmp_path / "tokens.parquet"
    done = ["--decompiler", knowing["tokens"], "--zoo", "standard", "--name", "tokens"]
    out_of(
        "decompiler", "predict", small_zoo.manifest, *done, "--config", config,
        "--out", predictions,
    )  # fmt: skip
    for name in ("table", "by_ops", "mistakes", "confusion"):
        csv, md = tmp_path / f"{name}.csv", tmp_path / f"{name}.md"
        out_of("decompiler", name, predictions, "--out", csv, "--out", md)
        assert len(md.read_text().splitlines()) == len(pd.read_csv(csv)) + 2
    written = pd.read_csv(tmp_path / "table.csv").iloc[0]
    assert (written["exact"], written["verified"]) == (100, 100)
    said = refused("decompiler", "table", small_zoo.shards[0], "--out", tmp_path / "no.csv")
    assert "is no file of predictions" in said


def test_the_library(knowing, tmp_path):
    out = tmp_path / "library.csv"
    config = json.dumps({"decompiler": {"evaluation": {"beam": 1, "most_beams": 1}}})
    out_of("decompiler", "library", knowing["tokens"], "--config", config, "--out", out)
    written = pd.read_csv(out).set_index("program")
    assert set(written["verdict"]) <= {"verified", "plausible", "none", "not read"}
    read = written[written["verdict"] != "not read"]
    assert len(read) > 5
    assert (read["verdict"] == "verified").equals(read["agreement"] == 100)
