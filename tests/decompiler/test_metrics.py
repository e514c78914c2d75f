"""Every figure against a table worked out by hand."""

import numpy as np
import pytest

from tracrlab import TracrLabError
from tracrlab.decompiler.metrics import (
    LEVELS,
    count_slots,
    equivalent,
    score,
    score_by_ops,
    score_table,
    share_by,
)
from tracrlab.decompiler.program_encoding import line_form, parse_lines
from tracrlab.rasp import Domain, Program

DOMAIN = Domain((0, 1, 2), 3)

HIST = [
    ("Select", "key == query", "tokens", "tokens", "v1"),
    ("SelectorWidth", "v1", "NA", "NA", "v2"),
]
CHAIN = [
    ("Map", "x + c", "tokens", "NA", "v1"),
    ("Map", "x < c", "v1", "NA", "v2"),
    ("SequenceMap", "x * y", "v1", "v2", "v3"),
    ("Map", "not x", "v3", "NA", "v4"),
]


def changed(lines, *changes):
    lines = [list(line) for line in lines]
    for row, slot, symbol in changes:
        lines[row][slot] = symbol
    return lines


# program, prediction, slots right of slots, content slots right of content slots
TABLE = [
    (HIST, HIST, 10, 10, 6, 6),
    (HIST, changed(HIST, (0, 1, "key < query")), 9, 10, 5, 6),
    (HIST, changed(HIST, (0, 1, "key < query"), (1, 2, "v1"), (1, 4, "v3")), 7, 10, 5, 6),
    (CHAIN, changed(CHAIN, (2, 0, "Map"), (3, 2, "v2")), 18, 20, 11, 13),
    (CHAIN, HIST, 5, 20, 1, 13),
    (CHAIN, [], 3, 20, 0, 13),
    (HIST, CHAIN, 4, 10, 1, 6),
]


def stack(column):
    return np.stack([parse_lines(row[column]) for row in TABLE])


def test_slots_by_hand():
    counts = count_slots(stack(1), stack(0))

    assert counts.right.tolist() == [row[2] for row in TABLE]
    assert counts.slots.tolist() == [row[3] for row in TABLE]
    assert counts.content_right.tolist() == [row[4] for row in TABLE]
    assert counts.content.tolist() == [row[5] for row in TABLE]
    assert counts.exact.tolist() == [True] + [False] * 6


def test_scores_by_hand():
    scores = score(stack(1), stack(0), equivalent=[1, 0, 0, 1, 0, 0, 0], verified=[1] * 7)

    assert scores.programs == 7
    assert scores.tokens == pytest.approx(56)
    assert scores.content_tokens == pytest.approx(100 * 29 / 63)
    # Shares of slots: 1, 0.9, 0.7, 0.9, 0.25, 0.15, 0.4.
    expected = {100: 1, 90: 3, 80: 3, 70: 4, 60: 4, 50: 4}
    assert scores.at_level == pytest.approx({k: 100 * n / 7 for k, n in expected.items()})
    assert scores.exact == pytest.approx(100 / 7)
    assert scores.equivalent == pytest.approx(200 / 7)
    assert scores.verified == 100
    assert score(stack(1), stack(0), exact=[False] * 7).exact == 0
    assert score(stack(1), stack(0)).verified is None


def test_extra_lines_are_no_padding_but_not_exact():
    """As in the thesis, lines beyond the true program do not count; exactness sees them."""
    longer = parse_lines([*HIST, ("Map", "not x", "v2", "NA", "v3")])[None]
    scores = score(longer, parse_lines(HIST)[None])

    assert scores.at_level[100] == 100
    assert scores.exact == 0


def test_scores_by_number_of_ops():
    flags = [True, False, True, True, False, False, True]
    by_ops = score_by_ops(stack(1), stack(0), equivalent=flags, verified=None)
    rows = score_table(by_ops, score(stack(1), stack(0), equivalent=flags))

    assert list(by_ops) == [2, 4]
    assert by_ops[2].tokens == pytest.approx(75)
    assert by_ops[4].tokens == pytest.approx(100 * 26 / 60)
    assert by_ops[2].equivalent == 75
    assert by_ops[4].equivalent == pytest.approx(100 / 3)
    assert [row["ops"] for row in rows] == ["2", "4", "all"]
    assert [row["programs"] for row in rows] == [4, 3, 7]
    assert [row["verified"] for row in rows] == [None] * 3
    assert {f"program_at_{level}" for level in LEVELS} < set(rows[0])


def test_lines_of_programs():
    program = Program.from_text("a = Map(x + 1, tokens)\nb = SequenceMap(x - y, tokens, a)")
    other = Program.from_text("a = Map(x + 2, tokens)\nb = SequenceMap(x - y, a, tokens)")
    lines = line_form([program.tokens(), other.tokens()])

    # The line form knows neither the constant nor the order of the operands.
    assert score(lines[:1], lines[1:]).exact == 100
    assert score(lines[:1], lines[1:], exact=[program == other]).exact == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = Map(x < 2, tokens)", True),
        ("a = Map(x <= 1, tokens)", True),
        ("a = Map(x < 1, tokens)", False),
        ("a = Map(1 / x, tokens)", False),  # cannot be evaluated
        ("a = Map(x - 3, tokens)\nb = Map(x < -1, a)", True),
    ],
)
def test_equivalence(text, expected):
    true = Program.from_text("a = Map(x < 2, tokens)")

    assert equivalent(Program.from_text(text), true, DOMAIN) is expected


def test_what_is_no_program_is_not_equivalent():
    assert not equivalent(None, Program.from_text("a = Map(x, tokens)"), DOMAIN)


def test_shares_by_key():
    assert share_by([4, 3, 4, 4, 3], [1, 0, 0, 1, 0]) == {3: 0, 4: pytest.approx(200 / 3)}


def test_wrong_input_is_one_sentence():
    with pytest.raises(TracrLabError, match="predicted lines have shape"):
        count_slots(stack(1)[:2], stack(0))
    with pytest.raises(TracrLabError, match="a true program has no lines"):
        count_slots(stack(0), stack(1))
    with pytest.raises(TracrLabError, match="no program to score"):
        score(stack(1)[:0], stack(0)[:0])
    with pytest.raises(TracrLabError, match="exact has 1 entries for 7 programs"):
        score(stack(1), stack(0), exact=[True])
