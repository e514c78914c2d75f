"""NaN and Inf are refused with the place; every metric is tested on numbers worked out by hand."""

import inspect
from importlib import import_module

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.trust.kinds_of_files import KINDS
from tests.workflow.conftest import ROOT
from tracrlab.compiler import CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.tables import write_tables
from tracrlab.zoo import read_rows, verify_shard

NUMBERS = [float("nan"), float("inf"), float("-inf")]

#: Every function that gives a figure, with the test of it on numbers worked out by hand or on a
#: plain loop.
METRICS = {
    "decompiler.metrics": {
        "count_slots": "decompiler/test_metrics.py::test_slots_by_hand",
        "equivalent": "decompiler/test_metrics.py::test_equivalence",
        "score": "decompiler/test_metrics.py::test_scores_by_hand",
        "score_by_ops": "decompiler/test_metrics.py::test_scores_by_number_of_ops",
        "score_table": "decompiler/test_metrics.py::test_scores_by_number_of_ops",
        "share_by": "decompiler/test_metrics.py::test_shares_by_key",
    },
    "injection.evaluation": {
        "wilson": "injection/test_evaluation.py::test_wilson_by_hand",
        "answers": "injection/test_evaluation.py::test_one_pass_says_what_greedy_decoding_gives",
        "answered": "injection/test_evaluation.py::test_one_pass_says_what_greedy_decoding_gives",
        "accuracy": "injection/test_evaluation.py::test_one_pass_says_what_greedy_decoding_gives",
        "perplexity": "injection/test_evaluation.py::test_perplexity_is_that_of_a_plain_loop",
        "batches_by_length": "trust/test_silent_errors.py::test_batches_by_length_by_hand",
        "require_finite": "trust/test_silent_errors.py::test_outputs_of_a_model",
    },
    "injection.losses": {
        "answer_loss": "injection/test_losses.py::test_cross_entropy_by_hand",
        "sampled_answer_loss": "injection/test_losses.py::test_a_sample_of_all",
        "alignment_loss": "injection/test_losses.py::test_cosine_loss_by_hand",
        "text_loss": "injection/test_losses.py::test_divergence_by_hand",
        "sampled_text_loss": "injection/test_losses.py::test_the_sampled_divergence_by_hand",
    },
    "injection.retention": {
        "retention": "trust/test_silent_errors.py::test_lambada_by_hand",
        "classification": "trust/test_silent_errors.py::test_classification_by_hand",
        "lambada": "trust/test_silent_errors.py::test_lambada_by_hand",
    },
    "students.losses": {
        "distance": "students/test_transformer.py::",
        "mean_square": "students/test_transformer.py::",
    },
    "students.outcomes": {
        "load_outcomes": "students/test_shards.py::test_outcomes_by_hand",
        "summary": "students/test_shards.py::test_outcomes_by_hand",
    },
}


@pytest.mark.parametrize("module", METRICS)
def test_every_metric_has_a_test_by_hand(module, tally):
    made = import_module(f"tracrlab.{module}")
    public = {
        name
        for name, value in vars(made).items()
        if inspect.isfunction(value) and value.__module__ == made.__name__ and name[0] != "_"
    }
    assert public == METRICS[module].keys()
    for name, place in METRICS[module].items():
        path, _, test = place.partition("::")
        text = (ROOT / "tests" / path).read_text()
        assert f"def {test}" in text, place
        if not path.startswith("trust"):
            assert f"{name}(" in text, place
    tally(9, "metrics with a test by hand", len(public))


@pytest.mark.parametrize("number", NUMBERS)
def test_weights_of_a_shard(number, tmp_path, tally):
    path = tmp_path / "shard.parquet"
    KINDS["shard.parquet"].write(path)
    rows = pq.read_table(path).to_pylist()
    from tracrlab.zoo.schema import open_parquet
    from tracrlab.zoo.writing import row_writer

    for place in (0, len(rows[2]["weights"]) // 2, -1):
        changed = [dict(row) for row in rows]
        changed[2]["weights"] = list(rows[2]["weights"])
        changed[2]["weights"][place] = number
        other = tmp_path / "other.parquet"
        with row_writer(other, open_parquet(path, "zoo")[1]) as writer:
            for row in changed:
                writer.write(row)
        with pytest.raises(TracrLabError, match="row 2 has weights that are not finite"):
            [row.model for row in read_rows(other)]
        assert verify_shard(other).failures == ("row 2: row 2 has weights that are not finite.",)
    tally(9, "NaN or Inf planted, refused with the place", 3)


@pytest.mark.parametrize("number", NUMBERS)
def test_weights_of_a_model(number, tmp_path, tally):
    path = tmp_path / "model.safetensors"
    KINDS["compiled.safetensors"].write(path)
    names = list(CompiledModel.load(path).weights)
    for name in names:
        model = CompiledModel.load(path)
        model.weights[name].flat[-1] = number
        model.save(tmp_path / "other.safetensors")
        with pytest.raises(TracrLabError, match=f"weight {name} holds numbers that are not fin"):
            CompiledModel.load(tmp_path / "other.safetensors")
    tally(9, "NaN or Inf planted, refused with the place", len(names))


@pytest.mark.parametrize("number", NUMBERS[1:])
def test_a_table(number, tmp_path, tally):
    table = pd.DataFrame({"name": ["a", "b", "c"], "share": [0.5, number, None]})
    with pytest.raises(TracrLabError, match=r"t\.csv would hold an infinite share in line 2"):
        write_tables(table, [tmp_path / "t.csv", tmp_path / "t.md"])
    assert not list(tmp_path.iterdir())
    tally(9, "NaN or Inf planted, refused with the place", 1)


@pytest.fixture
def broken():
    """A language model with one number that is none."""
    import torch

    from tests.injection.tiny import gpt2
    from tracrlab.injection.streams import StreamModel

    def make(number):
        model = gpt2(layers=2, width=16)
        with torch.no_grad():
            model.transformer.h[1].mlp.c_fc.weight[3, 5] = number
        return StreamModel(model)

    return make


@pytest.mark.parametrize("number", NUMBERS)
def test_outputs_of_a_model(number, broken, tally):
    from tests.injection.tiny import counting_task
    from tracrlab.injection.evaluation import accuracy, perplexity

    _, _, held_out = counting_task()
    with pytest.raises(TracrLabError, match="not finite on the examples of a task"):
        accuracy(broken(number), held_out)
    with pytest.raises(TracrLabError, match="not finite on windows of text"):
        perplexity(broken(number), np.arange(20).reshape(2, 10))
    tally(9, "NaN or Inf planted, refused with the place", 2)


@pytest.mark.parametrize("number", NUMBERS[:2])
def test_losses_of_pretraining(number, tmp_path, tally):
    import torch

    from tests.injection.test_pretraining import SMALL, Vocabulary
    from tracrlab.injection.pretraining import Corpus, new_model, perplexity, train

    rows = (np.arange(64)[:, None] + np.arange(16)) % 40
    corpus = Corpus(rows, {"rows": rows[:5]}, np.bincount(rows.ravel(), minlength=40))
    model = new_model(SMALL, 0, Vocabulary())
    with torch.no_grad():
        model.transformer.h[0].ln_1.weight[0] = number
    with pytest.raises(TracrLabError, match=r"the loss is nan at step 1; lower injection\.tiny"):
        train(model, corpus, SMALL, 0, tmp_path / "checkpoint.safetensors")
    with pytest.raises(TracrLabError, match="not finite on held-out text"):
        perplexity(model, rows[:3])
    tally(9, "NaN or Inf planted, refused with the place", 2)


def test_batches_by_length_by_hand():
    from tracrlab.injection.evaluation import batches_by_length

    found = [batch.tolist() for batch in batches_by_length(np.array([5, 1, 3, 2]), 2)]
    assert sorted(map(sorted, found)) == [[0, 2], [1, 3]]


class Letters:
    """A tokenizer of small letters; spaces are nothing."""

    def encode(self, text, add_special_tokens):
        return [ord(letter) - ord("a") for letter in text if letter != " "]


class NextLetter:
    """A model that always says the letter after the one it reads."""

    class model:
        device = "cpu"

    def __call__(self, tokens):
        import torch

        self.hidden = torch.nn.functional.one_hot((tokens + 1) % 26, 26).float()
        return self

    def logits(self, hidden):
        return hidden

    def logits_at(self, run, rows, positions):
        return run.hidden[rows, positions]


def test_lambada_by_hand():
    """The first passage ends as the model says; all letters of a last word must be right."""
    from tracrlab.injection.retention import lambada, retention

    passages = ["x y a b", "x y a c", "a bcd", "a bce"]
    assert lambada(NextLetter(), Letters(), passages, 10) == 50.0
    assert lambada(NextLetter(), Letters(), passages[:1], 10) == 100.0
    rows = [{"text": text} for text in passages[1:]]
    assert retention(NextLetter(), Letters(), "lambada", rows, 10) == pytest.approx(100 / 3)


def test_classification_by_hand():
    """Behind "a" it says "b", the word of class 0; behind "y b" it says "c", that of class 1."""
    from tracrlab.injection.retention import classification

    texts, words = ["a", "y b", "x y a", "b"], (" b", " c")
    assert classification(NextLetter(), Letters(), texts, words, [0, 1, 0, 1], 10) == 100.0
    assert classification(NextLetter(), Letters(), texts, words, [0, 0, 0, 1], 10) == 75.0
