import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from tracrlab.config import load_config
from tracrlab.errors import TracrLabError
from tracrlab.injection import pretraining
from tracrlab.injection.base_models import load_base
from tracrlab.injection.pretraining import (
    Corpus,
    new_model,
    perplexity,
    perplexity_table,
    pretrain,
    sampled_cross_entropy,
    schedule,
    train,
)
from tracrlab.sections.injection import TinyConfig

SMALL = TinyConfig(
    layers=2, width=16, heads=2, context=16, steps=6, batch=4, negatives=64, checkpoint_every=2
)


class Vocabulary:
    """As much of a tokenizer as a model needs."""

    eos_token_id = 0

    def __len__(self):
        return 40


@pytest.fixture
def corpus():
    """Rows that count upwards, so that there is something to learn."""
    rows = (np.arange(64)[:, None] + np.arange(16)) % 40
    return Corpus(rows, {"rows": rows[:5]}, np.bincount(rows.ravel(), minlength=40))


def logits_of(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(50, 8, generator=generator)
    embeddings = torch.randn(30, 8, generator=generator)
    targets = torch.randint(0, 30, (50,), generator=generator)
    return hidden, embeddings, targets


def test_with_every_token_drawn_once_the_loss_is_the_full_one():
    hidden, embeddings, targets = logits_of()
    sampled = sampled_cross_entropy(
        hidden, embeddings, targets, torch.arange(30), torch.full((30,), 1 / 30)
    )
    full = functional.cross_entropy(hidden @ embeddings.T, targets)
    torch.testing.assert_close(sampled, full)


def test_many_draws_come_near_the_full_loss_and_its_gradient():
    hidden, embeddings, targets = logits_of()
    chances = torch.softmax(torch.randn(30, generator=torch.Generator().manual_seed(1)), 0)
    drawn = torch.multinomial(
        chances, 40_000, replacement=True, generator=torch.Generator().manual_seed(2)
    )
    embeddings.requires_grad_()
    full = functional.cross_entropy(hidden @ embeddings.T, targets)
    (expected,) = torch.autograd.grad(full, embeddings)
    sampled = sampled_cross_entropy(hidden, embeddings, targets, drawn, chances[drawn])
    (found,) = torch.autograd.grad(sampled, embeddings)
    assert abs(sampled.item() - full.item()) < 0.02
    assert (found - expected).norm() < 0.05 * expected.norm()


def test_the_rate_rises_then_falls_to_a_tenth():
    assert [schedule(step, 100) for step in (0, 4)] == [0.2, 1.0]
    assert schedule(5, 100) == pytest.approx(1.0)
    assert schedule(100, 100) == pytest.approx(0.1)
    assert schedule(0, 1) == 1.0


def test_perplexity_by_hand():
    """A model that says 1/4 at three tokens of each window, and 1 at the fourth."""

    class Fixed(torch.nn.Module):
        def forward(self, tokens):
            logits = torch.zeros(*tokens.shape, 4)
            logits[:, -1, 2] = 100.0
            return type("Output", (), {"logits": logits})

    windows = np.array([[0, 1, 2, 3, 2], [1, 1, 1, 1, 2]])
    assert perplexity(Fixed(), windows, batch=1) == pytest.approx(4 ** (3 / 4))


def test_the_table_beside_frequencies_by_hand(corpus):
    counts = np.zeros(40, dtype=np.int64)
    counts[1] = 24
    windows = np.ones((2, 16), dtype=np.int64)
    model = new_model(SMALL, 0, Vocabulary())
    table = perplexity_table(model, Corpus(corpus.train, {"ones": windows}, counts), SMALL)
    assert table["perplexity_of_frequencies"][0] == pytest.approx(64 / 25)
    assert table["held_out_tokens"][0] == 30
    assert table["block_weights"][0] == 2 * (12 * 16**2 + 13 * 16)
    assert table["perplexity"][0] == pytest.approx(perplexity(model, windows))


def test_training_learns_what_can_be_learnt(corpus, tmp_path):
    config = SMALL.model_copy(update={"steps": 250, "learning_rate": 1e-2})
    model = new_model(config, 0, Vocabulary())
    train(model, corpus, config, 0, tmp_path / "checkpoint.safetensors")
    assert perplexity(model, corpus.held_out["rows"]) < 1.5


def test_a_stopped_run_ends_as_one_that_was_not_stopped(corpus, tmp_path, monkeypatch):
    whole, stopped, resumed = (new_model(SMALL, 0, Vocabulary()) for _ in range(3))
    checkpoint = tmp_path / "checkpoint.safetensors"
    train(whole, corpus, SMALL, 0, tmp_path / "other.safetensors")

    def interrupted(items, total, doing):
        for number, item in enumerate(items):
            if number == 5:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "progress", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(stopped, corpus, SMALL, 0, checkpoint)
    train(resumed, corpus, SMALL, 0, checkpoint)
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(stopped.lm_head.weight, resumed.lm_head.weight)


def test_a_checkpoint_of_another_configuration_is_not_used(corpus, tmp_path, capsys):
    checkpoint = tmp_path / "checkpoint.safetensors"
    train(new_model(SMALL, 0, Vocabulary()), corpus, SMALL, 0, checkpoint)
    other = SMALL.model_copy(update={"learning_rate": 1e-4})
    model, fresh = (new_model(other, 0, Vocabulary()) for _ in range(2))
    train(model, corpus, other, 0, checkpoint)
    assert "is of another configuration" in capsys.readouterr().err
    train(fresh, corpus, other, 0, tmp_path / "none.safetensors")
    assert torch.equal(model.lm_head.weight, fresh.lm_head.weight)


def test_a_damaged_checkpoint_is_named(corpus, tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    checkpoint.write_bytes(b"not a checkpoint")
    with pytest.raises(TracrLabError, match=r"is damaged .*; delete it to begin again"):
        train(new_model(SMALL, 0, Vocabulary()), corpus, SMALL, 0, checkpoint)


def test_the_pretrained_folder_is_an_ordinary_one(tmp_path):
    """From a text file to a model that `load_base` and AutoModelForCausalLM load."""
    lines = [f"The number {n} is followed by {n + 1}.\n\n" for n in range(3000)]
    (tmp_path / "text.txt").write_text("".join(lines))
    config = SMALL.model_copy(update={"text": (str(tmp_path / "text.txt"),)})
    out = tmp_path / "tiny"
    pretrain(config, 0, out, [tmp_path / "tiny.csv", tmp_path / "tiny.md"])
    model, tokenizer = load_base("tiny", out)
    assert tokenizer.encode("Hello world") == [15496, 995]
    table = pd.read_csv(tmp_path / "tiny.csv")
    assert 1 < table["perplexity"][0] < 60_000
    assert math.isfinite(table["perplexity_of_frequencies"][0])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "text.txt", "tiny", "tiny.csv", "tiny.md",
    ]  # fmt: skip
    first = (out / "model.safetensors").read_bytes()
    pretrain(config, 0, out)
    assert (out / "model.safetensors").read_bytes() == first
    assert model.config.tie_word_embeddings


def test_heads_that_do_not_divide_the_width_are_named():
    with pytest.raises(TracrLabError, match="tiny: width 100 is no multiple of heads 3"):
        load_config({"injection": {"tiny": {"width": 100, "heads": 3}}})
