"""Training: it learns, a stopped run ends as one that was not, and processes share the work."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from typer.testing import CliRunner

from tracrlab.cli import app
from tracrlab.config import load_config
from tracrlab.decompiler import training
from tracrlab.decompiler.circuit_model import CIRCUIT_SIZES
from tracrlab.decompiler.curve import CURVE, autoencoder_table
from tracrlab.decompiler.line_model import LINE_MODEL_SIZES
from tracrlab.decompiler.loading import Choice, ZooLoader
from tracrlab.decompiler.model import MODEL_SIZES
from tracrlab.decompiler.model_folder import load
from tracrlab.decompiler.objectives import Encoder
from tracrlab.decompiler.optimisation import schedule
from tracrlab.decompiler.settings import resolve
from tracrlab.decompiler.training import StoppedError, train
from tracrlab.errors import TracrLabError
from tracrlab.sections.decompiler import (
    AutoEncoderTraining,
    CircuitsTraining,
    LinesTraining,
    TokensTraining,
)

ROOT = Path(__file__).parents[2]

#: Dropout, noise and augmentation are on, so that a resumed run has to draw the same again.
METHOD = {
    "size": "0.5M",
    "steps": 6,
    "batch": 6,
    "accumulate": 2,
    "dropout": 0.1,
    "weight_noise": 0.05,
    "fine_tuning": {"steps": 4},
}


def settings(**changes):
    own = {
        "rows": {"ops": [3, 5]},
        "lines": METHOD,
        "tokens": METHOD,
        "circuits": METHOD,
        "autoencoder": {key: METHOD[key] for key in METHOD if key != "fine_tuning"},
        "validate_steps": 2,
        "validation_programs": 8,
        "checkpoint_steps": 100,
        "similar": 2,
    }
    return load_config({"decompiler": own | changes})


def weights_of(trained):
    return {name: value.clone() for name, value in trained.model.state_dict().items()}


def same(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(value, second[name]) for name, value in first.items())


def run(zoo, folder, config=None, method="tokens", **options):
    return train(config or settings(), "standard", method, [zoo.manifest], folder, **options)


@pytest.mark.parametrize("method", ["lines", "tokens", "circuits", "autoencoder"])
def test_training_writes_a_curve_and_a_model(small_zoo, tmp_path, method):
    trained = run(small_zoo, tmp_path, method=method)
    curve = pd.read_csv(tmp_path / "curve.csv")
    assert list(curve.columns) == list(CURVE)
    assert curve["step"].tolist() == [2, 4, 6]
    assert curve["samples"].tolist() == [12, 24, 36]
    assert curve.notna().all(axis=None)
    assert curve["token_accuracy"].between(0, 100).all()
    assert (tmp_path / "curve.tfevents").stat().st_size > 100
    trained.write(settings(), tmp_path, half=True)
    if method == "autoencoder":
        assert not (tmp_path / "model.safetensors").exists()
        return
    loaded = load(tmp_path)
    assert loaded.description.method == method
    assert loaded.description.training["samples"] == 36
    for name, value in loaded.model.state_dict().items():
        rounded = trained.model.state_dict()[name].half().float()
        assert torch.equal(value, rounded), name


def test_a_process_that_would_train_by_itself_is_refused(small_zoo, tmp_path, monkeypatch):
    Accelerator(cpu=True)  # the process is on its own from here on
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TracrLabError, match="2 processes were launched, but each trains by itself"):
        run(small_zoo, tmp_path)


def test_a_small_set_is_learned_by_heart(small_zoo, tmp_path):
    method = {"size": "0.5M", "steps": 120, "batch": 8, "learning_rate": 3e-3}
    config = settings(tokens=method, validate_steps=30)
    trained = run(small_zoo, tmp_path, config)
    losses = [line["loss"] for line in trained.lines]
    assert losses[-1] < 0.45 * losses[0]


def stop_at_step(monkeypatch, number):
    """Has SIGTERM sent while step `number` (from 0) is computed."""
    step = training._Loop._step

    def watched(self, at, pieces):
        if at == number:
            os.kill(os.getpid(), signal.SIGTERM)
        step(self, at, pieces)

    monkeypatch.setattr(training._Loop, "_step", watched)


@pytest.mark.parametrize("method", ["lines", "tokens", "circuits"])
def test_a_stopped_run_ends_as_one_that_was_not(small_zoo, tmp_path, method, monkeypatch, capsys):
    whole = run(small_zoo, tmp_path / "whole", method=method)
    stopped_at = int(np.random.default_rng().integers(5))
    with monkeypatch.context() as patch:
        stop_at_step(patch, stopped_at)
        with pytest.raises(StoppedError, match=f"stopped at step {stopped_at + 1}"):
            run(small_zoo, tmp_path / "stopped", method=method)
    resumed = run(small_zoo, tmp_path / "stopped", method=method)
    assert f"going on from step {stopped_at + 1}" in capsys.readouterr().err
    assert same(weights_of(whole), weights_of(resumed))
    assert whole.lines == resumed.lines
    curves = [(tmp_path / name / "curve.csv").read_text() for name in ("whole", "stopped")]
    assert curves[0] == curves[1]
    resumed.write(settings(), tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "checkpoints").exists()


def test_the_command_goes_on_where_it_was_stopped(small_zoo, tmp_path, monkeypatch):
    config = json.dumps(settings().model_dump(mode="json"))
    words = ["train-decompiler", str(small_zoo.manifest), "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        stop_at_step(patch, 2)
        stopped = CliRunner().invoke(app, [*words, "--config", config])
    assert isinstance(stopped.exception, StoppedError), stopped.output
    assert not (tmp_path / "model.safetensors").exists()
    ended = CliRunner().invoke(app, [*words, "--config", config])
    assert ended.exit_code == 0, ended.output
    assert load(tmp_path).description.training["steps"] == 6


def test_loader_processes_change_nothing(small_zoo, tmp_path):
    alone = run(small_zoo, tmp_path / "alone")
    ahead = run(small_zoo, tmp_path / "ahead", settings(loader_workers=2))
    assert same(weights_of(alone), weights_of(ahead))


def test_two_checkpoints_are_kept_and_a_damaged_one_is_passed_over(
    small_zoo, tmp_path, monkeypatch, capsys
):
    whole = run(small_zoo, tmp_path / "whole")
    config = settings(checkpoint_steps=1)
    with monkeypatch.context() as patch:
        stop_at_step(patch, 3)
        with pytest.raises(StoppedError):
            run(small_zoo, tmp_path, config)
    names = ["checkpoint.safetensors", "checkpoint.safetensors.previous"]
    newest, before = (tmp_path / "checkpoints" / name for name in names)
    assert before.is_file()
    newest.write_bytes(newest.read_bytes()[:-100])
    resumed = run(small_zoo, tmp_path, config)
    said = capsys.readouterr().err
    assert f"{newest} is damaged" in said
    assert "going on from step 3" in said
    assert same(weights_of(whole), weights_of(resumed))
    for path in (newest, before):
        path.write_bytes(b"damaged")
    with pytest.raises(TracrLabError, match=r"checkpoint.*previous is damaged.*delete it"):
        run(small_zoo, tmp_path, config)


def test_a_checkpoint_of_another_configuration_is_refused(small_zoo, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at_step(patch, 1)
        with pytest.raises(StoppedError):
            run(small_zoo, tmp_path)
    other = settings(tokens=METHOD | {"learning_rate": 1e-4})
    with pytest.raises(TracrLabError, match=r"is of another configuration \(run\); delete"):
        run(small_zoo, tmp_path, other)


def test_a_checkpoint_is_no_pickle(small_zoo, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at_step(patch, 1)
        with pytest.raises(StoppedError):
            run(small_zoo, tmp_path)
    (path,) = (tmp_path / "checkpoints").iterdir()
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + size])
    state = json.loads(header["__metadata__"]["tracrlab_decompiler_checkpoint"])["state"]
    assert state["step"] == 2
    assert {name.split("/")[0] for name in header} >= {"weight", "moment", "best"}


def test_fine_tuning_starts_from_the_standard_model(small_zoo, tmp_path):
    config = settings(tokens=METHOD | {"fine_tuning": {"steps": 1, "learning_rate": 1e-9}})
    first = run(small_zoo, tmp_path / "standard", config)
    first.write(config, tmp_path / "standard")
    tuned = train(
        config,
        "compressed",
        "tokens",
        [small_zoo.manifest],
        tmp_path / "compressed",
        tmp_path / "standard",
    )
    assert tuned.summary["steps"] == 1
    for name, value in weights_of(first).items():
        assert torch.allclose(value, weights_of(tuned)[name], atol=1e-6), name
    with pytest.raises(TracrLabError, match="starts from standard weights; give --start"):
        train(config, "compressed", "tokens", [small_zoo.manifest], tmp_path / "other")
    wider = settings(tokens=METHOD | {"size": "1M"})
    with pytest.raises(TracrLabError, match="has other sizes"):
        train(
            wider,
            "compressed",
            "tokens",
            [small_zoo.manifest],
            tmp_path / "wider",
            tmp_path / "standard",
        )


def test_circuits_go_by_way_of_stand_ins(small_zoo, tmp_path):
    """Standard, stand-ins, students: each starts from the one before, and reads other models."""
    tuning = {"steps": 3, "stand_ins": {"steps": 2, "learning_rate": 0.125}}
    config = settings(circuits=METHOD | {"fine_tuning": tuning})
    zoos = ["standard", "stand_ins", "compressed"]
    runs = [resolve(config.decompiler, zoo, "circuits") for zoo in zoos]
    assert [one.start for one in runs] == ["random", "standard", "stand_ins"]
    assert [one.steps for one in runs] == [6, 2, 3]
    assert runs[1].learning_rate == 0.125
    with pytest.raises(TracrLabError, match="only circuits are trained on stand_ins, not tokens"):
        resolve(config.decompiler, "stand_ins", "tokens")
    folders = [None, *(tmp_path / zoo for zoo in zoos)]
    for zoo, start, folder in zip(zoos, folders[:-1], folders[1:], strict=True):
        trained = train(config, zoo, "circuits", [small_zoo.manifest], folder, start)
        trained.write(config, folder)
        assert trained.summary["zoo"] == zoo

    def nodes(run, augmented):
        encoder = Encoder(run, augmented)
        choice = Choice("train", (3, 5))
        return next(iter(ZooLoader.of_zoo(small_zoo.manifest, choice, 16, encoder))).circuits.kind

    compiled, changed = (nodes(one, augmented=False) for one in runs[:2])
    assert (changed > 0).sum() > (compiled > 0).sum()  # layers of one size have more nodes


def test_several_zoos_are_read_as_one(small_zoo, tmp_path):
    one = run(small_zoo, tmp_path / "one")
    both = train(settings(), "standard", "tokens", [small_zoo.manifest] * 2, tmp_path / "both")
    assert both.summary["programs"] == 2 * one.summary["programs"]
    assert both.summary["zoo_manifest_sha256"] == one.summary["zoo_manifest_sha256"] * 2


def test_training_ends_early_with_the_best_weights(small_zoo, tmp_path):
    """At such a rate the validation loss soon only rises."""
    method = {"size": "0.5M", "steps": 40, "batch": 6, "learning_rate": 0.05, "warm_up": 0}
    config = settings(tokens=method, validate_steps=1, patience=3)
    trained = run(small_zoo, tmp_path, config)
    losses = [line["validation_loss"] for line in trained.lines]
    best = int(np.argmin(losses))
    assert trained.summary["best_step"] == best + 1
    assert trained.summary["steps"] == best + 4 < 40


def test_a_loss_that_is_no_number_is_named(small_zoo, tmp_path):
    method = METHOD | {"learning_rate": 1e30, "clip": 0, "warm_up": 0}
    with pytest.raises(TracrLabError, match=r"the loss is nan at step \d; lower decompiler.tokens"):
        run(small_zoo, tmp_path, settings(tokens=method))


def test_the_schedule_by_hand():
    rates = [schedule(step, 10, 0.2) for step in (0, 1, 2, 6, 9)]
    assert rates == pytest.approx([0.5, 1, 1, 0.5, 0.0380602], abs=1e-6)


def test_a_run_is_what_the_configuration_says():
    config = settings(
        variants={"plain": {"zoos": ["compressed"], "augmentation": "none", "start": "random"}},
        tokens=METHOD | {"learning_rate": 0.5, "fine_tuning": {"steps": 9, "learning_rate": 0.25}},
    ).decompiler
    standard = resolve(config, "standard", "tokens")
    assert (standard.steps, standard.learning_rate, standard.start) == (6, 0.5, "random")
    assert standard.augmentation.residual == "permute"
    tuned = resolve(config, "natural", "tokens")
    assert (tuned.steps, tuned.learning_rate, tuned.start) == (9, 0.25, "standard")
    assert tuned.augmentation.residual == "rotate"
    plain = resolve(config, "compressed", "plain")
    assert (plain.method, plain.augmentation, plain.start) == ("tokens", None, "random")
    with pytest.raises(TracrLabError, match="'plan' is no method of the decompiler and no variant"):
        resolve(config, "compressed", "plan")
    with pytest.raises(TracrLabError, match="is trained on compressed, not on natural"):
        resolve(config, "natural", "plain")


def test_every_size_of_the_configuration_is_there():
    def names(section):
        return set(get_args(section.model_fields["size"].annotation))

    assert names(LinesTraining) == set(LINE_MODEL_SIZES)
    assert names(TokensTraining) == names(AutoEncoderTraining) == set(MODEL_SIZES)
    assert names(CircuitsTraining) == set(CIRCUIT_SIZES)


def test_the_row_of_the_auto_encoder_is_its_best_line():
    lines = [(2, 8, 3.0, 2.5, 60.0, 50.0, 0.1), (4, 16, 2.0, 2.0, 80.0, 70.0, 0.1)]
    lines.append((6, 24, 1.0, 2.2, 75.0, 65.0, 0.1))
    row = autoencoder_table(pd.DataFrame(lines, columns=list(CURVE))).iloc[0]
    assert (row["steps"], row["token_accuracy"], row["thesis_token_accuracy"]) == (4, 80.0, 94.0)


#: One process of several, as `accelerate launch` starts it.
PROCESS = """
import json, sys
from pathlib import Path
from tracrlab.config import load_config
from tracrlab.decompiler.training import train

config, manifest, folder = load_config(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
trained = train(config, "standard", "tokens", [manifest], folder)
if trained.writes:
    trained.write(config, folder)
"""


def test_two_processes_take_the_steps_of_one(small_zoo, tmp_path):
    """A batch of five leaves one with three samples and the other with two."""
    method = {"size": "0.5M", "steps": 5, "batch": 10, "accumulate": 2}
    config = settings(
        tokens=method, augmentation={"standard": "none"}, similar=2, validation_programs=80
    )
    alone = run(small_zoo, tmp_path / "alone", config)
    text = json.dumps(config.model_dump(mode="json"))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(20000 + os.getpid() % 20000),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    words = [sys.executable, "-c", PROCESS, text, str(small_zoo.manifest), str(tmp_path / "two")]
    processes = [
        subprocess.Popen(
            words,
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
    shared = load_file(tmp_path / "two" / "model.safetensors")
    for name, value in weights_of(alone).items():
        # The bias of keys changes no output, so that Adam makes steps of its rounding errors.
        if value.ndim >= 2:
            assert torch.allclose(value, shared[name], atol=2e-5), name
    two = pd.read_csv(tmp_path / "two" / "curve.csv")
    one = pd.read_csv(tmp_path / "alone" / "curve.csv")
    pd.testing.assert_frame_equal(one, two, rtol=1e-4)
