"""Values and target streams of a program against the compiled model itself."""

import numpy as np
import pytest
from tracr.rasp import rasp

from tests.injection.tiny import COMPUTE, OTHER, SYMBOLS, X, compiled_count, padded
from tracrlab.compiler import compile as compile_program
from tracrlab.errors import TracrLabError
from tracrlab.injection.compiled import CompiledProgram, Overrides


@pytest.fixture(scope="module")
def program():
    return CompiledProgram(compiled_count())


def test_the_variables_are_those_of_the_program_with_their_values_and_stages(program):
    found = {variable.name: variable for variable in program.variables}
    assert found["tokens"].values == SYMBOLS
    assert found["indices"].values == tuple(map(str, range(8)))
    assert found["count"].values == tuple(map(str, range(9)))
    assert set(found["answer"].values) == {*map(str, range(7)), "end"}
    assert found["tokens"].stage == 0
    # x or not in the first MLP; counted by the second layer's attention and MLP; answered after it
    assert (found["is_x"].stage, found["count"].stage, found["answer"].stage) == (2, 4, 6)
    assert program.output is program.variables[-1]
    for variable in program.variables:
        labels = [program.model.labels[direction] for direction in variable.directions]
        assert labels == [f"{variable.name}:{value}" for value in variable.values]


def test_codes_are_the_values_by_hand(program):
    codes = program.codes(padded([[X, X, OTHER, COMPUTE], [OTHER, COMPUTE]], -1))
    count = [v.name for v in program.variables].index("count")
    assert codes[0, :, count].tolist() == [1, 2, 2, 2]
    assert codes[1, :, count].tolist() == [0, 0, -1, -1]
    answers = [program.output.values[code] for code in program.outputs(codes)[0]]
    assert answers == ["end", "end", "end", "2"]


def test_streams_are_those_of_the_compiled_model(program):
    generator = np.random.default_rng(0)
    rows = [generator.integers(0, 3, size=length).tolist() for length in range(1, 9)]
    program.check_streams(padded(rows, -1), tolerance=1e-4)


def test_streams_of_numerical_variables_too():
    every = rasp.Map(lambda t: True, rasp.tokens)
    is_x = rasp.numerical(rasp.Map(lambda t: int(t == "x"), rasp.tokens))
    means = rasp.numerical(
        rasp.Aggregate(rasp.Select(every, every, rasp.Comparison.EQ), is_x, default=0)
    )
    model = compile_program(means, SYMBOLS, 5, causal=True)
    program = CompiledProgram(model)
    assert program.output.numerical
    program.check_streams(padded([[X, OTHER, X], [X, X, OTHER, OTHER, X]], -1), tolerance=1e-4)


def test_a_wrong_stream_is_named(program):
    wrong = CompiledProgram(program.model)
    wrong.written = program.written + 1
    with pytest.raises(TracrLabError, match="is 1 away from the program's value"):
        wrong.check_streams(padded([[X, COMPUTE]], -1))


def test_a_replaced_value_changes_what_follows_from_it_and_nothing_else(program):
    symbols = padded([[X, OTHER, COMPUTE], [X, X, X, COMPUTE]], -1)
    number = [v.name for v in program.variables].index("count")
    one = np.ones(1, dtype=np.int64)
    overrides = Overrides(
        ref=one * program.variables[number].ref,
        row=0 * one,
        position=2 * one,
        source_row=one,
        source_position=3 * one,
    )
    before, after = program.codes(symbols), program.counterfactual(symbols, overrides)
    changed = np.argwhere(before != after)
    assert {tuple(cell) for cell in changed.tolist()} == {
        (0, 2, number),
        (0, 2, len(program.variables) - 1),
    }
    assert program.output.values[int(after[0, 2, -1])] == "3"


def test_a_model_without_labels_or_causality_is_refused():
    model = compile_program(rasp.Map(lambda t: t, rasp.tokens), SYMBOLS, 3, causal=False)
    with pytest.raises(TracrLabError, match="compile it with causal=True"):
        CompiledProgram(model)
