"""Trainings that are stopped or killed at a random moment end as those that were left alone.

Those of decompilers: `decompiler/test_training.py`; of students: `students/test_preemption.py`.
"""

from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.injection.test_command import byte_tokenizer
from tests.injection.tiny import gpt2
from tests.preemption import check_stopped_and_then_killed, command, finish, starting

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    """What the trainings read: a base model and a text."""
    folder = tmp_path_factory.mktemp("material")
    write_base_and_text(folder)
    return folder


def write_base_and_text(folder: Path) -> None:
    tokenizer = byte_tokenizer()
    model = gpt2(layers=3, width=48, vocabulary=len(tokenizer))
    model.config.n_positions = 256
    model.transformer.wpe = torch.nn.Embedding(256, 48)
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    paragraphs = "\n\n".join(f"Paragraph {n} says little. " * 160 for n in range(8))
    (folder / "text.txt").write_text(paragraphs)


def configuration(training: str, material: Path) -> dict:
    text = {"text": [str(material / "text.txt")]}
    if training == "injection":
        small = {"train_examples": 60, "test_examples": 20, "ood_examples": 5, "text_windows": 10}
        small |= {"steps": 240, "batch": 4, "text_batch": 2, "text_length": 20, "text_places": 3}
        small |= {"checkpoint_steps": 7, "measure_steps": 40, "tasks": ["count"]}
        return {"injection": {"base": str(material / "base"), **text, **small}}
    small = {"layers": 1, "width": 8, "heads": 1, "context": 16, "batch": 4, "negatives": 64}
    small |= {"steps": 300, "checkpoint_every": 7, "held_out_windows": 2}
    return {"injection": {"tiny": {**text, **small}}}


def words_of(training: str, folder: Path) -> list:
    out = folder / "out"
    if training == "injection":
        words = ["inject", "count", "--method", "interchange", "--out", out / "model"]
        return [*words, "--losses", out / "losses.csv"]
    return ["pretrain-tiny", out / "model", "--out", out / "table.csv"]


@pytest.mark.parametrize("training", ["injection", "pretraining"])
def test_stopped_and_then_killed_it_ends_with_the_same_bytes(training, material, tmp_path):
    def command_in(folder):
        return command(words_of(training, folder), configuration(training, material), folder)

    check_stopped_and_then_killed(command_in, tmp_path)


def test_two_processes_learn_what_one_learns(material, tmp_path):
    """The same command in a job with two GPUs; here they share the processor, by gloo."""
    weights = {}
    for gpus in ("", "0,1"):
        folder = tmp_path / f"gpus{gpus}"
        folder.mkdir()
        values = configuration("injection", material)
        values["injection"] |= {"steps": 12, "measure_steps": 4}
        words = command(words_of("injection", folder), values, folder)
        with starting() as start:
            finish(start(words, folder, gpus), folder)
        weights[gpus] = {
            path.name: load_file(path) for path in (folder / "out").rglob("*.safetensors")
        }
        assert ("training in 2 processes" in (folder / "said.txt").read_text()) == bool(gpus)
    assert weights[""].keys() == weights["0,1"].keys()
    for file, tensors in weights[""].items():
        for name, tensor in tensors.items():
            torch.testing.assert_close(weights["0,1"][file][name], tensor, atol=1e-5, rtol=1e-4)
    losses = [pd.read_csv(tmp_path / f"gpus{gpus}" / "out/losses.csv") for gpus in weights]
    pd.testing.assert_frame_equal(*losses, rtol=1e-4, atol=1e-6)
    assert "Warning" not in (tmp_path / "gpus0,1" / "said.txt").read_text()
