"""The accelerator of a training: its precision, and that it trains with the others."""

import pytest
import torch

from tracrlab.cluster.accelerating import join_accelerator, mixed_precision
from tracrlab.errors import TracrLabError


@pytest.mark.parametrize(
    ("precision", "cuda", "bfloat16", "word"),
    [
        ("auto", False, True, "no"),
        ("auto", True, False, "no"),
        ("auto", True, True, "bf16"),
        ("float32", True, True, "no"),
        ("bfloat16", False, False, "bf16"),
    ],
)
def test_precision_as_accelerate_calls_it(precision, cuda, bfloat16, word, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
    assert mixed_precision(precision) == word


def test_a_process_alone_trains():
    assert join_accelerator("float32", unused_parameters=False).num_processes == 1


def test_processes_that_do_not_find_each_other_are_refused(monkeypatch):
    """Without a LOCAL_RANK, as where no GPU is visible, `accelerate` sees one process."""
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(TracrLabError, match="4 processes were launched, but each trains by itself"):
        join_accelerator("float32", unused_parameters=False)
