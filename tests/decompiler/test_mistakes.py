"""Kinds of mistake against tables worked out by hand."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given

from tests.strategies import programs
from tracrlab.decompiler.mistakes import (
    CONFUSION_NAMES,
    align,
    line_ops,
    mistakes,
    op_mistakes,
    report,
)
from tracrlab.decompiler.program_encoding import line_form, parse_lines
from tracrlab.rasp import Program

TRUE = """
v1 = Map(x + 1, tokens)
v2 = Select(tokens, indices, key < query)
v3 = Aggregate(v2, v1)
v4 = SequenceMap(x - y, v3, v1)
"""

CASES = [
    ([], {}),
    ([("v3, v1)", "v3, tokens)")], {"wrong variable": 1}),
    ([("x + 1", "x * 1")], {"wrong lambda": 1}),
    ([("x + 1", "x + 2")], {"wrong constant": 1}),
    ([("key < query", "key <= query")], {"wrong predicate": 1}),
    ([("v3, v1)", "v1, v3)")], {"operands exchanged": 1}),
    ([("tokens, indices", "indices, tokens")], {"operands exchanged": 1}),
    ([("v4 = SequenceMap(x - y, v3, v1)", "v4 = Map(x, v3)")], {"wrong op": 1}),
    ([("v4 = SequenceMap(x - y, v3, v1)", "")], {"missing line": 1}),
    ([("v3, v1)", "v3, v1)\nv5 = Map(not x, v4)")], {"extra line": 1}),
    # A line in front is missing; those after it are right all the same.
    (
        [("v1 = Map(x + 1, tokens)\n", ""), ("v2, v1)", "v2, tokens)"), ("v3, v1)", "v3, tokens)")],
        {"missing line": 1, "wrong variable": 2},
    ),
    # A line in front is extra: variables are compared through the pairing.
    (
        [
            ("v1 = Map(x + 1, tokens)", "v0 = Map(x * 2, tokens)\nv1 = Map(x + 1, tokens)"),
            ("v3, v1)", "v3, v0)"),
        ],
        {"extra line": 1, "wrong variable": 1},
    ),
    # Here the Select comes between the two Maps, so the first Map faces the true one.
    (
        [("v1 = Map(x + 1, tokens)", "v0 = Map(x * 2, tokens)\nv1 = Map(x + 1, v0)")],
        {"extra line": 1, "wrong lambda": 1, "wrong variable": 2},
    ),
    (
        [("x + 1", "x * 2"), ("key < query", "key > query"), ("v3, v1)", "v3, v3)")],
        {"wrong lambda": 1, "wrong predicate": 1, "wrong variable": 1},
    ),
    ([("v1)\nv4", "v1) : numerical\nv4")], {"wrong encoding": 1}),
]


@pytest.mark.parametrize(("changes", "expected"), CASES)
def test_mistakes_by_hand(changes, expected):
    text = TRUE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)

    assert mistakes(Program.from_text(text), Program.from_text(TRUE)) == Counter(expected)


def test_what_is_no_program():
    expected = Counter({"not a program": 1, "missing line": 4})

    assert mistakes(None, Program.from_text(TRUE)) == expected


@given(programs(), programs())
def test_mistakes_are_empty_exactly_for_equal_programs(one, other):
    assert not mistakes(one, one)
    assert bool(mistakes(one, other)) == (one != other)


@given(programs(), programs())
def test_alignments_are_in_order_and_whole(one, other):
    pairs = align(one.ops, other.ops)

    assert [left for left, _ in pairs if left is not None] == list(range(len(one)))
    assert [right for _, right in pairs if right is not None] == list(range(len(other)))
    assert (None, None) not in pairs


def test_a_report_by_hand():
    true = Program.from_text(TRUE)
    wrong_op = Program.from_text(TRUE.replace("v4 = SequenceMap(x - y, v3, v1)", "v4 = Map(x, v3)"))
    shorter = Program.from_text(TRUE.replace("v4 = SequenceMap(x - y, v3, v1)", ""))
    longer = Program.from_text(TRUE + "v5 = Map(not x, v4)\nv6 = Map(x * 2, v5)")
    result = report(
        [one and one.ops for one in (true, wrong_op, shorter, longer, None)], [true.ops] * 5
    )

    assert result.programs == 5
    assert result.wrong == 4
    assert {kind: n for kind, n in result.counts.items() if n} == {
        "wrong op": 1,
        "missing line": 5,
        "extra line": 2,
        "not a program": 1,
    }
    assert result.share["missing line"] == 50
    assert result.share["extra line"] == 25
    expected = np.zeros((7, 7), dtype=int)
    names = list(CONFUSION_NAMES)
    for row, column, count in [
        ("Map", "Map", 4),
        ("Map", "none", 1),
        ("Select", "Select", 4),
        ("Select", "none", 1),
        ("Aggregate", "Aggregate", 4),
        ("Aggregate", "none", 1),
        ("SequenceMap", "SequenceMap", 2),
        ("SequenceMap", "Map", 1),
        ("SequenceMap", "none", 2),
        ("none", "Map", 2),
    ]:
        expected[names.index(row), names.index(column)] = count
    assert result.confusion.tolist() == expected.tolist()
    assert report([true.ops], [true.ops]).share["wrong op"] == 0


def test_lines_are_judged_without_what_they_leave_out():
    """A wrong constant cannot be seen; a wrong lambda can, and so can a line that is no op."""
    true = Program.from_text(TRUE)

    def ops_of(program):
        return line_ops(line_form([program.tokens()])[0])

    assert not op_mistakes(ops_of(Program.from_text(TRUE.replace("x + 1", "x + 2"))), ops_of(true))
    lambdas = Program.from_text(TRUE.replace("x + 1", "x * 1"))
    assert op_mistakes(ops_of(lambdas), ops_of(true)) == {"wrong lambda": 1}
    nonsense = parse_lines(
        [
            ("Map", "x + c", "tokens", "indices", "v1"),  # one variable too many
            ("Select", "key < query", "indices", "NA", "v2"),  # one too few
            ("Aggregate", "v1", "v2", "NA", "v3"),
        ]
    )
    found = op_mistakes(line_ops(nonsense), ops_of(true))
    assert found == {"wrong variable": 1, "missing line": 1}
