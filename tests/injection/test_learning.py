"""Small models really learn the small task; by interchange: `test_interchange.py`."""

import pytest

from tests.injection.tiny import gpt2
from tracrlab.injection.evaluation import accuracy
from tracrlab.injection.training import train
from tracrlab.sections.injection import InjectionConfig


@pytest.mark.parametrize("method", ["finetune_kl", "tracr_injection"])
def test_a_small_model_learns_the_task(task, data, method):
    config = InjectionConfig(
        steps=300, batch=24, learning_rate=3e-3, measure_steps=300, text_batch=0
    )
    result = train(gpt2(layers=4), task[0], data, config, method, seed=0)
    assert accuracy(result.model, data.held_out).percent >= 95


@pytest.mark.parametrize("method", ["finetune_kl", "interchange"])
def test_muon_and_sampled_answers_learn_the_task_in_fewer_steps(task, data, method):
    values = {"optimizer": "muon", "answer_negatives": 20, "alignment": {"start": "fitted"}}
    small = {"steps": 200, "batch": 24, "learning_rate": 5e-3, "measure_steps": 200}
    config = InjectionConfig.model_validate(small | values | {"text_batch": 0})
    result = train(gpt2(layers=4), task[0], data, config, method, seed=0)
    assert accuracy(result.model, data.held_out).percent >= 95
