"""Accuracy against real generation, intervals and perplexity against plain arithmetic."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from tests.injection.tiny import END, counting_task, gpt2, llama
from tracrlab.errors import TracrLabError
from tracrlab.injection.evaluation import Accuracy, accuracy, answered, answers, perplexity, wilson
from tracrlab.injection.prompts import Examples
from tracrlab.injection.result_tables import merged, ood_table, task_table
from tracrlab.injection.streams import StreamModel
from tracrlab.injection.training import TrainingData, train
from tracrlab.injection.windows import TextWindows
from tracrlab.sections.injection import InjectionConfig


@pytest.fixture(scope="module")
def half_trained():
    """A model that answers some of the held-out examples."""
    program, examples, held_out = counting_task()
    text = TextWindows(np.zeros((0, 2), dtype=np.int64))
    config = InjectionConfig(steps=45, batch=16, text_batch=0, learning_rate=3e-3)
    result = train(
        gpt2(), program, TrainingData(examples, held_out, text), config, "finetune_kl", 0
    )
    return result.model, held_out


def test_one_pass_says_what_greedy_decoding_gives(half_trained):
    model, held_out = half_trained
    ours = answers(model, held_out, batch=5)
    assert 0 < ours.sum() < len(ours)
    with torch.no_grad():
        run = model(torch.from_numpy(held_out.tokens))
        assert (answered(model, run, held_out) == ours).all()
    for number, right in enumerate(ours):
        prompt = held_out.tokens[number, : held_out.prompts[number]]
        wanted = held_out.targets[number][held_out.supervised[number]].tolist()
        with torch.no_grad():
            said = model.model.generate(
                torch.from_numpy(prompt)[None],
                max_new_tokens=len(wanted),
                do_sample=False,
                attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
                pad_token_id=0,
                eos_token_id=END,
            )
        assert (said[0, len(prompt) :].tolist() == wanted) == right


def test_no_examples_are_refused():
    empty = Examples(*(np.zeros((0, 3), dtype=int) for _ in range(5)))
    with pytest.raises(TracrLabError, match="no examples"):
        accuracy(StreamModel(gpt2()), empty)


def test_wilson_by_hand():
    # 8 of 10: the worked example of Wilson's interval, 0.490 to 0.943
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(49.02, abs=0.01), pytest.approx(94.33, abs=0.01))
    assert wilson(0, 20)[0] == 0
    assert wilson(20, 20)[1] == pytest.approx(100)
    assert Accuracy(3, 4).percent == 75
    assert Accuracy(3, 4).interval == wilson(3, 4)


@pytest.mark.parametrize("make", [gpt2, llama])
def test_perplexity_is_that_of_a_plain_loop(make):
    model = make()
    windows = np.random.default_rng(0).integers(0, 60, size=(5, 9))
    losses = []
    with torch.no_grad():
        for window in windows:
            logits = model(torch.from_numpy(window)[None]).logits[0]
            share = torch.softmax(logits, dim=-1)
            losses += [-math.log(share[i, window[i + 1]].item()) for i in range(8)]
    assert perplexity(StreamModel(model), windows, batch=2) == pytest.approx(
        math.exp(np.mean(losses)), rel=1e-5
    )


def line(method, seed, name, right, **values):
    base = {"task": "count", "base": "tiny", "method": method, "seed": seed, "set": name}
    rest = {"solved": True, "right": right, "count": 100, "paper": None, "perplexity": 20.0}
    return base | rest | {"lambada": None, "sst2": None, "mrpc": None} | values


def test_the_tables_by_hand():
    evaluations = merged(
        [
            pd.DataFrame([line("tracr_injection", 0, "held_out", 90, perplexity=21.0)]),
            pd.DataFrame([line("no_edit", 0, "held_out", 0, sst2=60.0)]),
            pd.DataFrame([line("tracr_injection", 1, "held_out", 100)]),
            pd.DataFrame([line("tracr_injection", 0, "x_only", 50, paper=21.9)]),
            pd.DataFrame([line("no_edit", 0, "x_only", 1)]),
        ]
    )
    task = task_table(evaluations)
    assert task["method"].tolist() == ["no_edit", "tracr_injection"]
    assert task["accuracy"].tolist() == [0, 95]
    assert task["seeds"].tolist() == [1, 2]
    assert (task["low"][1], task["high"][1]) == tuple(round(x, 2) for x in wilson(190, 200))
    assert (task["lowest_seed"][1], task["highest_seed"][1]) == (90, 100)
    assert task["perplexity"].tolist() == [20, 20.5]
    assert task["sst2"][0] == 60
    assert task["mrpc"].isna().all()
    assert task["paper_accuracy"].tolist() == [0.0, 99.2]
    assert task["paper_perplexity"].tolist() == [569.7, 571.4]
    ood = ood_table(evaluations)
    assert ood["method"].tolist() == ["no_edit", "tracr_injection"]
    assert ood["accuracy"].tolist() == [1, 50]
    assert ood["paper_accuracy"][1] == 21.9
    assert ood["program_solves_it"].all()


def test_a_task_by_the_papers_own_program_stands_beside_the_papers_figures():
    rows = [line("finetune_kl", 0, "held_out", 90, task="shuffle_dyck_paper")]
    assert task_table(pd.DataFrame(rows))["paper_perplexity"].tolist() == [569.3]
