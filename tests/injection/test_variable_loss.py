"""The loss of variables against plain sums, and what its smallest value means."""

import math

import numpy as np
import pytest
import torch

from tests.injection.tiny import counting_task
from tracrlab.injection.alignment import Alignment, LinearMap, carried_directions, rows_of
from tracrlab.injection.compiled import CompiledProgram
from tracrlab.injection.variable_loss import GAP, SHARPNESS, VariableLoss
from tracrlab.tasks.encoding import compile_task
from tracrlab.tasks.registry import load_task


@pytest.fixture(scope="module")
def setting():
    program, examples, _ = counting_task()
    codes = program.codes(examples.symbols)
    directions = carried_directions(program, codes[examples.supervised])
    alignment = Alignment((0, 2, 4, 6), (0, 2, 4, 6), directions)
    values = codes[examples.supervised][:30]
    linear_map = LinearMap(64, len(directions), generator=torch.Generator().manual_seed(0))
    return program, alignment, values, linear_map


def entropy(codes):
    """Of the codes that are not None, in nats."""
    shares = np.unique(codes[codes >= 0], return_counts=True)[1] / (codes >= 0).sum()
    return -sum(share * math.log(share) for share in shares)


def test_it_is_the_plain_mean_over_variables(setting):
    program, alignment, values, linear_map = setting
    torch.manual_seed(0)
    streams = 5 * torch.randn(4, len(values), 64)
    loss = VariableLoss(program, alignment, values)
    found = loss(linear_map, streams, torch.from_numpy(values)).item()

    unit = streams / streams.norm(dim=-1, keepdim=True)
    mapped = (unit @ linear_map.weight.T).detach().double().numpy()
    one = rows_of(alignment, [program.constant])
    terms = [float(np.mean((mapped[..., one[0]] - 1) ** 2))]
    for number, variable in enumerate(program.variables):
        rows = rows_of(alignment, variable.directions)
        if len(rows) < 2:
            continue
        surprises = []
        for stage, compiled in enumerate(alignment.compiled_stages):
            if compiled < variable.stage:
                continue
            for position, code in enumerate(values[:, number]):
                own = rows_of(alignment, [variable.directions[int(code)]]) if code >= 0 else []
                if own:
                    scores = np.exp(SHARPNESS * mapped[stage, position])
                    surprises.append(-math.log(scores[own[0]] / scores[rows].sum()))
        if surprises:
            terms.append(np.mean(surprises) / max(entropy(values[:, number]), 0.1))
    assert found == pytest.approx(np.mean(terms), rel=1e-4)


def test_a_number_is_read_by_its_distance_to_every_value():
    """Half sums from 0 to 9 in steps of a half, written out for one number."""
    task = load_task("addition")
    program = CompiledProgram(compile_task(task))
    number = [variable.name for variable in program.variables].index("units_half_sum")
    variable = program.variables[number]
    alignment = Alignment((12,), (12,), sorted([program.constant, *variable.directions]))
    values = np.zeros((6, len(program.variables)), dtype=np.float32)
    values[:, number] = [0, 0.5, 0.5, 1, 1, 2]
    loss = VariableLoss(program, alignment, values)
    linear_map = LinearMap(3, 2, generator=torch.Generator().manual_seed(1))
    streams = torch.nn.functional.normalize(torch.randn(1, 6, 3), dim=-1)
    found = loss(linear_map, streams, torch.from_numpy(values)).item()

    mapped = (streams[0] @ linear_map.weight.T).detach().double().numpy()
    one = rows_of(alignment, [program.constant])[0]
    read, truth = mapped[:, 1 - one], values[:, number].astype(float)
    nats = -(2 * (1 / 6) * math.log(1 / 6) + 2 * (1 / 3) * math.log(1 / 3))
    gap = truth.std() * math.sqrt(12) / math.exp(nats)
    surprises = []
    for x, value in zip(read, truth, strict=True):
        scores = {v: math.exp(-GAP * abs(x - v) / gap) for v in (0, 0.5, 1, 2)}
        surprises.append(-math.log(scores[value] / sum(scores.values())))
    expected = (np.mean(surprises) / nats + np.mean((mapped[:, one] - 1) ** 2)) / 2
    assert found == pytest.approx(expected, rel=1e-4)


def test_it_does_not_depend_on_the_length_of_streams(setting):
    program, alignment, values, linear_map = setting
    streams, codes = torch.randn(4, len(values), 64), torch.from_numpy(values)
    loss = VariableLoss(program, alignment, values)
    first, second = (loss(linear_map, scale * streams, codes).item() for scale in (1, 100))
    assert first == pytest.approx(second, rel=1e-4)


def test_values_that_are_none_do_not_count(setting):
    program, alignment, values, linear_map = setting
    loss = VariableLoss(program, alignment, values)
    codes = torch.full((3, values.shape[1]), -1.0)
    found = loss(linear_map, torch.randn(4, 3, 64, requires_grad=True), codes)
    assert torch.isfinite(found)
