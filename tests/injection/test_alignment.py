"""Pairing, the projector and the swap against slow plain versions."""

import numpy as np
import pytest
import torch

from tests.injection.tiny import COMPUTE, OTHER, X, compiled_count, padded
from tracrlab.errors import TracrLabError
from tracrlab.injection.alignment import (
    LinearMap,
    basis_of_rows,
    carried_directions,
    pair_stages,
    project,
    swap_orthogonal,
)
from tracrlab.injection.compiled import CompiledProgram


def test_pairs_of_stages_by_hand():
    assert pair_stages(2, 4) == ((0, 2, 4), (0, 2, 4))
    assert pair_stages(2, 4, stages="half_layers") == ((0, 1, 2, 3, 4), (0, 1, 2, 3, 4))
    # two layers over the first six of seven: layer 1 faces 3, layer 2 faces 6
    assert pair_stages(2, 7, "spread") == ((0, 2, 4), (0, 6, 12))
    assert pair_stages(2, 7, "spread", "half_layers") == ((0, 1, 2, 3, 4), (0, 5, 6, 11, 12))
    assert pair_stages(3, 3, "spread") == ((0, 2, 4, 6), (0, 2, 4, 6))


def test_a_program_with_more_layers_than_the_model_is_refused():
    with pytest.raises(TracrLabError, match="needs 5 layers and the model has 4"):
        pair_stages(5, 4)


def test_directions_that_carry_nothing_are_left_out():
    program = CompiledProgram(compiled_count())
    codes = program.codes(padded([[X, X, COMPUTE], [X, OTHER, COMPUTE], [X, X, COMPUTE]], -1))[:, 2]
    labels = program.model.labels
    carried = {labels[d] for d in carried_directions(program, codes)}
    assert {"tokens:compute", "indices:2", "one", "count:1", "count:2", "answer:2"} <= carried
    assert not carried & {"tokens:x", "indices:1", "count:0", "count:3", "answer:end"}
    often = {labels[d] for d in carried_directions(program, codes, min_share=0.5)}
    assert carried - often == {"count:1", "answer:1"}
    varying = {labels[d] for d in carried_directions(program, codes, "varying")}
    assert varying >= {"count:1", "count:2", "answer:1", "answer:2"}
    assert not varying & {"tokens:compute", "one", "indices:2"}
    assert len(carried_directions(program, codes, "all")) == len(labels)


def test_the_projector_is_the_least_squares_one():
    torch.manual_seed(0)
    rows, stream = torch.randn(4, 9), torch.randn(5, 9)
    inside = project(stream, basis_of_rows(rows))
    solution = torch.linalg.lstsq(rows.T.double(), stream.T.double()).solution
    assert torch.allclose(inside.double(), (rows.T.double() @ solution).T, atol=1e-5)


def test_the_projector_is_differentiable_in_the_map():
    torch.manual_seed(0)
    rows = torch.randn(3, 5, dtype=torch.float32, requires_grad=True)
    stream = torch.randn(2, 5)
    weights = torch.randn(2, 5)
    (project(stream, basis_of_rows(rows)) * weights).sum().backward()
    step = 1e-2
    for i, j in ((0, 0), (1, 3), (2, 4)):
        numbers = []
        for sign in (1, -1):
            moved = rows.detach().clone()
            moved[i, j] += sign * step
            numbers.append((project(stream, basis_of_rows(moved)) * weights).sum().item())
        assert rows.grad[i, j].item() == pytest.approx(
            (numbers[0] - numbers[1]) / (2 * step), abs=5e-3
        )


def test_the_swap_is_that_of_a_plain_loop():
    torch.manual_seed(0)
    stream, rows = torch.randn(3, 4, 6), torch.randn(2, 6)
    lengths = torch.tensor([4, 2, 3])
    projector = (torch.linalg.pinv(rows) @ rows).numpy()
    swapped = swap_orthogonal(stream, basis_of_rows(rows), lengths).numpy()
    plain = stream.numpy()
    for row in range(3):
        other = (row - 1) % 3
        for position in range(int(lengths[row])):
            from_other = plain[other, min(position, int(lengths[other]) - 1)]
            expected = plain[row, position] @ projector + from_other @ (np.eye(6) - projector)
            assert swapped[row, position] == pytest.approx(expected, abs=1e-5)
    part = swap_orthogonal(stream, basis_of_rows(rows), lengths, share=0.34).numpy()
    assert (part[:1] == swapped[:1]).all()
    assert (part[1:] == plain[1:]).all()


def test_no_gradient_crosses_the_batch():
    stream = torch.randn(3, 2, 6, requires_grad=True)
    swapped = swap_orthogonal(stream, basis_of_rows(torch.randn(2, 6)), torch.tensor([2, 2, 2]))
    swapped[1].sum().backward()
    assert stream.grad[1].abs().sum() > 0
    assert stream.grad[[0, 2]].abs().sum() == 0


def test_a_subspace_as_wide_as_the_stream_is_refused():
    with pytest.raises(TracrLabError, match="nothing is left to swap"):
        basis_of_rows(torch.randn(7, 6))


def test_the_map_has_no_bias_unless_asked_for():
    generator = torch.Generator().manual_seed(0)
    assert LinearMap(4, 3, generator=generator).bias is None
    stream = torch.randn(2, 4, dtype=torch.bfloat16)
    mapped = LinearMap(4, 3, bias=True, generator=generator)(stream)
    assert mapped.shape == (2, 3)
    assert mapped.dtype == torch.float32
