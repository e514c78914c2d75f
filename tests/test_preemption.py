"""Trainings that are stopped or killed at a random moment end as those that were left alone.

Each is the command that its rule runs, as a process of its own.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.injection.test_command import byte_tokenizer
from tests.injection.tiny import gpt2
from tracrlab.config import load_config
from tracrlab.stopping import STOPPED_EXIT_CODE
from tracrlab.students.selecting import select_teachers
from tracrlab.zoo.building import build_shard
from tracrlab.zoo.manifest import write_manifest
from tracrlab.zoo.sampling import sample_shard
from tracrlab.zoo.selecting import select_programs

pytestmark = pytest.mark.slow

#: Longest wait for anything, on a machine that has other things to do.
SECONDS = 300
TRAININGS = ("injection", "pretraining", "students")


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    """What the trainings read: a base model, a text, teachers."""
    folder = tmp_path_factory.mktemp("material")
    write_base_and_text(folder)
    students = load_config(configuration("students", folder))
    sample_shard(students, 0, folder / "programs.parquet")
    select_programs(students, [folder / "programs.parquet"], [folder / "selected.parquet"])
    build_shard(students, folder / "selected.parquet", folder / "shard.parquet")
    standard = folder / "manifest.json"
    write_manifest(students, [folder / "selected.parquet"], [folder / "shard.parquet"], standard)
    select_teachers(students, "compressed", standard, [folder / "teachers.parquet"])
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
    if training == "pretraining":
        small = {"layers": 1, "width": 8, "heads": 1, "context": 16, "batch": 4, "negatives": 64}
        small |= {"steps": 300, "checkpoint_every": 7, "held_out_windows": 2}
        return {"injection": {"tiny": {**text, **small}}}
    steps = {"steps": 1500, "chunk": 50, "lanes": 2, "pool": 64, "batch": 16}
    students = {"models": 3, "shard_size": 3, "ratio": 0.6, "ops": [3, 4], "target_loss": 1e-9}
    zoo = {"programs": 6, "ops": [3, 4], "vocab": 3, "max_seq_len": 4, "shard_size": 12}
    return {"zoo": zoo, "students": {"compressed": students | {"training": steps}}}


def command(training: str, material: Path, folder: Path) -> list[str]:
    config = folder / "config.json"
    config.write_text(json.dumps(configuration(training, material)))
    words = {
        "injection": ["inject", "count", "--method", "interchange", "--out", folder / "out/model"],
        "pretraining": ["pretrain-tiny", folder / "out/model", "--out", folder / "out/table.csv"],
        "students": ["students", "make", "compressed", material / "teachers.parquet"],
    }[training]
    if training == "injection":
        words += ["--losses", folder / "out/losses.csv"]
    if training == "students":
        words += ["--out", folder / "out/shard.parquet"]
    return [sys.executable, "-m", "tracrlab.cli", *map(str, words), "--config", str(config)]


@pytest.fixture
def start():
    """Starts commands; those that a failed test leaves behind are ended."""
    children = []

    def started(words: list[str], folder: Path, gpus: str = "") -> subprocess.Popen:
        (folder / "out").mkdir(exist_ok=True)
        own = {"OMP_NUM_THREADS": "1", "NPROC": "1", "CUDA_VISIBLE_DEVICES": gpus}
        with open(folder / "said.txt", "ab") as said:
            child = subprocess.Popen(words, stdout=said, stderr=said, env=os.environ | own)
        children.append(child)
        return child

    yield started
    for child in children:
        if child.poll() is None:
            child.kill()
            child.wait()


def finish(child: subprocess.Popen, folder: Path) -> None:
    assert child.wait(SECONDS) == 0, (folder / "said.txt").read_text()[-3000:]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in (folder / "out").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def wait_for(ready, child: subprocess.Popen, folder: Path) -> None:
    end = time.monotonic() + SECONDS
    while not ready():
        assert child.poll() is None, (folder / "said.txt").read_text()[-3000:]
        assert time.monotonic() < end
        time.sleep(0.01)


def is_training(child: subprocess.Popen) -> bool:
    """Whether a process handles SIGTERM itself, as it does from its first step to its last."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))


@pytest.mark.parametrize("training", TRAININGS)
def test_stopped_and_then_killed_it_ends_with_the_same_bytes(training, material, start, tmp_path):
    left_alone, interrupted = tmp_path / "left_alone", tmp_path / "interrupted"
    for folder in (left_alone, interrupted):
        folder.mkdir()
    alone = start(command(training, material, left_alone), left_alone)
    words = command(training, material, interrupted)

    child = start(words, interrupted)
    wait_for(lambda: is_training(child), child, interrupted)
    time.sleep(random.uniform(0, 1))
    child.send_signal(signal.SIGTERM)
    assert child.wait(SECONDS) == STOPPED_EXIT_CODE, (interrupted / "said.txt").read_text()
    checkpoints = list((interrupted / "out").glob("*.checkpoint*"))
    assert checkpoints
    assert "holds the" in (interrupted / "said.txt").read_text()

    child = start(words, interrupted)
    wait_for(lambda: is_training(child), child, interrupted)
    time.sleep(random.uniform(0, 1))
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert any(path.exists() for path in checkpoints), "the newest, or the one before it"

    finish(start(words, interrupted), interrupted)
    finish(alone, left_alone)
    assert not list((interrupted / "out").glob("*.checkpoint*"))
    assert contents(interrupted) == contents(left_alone)


def test_two_processes_learn_what_one_learns(material, start, tmp_path):
    """The same command in a job with two GPUs; here they share the processor, by gloo."""
    weights = {}
    for gpus in ("", "0,1"):
        folder = tmp_path / f"gpus{gpus}"
        folder.mkdir()
        values = configuration("injection", material)
        values["injection"] |= {"steps": 12, "measure_steps": 4}
        words = command("injection", material, folder)
        (folder / "config.json").write_text(json.dumps(values))
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
