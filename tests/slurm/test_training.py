"""Trainings that SLURM takes off their node end with the weights of a local run."""

import json
import os
import random
import time
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

from tests.slurm.conftest import ROOT, Submission, changed_profile, wait_until
from tests.slurm.sandbox import TEMPLATES
from tests.slurm.test_faults import of_rule
from tests.test_preemption import configuration, write_base_and_text

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

TRAINING = TEMPLATES.parent / "training.smk"
CHECKPOINTS = {
    "inject": "results/injection/model.checkpoint.safetensors",
    "pretrain_tiny": "results/tiny.checkpoint.safetensors",
}


def prepared(folder: Path, material: Path) -> Submission:
    run = Submission(folder, TRAINING)
    for training in ("injection", "pretraining"):
        values = configuration(training, material)
        (folder / f"{training}.json").write_text(json.dumps(values))
    return run


def weights(folder: Path) -> dict[str, bytes]:
    paths = [path for path in (folder / "results").rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def at_work(folder: Path, but: Container[str]) -> Iterator[str]:
    """Rules whose training has written a checkpoint, but for some."""
    for rule, checkpoint in CHECKPOINTS.items():
        if rule not in but and (folder / checkpoint).exists():
            yield rule


def test_a_requeued_and_a_signalled_training_go_on_where_they_were(idle, tmp_path):
    """One in two processes, a GPU each, is requeued; one is sent SIGTERM, fails and is repeated."""

    def two_gpus(values):
        values["set-resources"]["inject"]["gpu"] = 2

    write_base_and_text(tmp_path)
    run = prepared(tmp_path / "run", tmp_path)
    child = run.start(profile=changed_profile(tmp_path, two_gpus))
    interrupted = {}
    while len(interrupted) < len(CHECKPOINTS):
        rule = wait_until(lambda: next(at_work(run.folder, interrupted), ""), 240, "a checkpoint")
        time.sleep(random.uniform(0, 0.5))
        (job,) = of_rule(idle.jobs(), rule)
        interrupted[rule] = job["JobId"]
        how = {"inject": ("scontrol", "requeue"), "pretrain_tiny": ("scancel", "--signal=TERM")}
        idle.ask(*how[rule], job["JobId"])
    code, said = run.finish(child, timeout=400)
    assert code == 0, said
    (requeued,) = of_rule(idle.jobs(), "inject")
    assert (requeued["JobId"], requeued["Restarts"]) == (interrupted["inject"], "1")
    states = [job["JobState"] for job in of_rule(idle.jobs(), "pretrain_tiny")]
    assert states == ["FAILED", "COMPLETED"]
    for rule in CHECKPOINTS:
        assert "going on from step" in (run.folder / f"logs/{rule}.log").read_text()
    assert "training in 2 processes" in (run.folder / "logs/inject.log").read_text()

    local = prepared(tmp_path / "local", tmp_path)
    code, said = local.run(
        profile=ROOT / "profiles" / "local",
        fast=("--resources", "gpu=1", "--cores", "2"),
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "0,1"},
    )
    assert code == 0, said
    assert weights(run.folder) == weights(local.folder)
