"""Training against plain versions: one step, resume, and what is refused."""

import os
import signal
import threading

import numpy as np
import pandas as pd
import pytest
import torch

from tests.injection.tiny import gpt2, llama
from tracrlab.errors import TracrLabError
from tracrlab.injection.alignment import (
    Alignment,
    LinearMap,
    basis_of_rows,
    carried_directions,
)
from tracrlab.injection.batch import Batch
from tracrlab.injection.batches import Batches, BatchSettings
from tracrlab.injection.checkpoint import load_checkpoint
from tracrlab.injection.map_start import fit_map
from tracrlab.injection.reference import Reference
from tracrlab.injection.streams import StreamModel
from tracrlab.injection.training import StoppedError, schedule, train
from tracrlab.sections.injection import InjectionConfig

#: Positions whose logits are compared, of two windows.
PLACES = np.array([[0, 5, 11], [2, 3, 4]])


def config(**values) -> InjectionConfig:
    small = {"steps": 6, "batch": 8, "text_batch": 2, "text_places": 4, "measure_steps": 2}
    return InjectionConfig.model_validate(small | values)


def weights_of(model) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def same(first, second) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_with_every_extra_term_off_a_step_is_that_of_finetuning(task, data):
    plain, off = gpt2(), gpt2()
    train(plain, task[0], data, config(), "finetune_kl", seed=3)
    extra_off = config(weights={"alignment": 0}, swap="none")
    train(off, task[0], data, extra_off, "tracr_injection", seed=3)
    # clipping sees the map's gradient, which is zero, so even that is the same
    assert same(weights_of(plain), weights_of(off))
    full = gpt2()
    train(full, task[0], data, config(), "tracr_injection", seed=3)
    assert not same(weights_of(plain), weights_of(full))


def test_the_first_step_is_plain_adamw_on_the_plain_loss(task, data):
    ours, by_hand = gpt2(), gpt2()
    settings = config(steps=1, batch=8, warm_up=0, schedule="constant", clip=0, text_batch=0)
    train(ours, task[0], data, settings, "finetune_kl", seed=0)
    codes = task[0].codes(data.train.symbols)
    settings = BatchSettings(seed=0, rows=8, width=64)
    batches = Batches(settings, task[0], Alignment((), (), ()), data.train, codes)
    part = batches.batch(0)
    optimizer = torch.optim.AdamW(by_hand.parameters(), lr=1e-3, weight_decay=0)
    logits = by_hand(torch.from_numpy(part.tokens)).logits
    chosen = logits[torch.from_numpy(part.rows), torch.from_numpy(part.positions)]
    torch.nn.functional.cross_entropy(chosen, torch.from_numpy(part.targets)).backward()
    optimizer.step()
    for name, value in by_hand.named_parameters():
        assert torch.allclose(value, ours.get_parameter(name), atol=2e-5), name


def test_token_embeddings_stay_where_blocks_alone_are_trained(task, data):
    model, before = gpt2(), weights_of(gpt2())
    train(model, task[0], data, config(trained="blocks"), "interchange", seed=0)
    after = weights_of(model)
    assert torch.equal(after["transformer.wte.weight"], before["transformer.wte.weight"])
    changed = [name for name in before if not torch.equal(after[name], before[name])]
    assert len(changed) == len(before) - 1


def test_a_fitted_map_reads_the_base_model_better_than_a_random_one(task, data):
    def first_loss(start: str) -> float:
        settings = config(steps=1, alignment={"start": start, "positions": "all"})
        run = train(gpt2(), task[0], data, settings, "tracr_injection", seed=0)
        return run.losses["alignment"][0]

    assert first_loss("random") > 0.9
    assert first_loss("fitted") < 0.4


def test_a_direction_that_no_fitted_example_has_can_still_be_projected_on(task, data):
    program = task[0]
    codes = program.codes(data.train.symbols)
    directions = carried_directions(program, codes[data.train.supervised])
    alignment = Alignment((0, 2), (0, 2), directions)
    model = StreamModel(gpt2())
    linear_map = LinearMap(model.width, len(directions), generator=torch.Generator())
    before = linear_map.weight.detach().clone()
    few = np.flatnonzero(data.train.lengths == data.train.lengths.min())[:1]
    fit_map(linear_map, model, program, alignment, data.train.take(few), codes[few])
    kept = (linear_map.weight == before).all(dim=1)
    assert 0 < kept.sum() < len(kept)
    basis_of_rows(linear_map.weight).square().sum().backward()
    assert torch.isfinite(linear_map.weight.grad).all()


@pytest.mark.parametrize("method", ["tracr_injection", "interchange"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_stopped_run_ends_as_one_that_was_not_stopped(
    task, data, method, optimizer, tmp_path, capsys
):
    # The table has one line, the mean of steps before and after the stop.
    settings = config(measure_steps=6, optimizer=optimizer)
    path = tmp_path / "checkpoint.safetensors"
    whole = train(gpt2(), task[0], data, settings, method, seed=1)
    stop_in_the_first_step(task, data, settings, method, path)
    resumed = train(gpt2(), task[0], data, settings, method, seed=1, checkpoint=path)
    assert "going on from step 1 of" in capsys.readouterr().err
    assert same(weights_of(whole.model.model), weights_of(resumed.model.model))
    assert torch.equal(whole.linear_map.weight, resumed.linear_map.weight)
    pd.testing.assert_frame_equal(whole.losses, resumed.losses)


def stop_in_the_first_step(task, data, settings, method, path):
    """Trains, and is sent SIGTERM while the first step runs."""
    seen = []

    def watch(*_):
        seen.append(1)
        if len(seen) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    assert threading.current_thread() is threading.main_thread()
    model = gpt2()
    model.transformer.wpe.register_forward_pre_hook(watch)
    with pytest.raises(StoppedError):
        train(model, task[0], data, settings, method, seed=1, checkpoint=path)


def test_a_checkpoint_of_other_settings_is_not_used(task, data, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    settings = config(checkpoint_steps=3)
    model = gpt2()
    train(model, task[0], data, settings, "tracr_injection", seed=1, checkpoint=path)
    assert path.is_file()
    optimizer = torch.optim.AdamW(model.parameters())
    assert load_checkpoint(path, model, optimizer, {"method": "another"}) is None


def test_a_damaged_checkpoint_is_named(task, data, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"damaged")
    with pytest.raises(TracrLabError, match="is damaged"):
        train(gpt2(), task[0], data, config(), "finetune_kl", seed=1, checkpoint=path)


def test_llama_is_trained_too(task, data):
    result = train(llama(), task[0], data, config(), "interchange", seed=0)
    assert np.isfinite(result.losses["loss"]).all()
    assert list(result.losses.columns) == [
        "step",
        "answer",
        "alignment",
        "text",
        "loss",
        "held_out_accuracy",
    ]


def test_too_shallow_a_model_is_refused(task, data):
    with pytest.raises(TracrLabError, match="needs 3 layers and the model has 2"):
        train(gpt2(layers=2), task[0], data, config(), "tracr_injection", seed=0)


def test_an_empty_swap_is_refused_before_training(task, data):
    settings = config(swap="map", alignment={"directions": "all"})
    with pytest.raises(TracrLabError, match="nothing is left to swap"):
        train(gpt2(width=16), task[0], data, settings, "tracr_injection", seed=0)


def test_a_loss_that_is_no_number_is_named(task, data):
    model = gpt2()
    with torch.no_grad():
        model.transformer.wte.weight.fill_(float("nan"))
    with pytest.raises(TracrLabError, match="the loss is nan at step 1"):
        train(model, task[0], data, config(), "finetune_kl", seed=0)


def test_the_schedule_by_hand():
    cosine = config(steps=10, warm_up=0.2)
    assert [schedule(step, cosine) for step in (0, 1, 2, 6)] == pytest.approx([0.5, 1, 1, 0.5])
    assert schedule(6, config(steps=10, warm_up=0.2, schedule="linear")) == pytest.approx(0.5)
    assert schedule(9, config(steps=10, warm_up=0, schedule="constant")) == 1


def test_the_reference_is_the_model_as_it_was(data):
    model = StreamModel(gpt2())
    none = np.zeros(0, dtype=np.int64)
    batches = Batch(*(none,) * 9, None, np.array([3, 7]), PLACES, none)
    with torch.no_grad():
        logits = model.model(torch.from_numpy(data.text.tokens[[3, 7]])).logits
        expected = logits[np.arange(2)[:, None], PLACES].flatten(0, 1)
        for limit in (2**30, 0):  # kept in memory, and computed each time
            reference = Reference(model, data.text, torch.device("cpu"), limit)
            first = reference.part(batches)
            for value in model.parameters():
                value.add_(0.1)
            again = reference.part(batches)
            for value in model.parameters():
                value.sub_(0.1)
            assert torch.allclose(first.reference, expected, atol=1e-5)
            assert torch.allclose(again.reference, expected, atol=1e-5)


def test_a_task_may_train_otherwise():
    settings = config(per_task={"addition": {"batch": 64}})
    assert settings.of_task("count") == settings
    assert (settings.of_task("addition").batch, settings.of_task("addition").steps) == (64, 6)
