"""What the thesis's lines leave out is filled in; the true program is among the first fillings."""

from itertools import islice

import numpy as np
import pytest

from tests.decompiler.models import table
from tracrlab.decompiler.grammar import Grammar
from tracrlab.decompiler.line_programs import completions
from tracrlab.decompiler.program_encoding import line_form, parse_lines

GRAMMAR = Grammar.of_preset("default", 8, spelled="none")


def of(*lines):
    return [program.text() for program in completions(parse_lines(lines), GRAMMAR)]


def test_one_encoding_and_every_order():
    """The second op can only be numerical, and x - y is tried in both orders."""
    found = of(
        ("SelectorWidth", "v1", "NA", "NA", "v2"),
    )
    assert found == []  # v1 is not computed
    found = of(
        ("Map", "x == c", "tokens", "NA", "v1"),
        ("SequenceMap", "x - y", "indices", "v1", "v2"),
    )
    first = "v1 = Map(x == 1, tokens)\nv2 = SequenceMap(x - y, indices, v1)"
    assert found[0] == first
    assert "v1 = Map(x == 1, tokens)\nv2 = SequenceMap(x - y, v1, indices)" in found
    assert all("numerical" not in text.splitlines()[0] for text in found)


@pytest.mark.parametrize("index", range(24))
def test_every_program_has_one_with_its_lines(index):
    program = table(index).program
    [lines] = line_form([program.tokens()])
    found = list(islice(completions(lines, GRAMMAR), 8))
    assert found
    assert len(set(found)) == len(found)
    for one in found:
        assert GRAMMAR.refusal(one.tokens()) == ""
        # Canonical form may put ops of the same depth in another order, not other ops.
        [again] = line_form([one.tokens()])
        assert sorted(map(tuple, again[:, :2])) == sorted(map(tuple, lines[:, :2]))


def test_the_true_program_is_often_among_them():
    """A third of the sampled programs, with nothing but their lines."""
    right = 0
    for index in range(30):
        program = table(index).program
        [lines] = line_form([program.tokens()])
        right += program in islice(completions(lines, GRAMMAR), 64)
    assert right >= 10


@pytest.mark.parametrize(
    "lines",
    [
        np.zeros((15, 5), dtype=np.int64),  # no op
        np.eye(15, 5, k=-1, dtype=np.int64),  # an op after padding
        np.full((15, 5), 1, dtype=np.int64),  # more ops than the grammar has room for
    ],
)
def test_lines_that_are_no_program(lines):
    assert list(completions(lines, GRAMMAR)) == []


def test_a_line_that_makes_no_op():
    assert of(("Map", "key == query", "tokens", "NA", "v1")) == []
    assert of(("Map", "x == c", "x < c", "NA", "v1")) == []
