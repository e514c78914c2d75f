import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import programs
from tracrlab import TracrLabError
from tracrlab.decompiler.program_encoding import (
    MAX_LINES,
    content_slots,
    left_out,
    line_form,
    lines_text,
    pad_programs,
    parse_lines,
    program_of_lines,
    unpad_programs,
)
from tracrlab.rasp import Program
from tracrlab.rasp.program import FIRST_OP, INPUTS
from tracrlab.rasp.tokens import END, PAD, START

HIST = Program.from_text("same = Select(tokens, tokens, key == query)\nhist = SelectorWidth(same)")


def plain_lines(program, *, sort_operands):
    """The lines, op by op, as the thesis describes them."""
    names = [*INPUTS, *(f"v{number + 1}" for number in range(len(program.ops)))]
    lines = []
    for number, op in enumerate(program.ops):
        variables = [names[ref] for ref in op.operands]
        if sort_operands:
            variables.sort()
        functions = [op.function.template] if op.function else []
        arguments = [*functions, *variables]
        arguments += ["NA"] * (3 - len(arguments))
        lines.append((op.kind, *arguments, names[number + FIRST_OP]))
    return lines


def test_the_form_of_the_thesis():
    (lines,) = line_form([HIST.tokens()])

    assert lines.shape == (MAX_LINES, 5)
    assert lines_text(lines) == [
        ("Select", "key == query", "tokens", "tokens", "v1"),
        ("SelectorWidth", "v1", "NA", "NA", "v2"),
    ]


def test_variables_are_in_alphabetical_order():
    program = Program.from_text("a = Map(x + 1, indices)\nb = SequenceMap(x - y, tokens, a)")
    swapped = Program.from_text("a = Map(x + 1, indices)\nb = SequenceMap(x - y, a, tokens)")
    written = [line_form([p.tokens()], sort_operands=False)[0] for p in (program, swapped)]
    ordered = [line_form([p.tokens()])[0] for p in (program, swapped)]

    assert not np.array_equal(*written)
    assert np.array_equal(*ordered)
    assert lines_text(ordered[1])[1] == ("SequenceMap", "x - y", "tokens", "v1", "v2")


@given(st.lists(programs(max_ops=10), max_size=4), st.booleans())
def test_lines_of_many_programs_are_those_of_each(many, sort_operands):
    lines = line_form([program.tokens() for program in many], sort_operands=sort_operands)

    assert [lines_text(one) for one in lines] == [
        plain_lines(program, sort_operands=sort_operands) for program in many
    ]
    for one in lines:
        assert np.array_equal(parse_lines(lines_text(one)), one)


@given(programs(max_ops=10))
def test_lines_and_what_they_leave_out_are_the_program(program):
    ids = program.tokens()
    (lines,) = line_form([ids], sort_operands=False)

    assert program_of_lines(lines, left_out(ids)) == program


@given(st.lists(programs(max_ops=6), max_size=4))
def test_padded_tokens_are_read_back(many):
    ids = [program.tokens() for program in many]
    padded = pad_programs(ids)

    assert unpad_programs(padded) == ids
    assert (padded[:, :1] == START).all()
    assert ((padded == END).sum(axis=1) == 1).all()
    assert [Program.from_tokens(row) for row in padded] == many


def test_padding_to_a_given_length():
    padded = pad_programs([HIST.tokens()], 10)

    assert padded.shape == (1, 10)
    assert padded[0, -1] == PAD
    with pytest.raises(TracrLabError, match=r"a program has 7 tokens .* the limit is 6"):
        pad_programs([HIST.tokens()], 6)


def test_content_slots_by_hand():
    content = content_slots(line_form([HIST.tokens()]))[0]

    assert content[0].tolist() == [True, True, True, True, False]
    assert content[1].tolist() == [True, True, False, False, False]
    assert not content[2:].any()


def test_wrong_lines_are_one_sentence():
    long = "\n".join(
        ["a0 = Map(x + 1, tokens)"] + [f"a{n} = Map(x, a{n - 1})" for n in range(1, 16)]
    )
    with pytest.raises(TracrLabError, match="16 ops; the line form holds at most 15"):
        line_form([Program.from_text(long).tokens()])
    with pytest.raises(TracrLabError, match="line 1 has 'Sort' as op"):
        parse_lines([("Sort", "NA", "NA", "NA", "v1")])
    with pytest.raises(TracrLabError, match="line 1 has 2 slots"):
        parse_lines([("Map", "NA")])
    with pytest.raises(TracrLabError, match="16 lines were given"):
        parse_lines([("Map", "NA", "NA", "NA", "v1")] * 16)
    lines = parse_lines([("Map", "key == query", "tokens", "NA", "v1")])
    with pytest.raises(TracrLabError, match="Map does not take the function 'key == query'"):
        program_of_lines(lines, left_out(Program.from_text("a = Map(x, tokens)").tokens()))
