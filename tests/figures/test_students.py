"""Outcomes of students, on counts worked out by hand."""

import pandas as pd
import pytest

from tracrlab.figures.students import shares, student_outcomes_figure

OUTCOMES = pd.DataFrame(
    [
        ("natural", 3, 8, "exact", 6),
        ("natural", 3, 9, "accuracy", 2),
        ("natural", 4, 31, "accepted", 3),
        ("natural", 4, 31, "loss", 1),
        ("compressed", 3, 8, "exact", 1),
    ],
    columns=["zoo", "n_ops", "width", "outcome", "count"],
)


def test_shares_of_each_length_sum_to_one():
    table = shares(OUTCOMES[OUTCOMES["zoo"] == "natural"], "n_ops")
    assert table["teachers"].tolist() == [8, 4]
    assert table["exact"].tolist() == [0.75, 0]
    assert table["accuracy"].tolist() == [0.25, 0]
    assert table["accepted"].tolist() == [0, 0.75]
    assert table["loss"].tolist() == [0, 0.25]
    assert table["not_finite"].tolist() == [0, 0]
    assert table["exact_refined"].tolist() == [0, 0]


def test_a_row_of_panels_for_each_zoo():
    figure = student_outcomes_figure(OUTCOMES)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == [
        "natural: by program length",
        "natural: by width of the student",
        "compressed: by program length",
        "compressed: by width of the student",
    ]
    by_length, by_width = figure.axes[:2]
    assert [text.get_text() for text in by_length.texts] == ["8", "4"]
    assert [text.get_text() for text in by_length.get_xticklabels()] == ["3", "4"]
    # Widths 8 to 31 in eight bins of three.
    assert [text.get_text() for text in by_width.get_xticklabels()] == ["8-10", "29-31"]
    heights = [patch.get_height() for patch in by_length.patches]
    assert sum(heights) == pytest.approx(2)
