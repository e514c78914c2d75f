"""The optimizer against singular values, AdamW, and a problem it must solve."""

import copy

import pytest
import torch

from tests.injection.tiny import gpt2, llama
from tracrlab.decompiler.line_model import LINE_MODEL_SIZES, LineModel
from tracrlab.decompiler.model import MODEL_SIZES, MetaModel
from tracrlab.muon import QUINTIC, TIMES, MuonAdamW, block_matrices, orthogonal


@pytest.mark.parametrize("shape", [(3, 8, 32), (2, 32, 8), (1, 16, 16)])
def test_orthogonal_matrices_keep_singular_vectors(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    # In the basis of the singular vectors the result is diagonal, with entries near 1.
    found = left.mT @ orthogonal(matrices) @ right.mT
    diagonal = found.diagonal(dim1=1, dim2=2)
    assert (found - torch.diag_embed(diagonal)).abs().max() < 1e-3
    assert 0.5 < diagonal.min() <= diagonal.max() < 1.3


@pytest.mark.parametrize("shape", [(2, 24, 64), (2, 64, 24), (2, 24, 24)])
def test_steps_on_the_square_are_those_on_the_matrix(shape):
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    matrices = left @ torch.diag(torch.logspace(0, -4, 24)) @ right
    plain = matrices / matrices.norm(dim=(1, 2), keepdim=True)
    for _ in range(TIMES):
        first, second, third = QUINTIC
        square = plain @ plain.mT
        plain = first * plain + second * square @ plain + third * square @ square @ plain
    assert torch.allclose(orthogonal(matrices), plain, atol=1e-3)


def test_other_weights_move_as_by_adamw():
    torch.manual_seed(0)
    first = torch.nn.Linear(4, 3)
    second = copy.deepcopy(first)
    ours = MuonAdamW([{"params": list(first.parameters()), "lr": 0.01}])
    theirs = torch.optim.AdamW(second.parameters(), lr=0.01, weight_decay=0.0)
    inputs = torch.randn(5, 4)
    for _ in range(4):
        for model, optimizer in ((first, ours), (second, theirs)):
            optimizer.zero_grad()
            model(inputs).square().sum().backward()
            optimizer.step()
    assert torch.allclose(first.weight, second.weight, atol=1e-6)


def test_muon_finds_a_matrix_and_goes_on_from_its_state():
    torch.manual_seed(0)
    wanted = torch.randn(6, 10)

    def run(steps: int, stop: int | None = None) -> torch.Tensor:
        weight = torch.nn.Parameter(torch.zeros(6, 10))
        optimizer = MuonAdamW([{"params": [weight], "muon": True}])
        for step in range(steps):
            if step == stop:
                state = copy.deepcopy(optimizer.state_dict())
                optimizer = MuonAdamW([{"params": [weight], "muon": True}])
                optimizer.load_state_dict(state)
            optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / steps)
            optimizer.zero_grad()
            (weight - wanted).square().sum().backward()
            optimizer.step()
        return weight.detach()

    found = run(200)
    assert (found - wanted).abs().max() < 0.1
    assert torch.equal(found, run(200, stop=70))


@pytest.mark.parametrize(
    "model",
    [gpt2(), llama(), MetaModel(MODEL_SIZES["0.5M"]), LineModel(LINE_MODEL_SIZES["0.5M"])],
    ids=["gpt2", "llama", "tokens", "lines"],
)
def test_matrices_of_blocks_are_apart(model):
    matrices, others = block_matrices(model)
    names = {id(weight): name for name, weight in model.named_parameters()}
    of_blocks = {names[id(weight)] for weight in matrices}
    rest = {names[id(weight)] for weight in others}
    assert of_blocks | rest == set(names.values())
    assert not of_blocks & rest
    assert all(".layers." in name or ".h." in name for name in of_blocks)
    for part in ("attn", "attention", "qkv", "mlp"):
        for name in names.values():
            if f".{part}." in name and name.endswith("weight"):
                assert name in of_blocks, name
    for name in rest:
        assert not name.endswith(("proj.weight", "qkv.weight", "linear1.weight")), name
    assert any("embed" in name or "wte" in name for name in rest)
