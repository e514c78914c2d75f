"""An exported decompiler answers as the original does, and its card says what it is."""

import json

import pytest
import torch
import yaml
from typer.testing import CliRunner

import tracrlab
from tests.decompiler.models import CIRCUITS, LINES, TOKENS, compiled
from tracrlab.cli import app
from tracrlab.decompiler.building import build
from tracrlab.decompiler.model_folder import save
from tracrlab.errors import TracrLabError
from tracrlab.exporting.decompiler_folder import write_decompiler


@pytest.fixture(params=[TOKENS, CIRCUITS, LINES], ids=["tokens", "circuits", "lines"])
def trained(request, tmp_path):
    torch.manual_seed(0)
    model = build(request.param)
    save(tmp_path / "trained", model, request.param)
    return tmp_path / "trained", model, request.param


def test_the_copy_answers_as_the_original(trained, tmp_path):
    folder, _, _ = trained
    write_decompiler(folder, tmp_path / "copy")
    answers = [
        tracrlab.decompile(compiled(0), decompiler, beams=2, most_beams=2)
        for decompiler in (folder, tmp_path / "copy")
    ]
    assert answers[0].program == answers[1].program
    assert answers[0].verdict == answers[1].verdict


def test_the_card_says_what_it_is(trained, tmp_path):
    folder, model, description = trained
    table = tmp_path / "table.md"
    table.write_text("| zoo | right |\n|---|---|\n| standard | 12 % |\n")
    arguments = ["--license", "apache-2.0", "--results", str(table), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["export", str(folder), *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    _, header, text = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(header)["license"] == "apache-2.0"
    assert f"{sum(p.numel() for p in model.parameters()):,}" in text
    assert f"at most {description.max_ops} ops" in text
    assert "| standard | 12 % |" in text
    largest = {
        "tokens": "256 parameter tokens",
        "circuits": "16 layers and 16 heads a layer",
        "lines": "96 blocks of 512 weights",
    }
    assert f"models of at most {largest[description.method]}." in text
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["method"] == description.method


def test_what_is_no_decompiler_is_refused_and_nothing_written(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(TracrLabError, match="is no decompiler"):
        write_decompiler(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_table_is_named(trained, tmp_path):
    with pytest.raises(TracrLabError, match="no table in Markdown"):
        write_decompiler(trained[0], tmp_path / "out", results=tmp_path / "table.csv")
