"""The losses on numbers worked out by hand."""

import math

import pytest
import torch

from tracrlab.injection.losses import (
    alignment_loss,
    answer_loss,
    sampled_answer_loss,
    sampled_text_loss,
    text_loss,
)


def test_cosine_loss_by_hand():
    # stage 0: parallel (0) and opposite (2); stage 1: orthogonal (1) and 45 degrees (1 - 1/sqrt 2)
    mapped = torch.tensor([[[2.0, 0], [-1, 0]], [[0, 3], [1, 1]]])
    compiled = torch.tensor([[[1.0, 0], [1, 0]], [[1, 0], [1, 0]]])
    by_stage = [(0 + 2) / 2, (1 + 1 - 1 / math.sqrt(2)) / 2]
    assert alignment_loss(mapped, compiled).item() == pytest.approx(sum(by_stage) / 2)
    # k + 1 = 2 stages, divided by k = 1 as the paper prints it
    assert alignment_loss(mapped, compiled, 1).item() == pytest.approx(sum(by_stage))


def test_cross_entropy_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    expected = -(math.log(0.25) + math.log(0.8)) / 2
    assert answer_loss(logits, torch.tensor([1, 2])).item() == pytest.approx(expected)


def test_divergence_by_hand():
    reference = torch.log(torch.tensor([[0.5, 0.5], [0.9, 0.1]]))
    logits = torch.log(torch.tensor([[0.25, 0.75], [0.9, 0.1]]))
    first = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert text_loss(logits, reference).item() == pytest.approx(first / 2, abs=1e-6)
    assert text_loss(reference, reference).item() == pytest.approx(0, abs=1e-6)


def test_a_sample_of_all_other_tokens_gives_the_exact_loss():
    torch.manual_seed(0)
    hidden, embeddings = torch.randn(5, 4), torch.randn(12, 4)
    answers = torch.tensor([2, 7, 9])
    others = torch.tensor([token for token in range(12) if token not in (2, 7, 9)])
    numbers = torch.tensor([0, 2, 1, 1, 0])
    exact = answer_loss(hidden @ embeddings.T, answers[numbers])
    assert sampled_answer_loss(
        hidden, embeddings, numbers, answers, others
    ).item() == pytest.approx(exact.item(), rel=1e-5)
    drawn = others[torch.randint(len(others), (20_000,))]
    sampled = sampled_answer_loss(hidden, embeddings, numbers, answers, drawn)
    assert sampled.item() == pytest.approx(exact.item(), rel=0.03)


def test_the_sampled_divergence_by_hand():
    # differences 0 and log 3, mean exp 2: log 2 - log(3) / 2, times n / (n - 1) = 2
    reference = torch.tensor([[5.0, -1.0]])
    logits = reference + torch.tensor([[0.0, math.log(3)]])
    expected = 2 * (math.log(2) - math.log(3) / 2)
    assert sampled_text_loss(logits, reference).item() == pytest.approx(expected)
    # what is added to all logits of a model changes no prediction
    assert sampled_text_loss(reference + 7, reference).item() == pytest.approx(0, abs=1e-6)


def test_the_sampled_divergence_is_the_exact_one_in_the_mean():
    generator = torch.Generator().manual_seed(0)
    reference = 2 * torch.randn(1, 50, generator=generator)
    logits = reference + 0.4 * torch.randn(1, 50, generator=generator)
    drawn = torch.multinomial(
        reference.softmax(-1).expand(5_000, -1), 16, True, generator=generator
    )
    sampled = sampled_text_loss(
        logits.expand(5_000, -1).gather(1, drawn), reference.expand(5_000, -1).gather(1, drawn)
    )
    assert sampled.item() == pytest.approx(text_loss(logits, reference).item(), rel=0.05)
