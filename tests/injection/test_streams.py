"""Streams and logits against the models' own outputs, GPT-2 and Llama."""

import pytest
import torch
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from tests.injection.tiny import gpt2, llama
from tracrlab.errors import TracrLabError
from tracrlab.injection.streams import StreamModel

TOKENS = torch.tensor([[5, 9, 2, 7, 1], [3, 3, 8, 0, 0]])


@pytest.fixture(params=[gpt2, llama], ids=["gpt2", "llama"])
def model(request):
    return StreamModel(request.param())


def test_streams_are_the_hidden_states(model):
    with torch.no_grad():
        run = model(TOKENS, keep=range(2 * model.layers + 1))
        theirs = model.model(TOKENS, output_hidden_states=True)
    assert sorted(run.streams) == list(range(7))
    # the last of theirs is behind the final norm
    for number, hidden in enumerate(theirs.hidden_states[:-1]):
        assert torch.equal(run.streams[2 * number], hidden)
    assert torch.equal(run.hidden, theirs.hidden_states[-1])


def test_the_middle_of_a_block_lies_between_its_halves(model):
    with torch.no_grad():
        run = model(TOKENS, keep=(2, 3, 4))
        block = model._blocks[1]
        norm = getattr(block, model._middle)
        after = run.streams[3] + block.mlp(norm(run.streams[3]))
    assert torch.allclose(run.streams[4], after, atol=1e-5)
    assert not torch.allclose(run.streams[2], run.streams[3])


def test_logits_are_those_of_the_whole_model_at_the_positions(model):
    rows, positions = torch.tensor([0, 1, 1]), torch.tensor([4, 1, 2])
    with torch.no_grad():
        ours = model.logits_at(model(TOKENS), rows, positions)
        theirs = model.model(TOKENS).logits[rows, positions]
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("stage", [0, 2, 6])
def test_an_edit_is_what_the_rest_of_the_model_reads(model, stage):
    with torch.no_grad():
        kept = model(TOKENS, keep=(stage,))
        other = kept.streams[stage].flip(0)
        edited = model(TOKENS, edits={stage: lambda _: other})
    assert torch.allclose(edited.hidden, kept.hidden.flip(0), atol=1e-5)


@pytest.mark.parametrize("stage", [2, 4, 6])
def test_a_run_resumes_from_its_stream(model, stage):
    with torch.no_grad():
        kept = model(TOKENS, keep=(stage,))
        other = kept.streams[stage].flip(0) + 0.1
        edited = model(TOKENS, edits={stage: lambda _: other})
        assert torch.equal(model.resume(TOKENS, stage, other).hidden, edited.hidden)
        assert torch.equal(model(TOKENS).hidden, kept.hidden)  # all blocks are there again


def test_logits_of_a_few_tokens_are_those_of_the_head(model):
    tokens = torch.tensor([[3, 9], [0, 5]])
    with torch.no_grad():
        hidden = model(TOKENS).hidden[:, 1]
        theirs = model.logits(hidden).gather(1, tokens)
        assert torch.allclose(model.logits_of(hidden, tokens), theirs, atol=1e-5)


def test_padding_on_the_right_changes_nothing(model):
    with torch.no_grad():
        short = model(TOKENS[1:, :3]).hidden
        padded = model(TOKENS).hidden[1:, :3]
    assert torch.allclose(short, padded, atol=1e-5)


def test_no_hook_stays_behind(model):
    with torch.no_grad():
        model(TOKENS, keep=(0, 1, 2), edits={2: torch.zeros_like})
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_another_architecture_is_refused():
    config = GPTNeoConfig(
        num_layers=2, attention_types=[[["global"], 2]], hidden_size=16, num_heads=2, vocab_size=9
    )
    with pytest.raises(TracrLabError, match="the model is a gpt_neo"):
        StreamModel(GPTNeoForCausalLM(config))
