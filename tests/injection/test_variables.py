"""Decoding, noise and interchanges on streams that are built to hold the program's values."""

import numpy as np
import pytest
import torch

from tests.injection.tiny import (
    ASK,
    COMPUTE,
    TOKEN_X,
    TOKEN_Y,
    WORDS,
    X,
    counting_examples,
    counting_task,
    gpt2,
    padded,
)
from tracrlab.errors import TracrLabError
from tracrlab.injection.alignment import Alignment, LinearMap, pair_stages
from tracrlab.injection.compiled import CompiledProgram
from tracrlab.injection.model_folder import InjectedModel
from tracrlab.injection.noise import add_noise, noise_table
from tracrlab.injection.streams import Run, StreamModel
from tracrlab.injection.variables import decode_variable, decoded_table, variable_table

SYMBOL_OF = {TOKEN_X: X, ASK: COMPUTE}


class BuiltStreams(StreamModel):
    """A model whose stream at each stage is the compiled one, in another basis, scaled."""

    def __init__(self, program: CompiledProgram, width: int = 64):
        super().__init__(gpt2(width=width))
        self.program = program
        directions = program.model.architecture.d_model
        basis = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))[0]
        self.basis = torch.from_numpy(basis[:, :directions].astype(np.float32))

    def resume(self, tokens, stage, stream):
        return Run({}, torch.zeros(*tokens.shape, self.width))

    def forward(self, tokens, keep=(), edits=None):
        rows = [[SYMBOL_OF.get(token, 1) for token in row] for row in tokens.tolist()]
        streams = self.program.streams(self.program.codes(np.array(rows), strict=False), range(7))
        built = {stage: 3 * torch.from_numpy(streams[:, :, stage]) @ self.basis.T for stage in keep}
        return Run(built, torch.zeros(*tokens.shape, self.width))


@pytest.fixture(scope="module")
def built():
    program, _, held_out = counting_task()
    model = BuiltStreams(program)
    stages = pair_stages(program.layers, 3, stages="half_layers")
    alignment = Alignment(*stages, tuple(range(program.model.architecture.d_model)))
    linear_map = LinearMap(64, len(alignment.directions), generator=torch.Generator())
    with torch.no_grad():
        linear_map.weight.copy_(model.basis.T)
    injected = InjectedModel(
        model, None, linear_map, alignment, program.variables, program.model.labels, {}, {}
    )
    return injected, program, held_out


@pytest.mark.parametrize("positions", ["supervised", "all"])
def test_variables_of_a_stream_that_holds_them_are_all_right(built, positions):
    table = variable_table(*built, positions=positions)
    assert set(table["variable"]) == {v.name for v in built[1].variables}
    assert (table["accuracy"] == 100).all()
    # from the stage at which each is written on, seven stages in all
    written = {v.name: v.stage for v in built[1].variables}
    for name, rows in table.groupby("variable"):
        assert rows["compiled_stage"].tolist() == list(range(written[name], 7))


def test_a_stream_without_a_variable_is_decoded_by_chance(built):
    injected, program, held_out = built
    count = next(v for v in program.variables if v.name == "count")
    with torch.no_grad():
        before = injected.linear_map.weight.clone()
        injected.linear_map.weight[list(count.directions)] *= 0
    table = variable_table(injected, program, held_out).set_index("variable")
    with torch.no_grad():
        injected.linear_map.weight.copy_(before)
    assert table.loc["count", "accuracy"].max() < 50
    assert (table.drop("count")["accuracy"] == 100).all()


def test_the_decoded_table_of_one_prompt(built):
    tokens = [*WORDS, TOKEN_X, TOKEN_Y, TOKEN_X, ASK]
    table = decoded_table(built[0], tokens, ["a", "b", "x", "y", "x", ":"])
    assert table["token"].tolist() == ["a", "b", "x", "y", "x", ":"]
    assert table["count"].tolist() == ["0", "0", "1", "1", "2", "2"]
    assert table["answer"].tolist() == ["end"] * 5 + ["2"]
    early = decoded_table(built[0], tokens, list("abxyx:"), stage=0)
    assert early["indices"].tolist() == list("012345")
    assert (early["count"] == "").all()


def test_a_numerical_variable_is_measured_against_the_direction_one():
    variable = type("V", (), {"directions": (1,), "numerical": True, "values": ()})()
    alignment = Alignment((0,), (0,), (0, 1))
    mapped = np.array([[2.0, 1.0], [0.5, -0.49], [3.0, 0.1]])  # 0.5, -0.98 and 0.033 times one
    decoded = decode_variable(variable, alignment, mapped, 0, [-1.0, 0.0, 0.5])
    assert decoded.tolist() == [2, 0, 1]
    assert decode_variable(variable, alignment, mapped, None, [1.0]).tolist() == [-1, -1, -1]


def test_a_model_without_a_map_has_no_variables(built):
    injected = InjectedModel(
        built[0].model, None, None, built[0].alignment, (), (), {}, {}, {"method": "finetune_kl"}
    )
    with pytest.raises(TracrLabError, match="trained by finetune_kl, which aligns nothing"):
        decoded_table(injected, [1], ["x"])


def test_noise_has_its_norm_and_stays_in_its_subspace():
    basis = torch.linalg.qr(torch.randn(8, 3)).Q
    stream = torch.zeros(2, 5, 8)
    noisy = add_noise(stream, basis, 2.5, torch.Generator().manual_seed(0))
    assert torch.allclose(noisy.norm(dim=-1), torch.tensor(2.5), atol=1e-5)
    assert torch.allclose(noisy @ basis @ basis.T, noisy, atol=1e-5)


def test_the_noise_table_has_a_line_for_each_subspace_and_norm():
    program, _, held_out = counting_task()
    model = StreamModel(gpt2())
    alignment = Alignment((0, 2, 4, 6), (0, 2, 4, 6), tuple(range(len(program.written))))
    linear_map = LinearMap(64, len(alignment.directions), generator=torch.Generator())
    injected = InjectedModel(
        model,
        None,
        linear_map.requires_grad_(False),
        alignment,
        program.variables,
        program.model.labels,
        {},
        {},
    )
    table = noise_table(injected, held_out, (0, 1.0), seed=0, draws=2)
    assert table[["subspace", "norm"]].to_numpy().tolist() == [
        ["answer", 0],
        ["random", 0],
        ["answer", 1.0],
        ["random", 1.0],
    ]
    assert (table["count"] == 2 * len(held_out)).all()
    assert table["right"][0] == table["right"][1]


def test_padding_is_not_read(built):
    injected, program, _ = built
    ragged = counting_examples([[TOKEN_X], [TOKEN_X, TOKEN_Y, TOKEN_X]])
    table = variable_table(injected, program, ragged, positions="all")
    assert table["count"].max() == int(ragged.lengths.sum())
    assert padded([[1], [1, 2]], 0).shape == (2, 2)
