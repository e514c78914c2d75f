"""Interchange interventions on a model that was trained for them, and on one that was not."""

import numpy as np
import pytest
import torch

from tests.injection.tiny import counting_task, gpt2
from tracrlab.injection.interchange import interchange_table
from tracrlab.injection.model_folder import InjectedModel
from tracrlab.injection.training import TrainingData, train
from tracrlab.sections.injection import InjectionConfig


@pytest.mark.slow
def test_answers_follow_an_interchanged_variable_where_that_was_trained():
    program, examples, held_out = counting_task()
    data = TrainingData(examples, held_out, np.zeros((0, 2), dtype=np.int64))
    config = InjectionConfig(
        steps=400, batch=24, text_batch=0, learning_rate=3e-3, measure_steps=400
    )
    result = train(gpt2(layers=4), program, data, config, "interchange", 0)

    def injected(linear_map):
        model = result.model.requires_grad_(False)
        labels = program.model.labels
        return InjectedModel(
            model, None, linear_map, result.alignment, program.variables, labels, {}, {}
        )

    table = interchange_table(injected(result.linear_map), program, held_out, seed=0)
    assert table["variable"].tolist() == ["count", "answer"]
    assert (table["count"] > 10).all()
    assert (table["accuracy"] >= 80).all()
    assert (table["low"] <= table["accuracy"]).all()
    assert (table["accuracy"] + table["kept"] <= 100).all()
    # the same subspaces turned somewhere else move the answer far less
    with torch.no_grad():
        turned = result.linear_map
        rotation = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator())).Q
        turned.weight.copy_(turned.weight @ rotation)
    elsewhere = interchange_table(injected(turned), program, held_out, seed=0)
    assert (elsewhere["accuracy"] < table["accuracy"] - 30).all()
