import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.workflow.conftest import ROOT
from tracrlab.cli import app
from tracrlab.errors import TracrLabError

OWN = str(ROOT / "config" / "tasks" / "last_vowel.py")


def call(*arguments: str):
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_check_tasks_prints_and_writes_what_programs_solve(tmp_path):
    path = tmp_path / "tasks.csv"
    result = call("check-tasks", "parity", OWN, "--out", str(path))
    assert result.exit_code == 0
    assert "last_vowel vowels_only    True      2000    100.0" in result.stdout
    table = pd.read_csv(path)
    assert set(table["task"]) == {"parity", "last_vowel"}
    assert (table["program"] == 100).tolist() == table["solved"].tolist()


def test_a_task_that_its_program_does_not_solve_ends_in_a_sentence(tmp_path):
    text = (ROOT / "config" / "tasks" / "last_vowel.py").read_text()
    assert "[-1]\n" in text
    (tmp_path / "last_vowel.py").write_text(text.replace("[-1]\n", "[0]\n"))
    with pytest.raises(TracrLabError, match="program of the task last_vowel does not solve"):
        call("check-tasks", str(tmp_path / "last_vowel.py"))


def test_a_base_model_that_is_not_there_ends_in_a_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(TracrLabError, match="there is no folder nobody/nothing, and no model"):
        call("check-tasks", "count", "--config", '{"injection": {"base": "nobody/nothing"}}')


def test_pretrain_tiny_writes_a_model_and_its_table(tmp_path):
    (tmp_path / "text.txt").write_text("".join(f"Line {n} of a text.\n\n" for n in range(3000)))
    config = (
        '{"injection": {"tiny": {"text": ["%s"], "layers": 1, "width": 8, "heads": 1, "context": '
        '16, "steps": 2, "batch": 2, "negatives": 16, "held_out_windows": 2}}}'
    ) % (tmp_path / "text.txt")
    out = tmp_path / "tiny.csv"
    result = call("pretrain-tiny", str(tmp_path / "tiny"), "--config", config, "--out", str(out))
    assert result.exit_code == 0
    assert (tmp_path / "tiny" / "model.safetensors").is_file()
    assert pd.read_csv(out)["perplexity"].between(1, 70_000).all()
