"""A model trained for interchange interventions: it answers, and its answers follow them."""

import pytest
import torch

from tests.injection.tiny import gpt2
from tracrlab.injection.evaluation import accuracy
from tracrlab.injection.interchange import interchange_table
from tracrlab.injection.model_folder import InjectedModel
from tracrlab.injection.training import train
from tracrlab.sections.injection import InjectionConfig


@pytest.fixture(scope="module")
def trained(task, data):
    config = InjectionConfig(
        steps=300, batch=24, learning_rate=3e-3, measure_steps=300, text_batch=0
    )
    return train(gpt2(layers=4), task[0], data, config, "interchange", seed=0)


def test_a_small_model_learns_the_task(trained, data):
    assert accuracy(trained.model, data.held_out).percent >= 95


def test_answers_follow_an_interchanged_variable_where_that_was_trained(task, data, trained):
    program = task[0]

    def injected(linear_map):
        model = trained.model.requires_grad_(False)
        labels = program.model.labels
        return InjectedModel(
            model, None, linear_map, trained.alignment, program.variables, labels, {}, {}
        )

    table = interchange_table(injected(trained.linear_map), program, data.held_out, seed=0)
    assert table["variable"].tolist() == ["count", "answer"]
    assert (table["count"] > 10).all()
    assert (table["accuracy"] >= 80).all()
    assert (table["low"] <= table["accuracy"]).all()
    assert (table["accuracy"] + table["kept"] <= 100).all()
    # the same subspaces turned somewhere else move the answer far less
    with torch.no_grad():
        turned = trained.linear_map
        rotation = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator())).Q
        turned.weight.copy_(turned.weight @ rotation)
    elsewhere = interchange_table(injected(turned), program, data.held_out, seed=0)
    assert (elsewhere["accuracy"] < table["accuracy"] - 30).all()
