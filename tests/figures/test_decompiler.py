"""What the pictures of decompilers show, on small tables."""

import numpy as np
import pandas as pd
import pytest

from tracrlab.decompiler.examples import examples_table, program_cells
from tracrlab.decompiler.mistakes import CONFUSION_NAMES
from tracrlab.decompiler.predictions import Predictions
from tracrlab.decompiler.program_encoding import line_form
from tracrlab.figures.decompiler import (
    accuracy_by_ops_figure,
    confusion_figure,
    programs_figure,
)
from tracrlab.rasp import Program

TRUE = Program.from_text("a = Map(x * 2, indices) : numerical\nb = Map(x == 4, a)")
WRITTEN = Program.from_text("a = Map(x == 2, indices)")


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


@pytest.fixture
def predictions():
    first = [TRUE, WRITTEN, None]
    table = pd.DataFrame(
        {
            "id": [7, 8, 9],
            "true_tokens": [TRUE.tokens()] * 3,
            "lines": [line_form([one.tokens() if one else []])[0].ravel() for one in first],
            "first_tokens": pd.Series([one and one.tokens() for one in first], dtype=object),
            "first_exact": [True, False, False],
            "verdict": ["verified", "none", "none"],
        }
    )
    return Predictions("standard", "tokens", {"method": "tokens"}, table)


def test_cells_hold_the_whole_program():
    assert program_cells(TRUE) == [
        ("Map (num.)", "x * 2", "indices", "NA", "v1"),
        ("Map", "x == 4", "v1", "NA", "v2"),
    ]
    assert program_cells(None) == []


def test_examples_go_from_the_best_to_the_worst(predictions):
    table = examples_table(predictions, 3)
    assert table.groupby("example").size().to_list() == [2, 2, 2]
    titles = list(dict.fromkeys(table["title"]))
    assert titles[0] == "program 7, 100 % of tokens, exact; answer verified"
    assert [title.split(",")[0] for title in titles] == ["program 7", "program 8", "program 9"]
    assert table["predicted_op"].to_list() == ["Map (num.)", "Map", "Map", "", "", ""]
    assert examples_table(predictions, 1)["example"].nunique() == 1


def test_cells_that_differ_are_coloured(predictions):
    figure = programs_figure(examples_table(predictions, 3))
    colours = [
        [patch.get_facecolor() for patch in axis.patches if hasattr(patch, "get_width")]
        for axis in figure.axes
    ]
    marked = [len([one for one in axis if one[:3] not in ((1, 1, 1),)]) for axis in colours]
    # True programs have no mark; of the written ones none, then all cells but p1's row, then all.
    assert [marked[0], marked[2], marked[4]] == [0, 0, 0]
    assert marked[1] == 0
    assert marked[3] == 2 + 5  # op and lambda of the first line, and the whole second line
    assert marked[5] == 10


def test_lines_of_the_thesis_are_its_symbols(predictions):
    lines = Predictions("standard", "lines", {"method": "lines"}, predictions.table)
    table = examples_table(lines, 1)
    assert table["true_p1"].to_list() == ["x * c", "x == c"]


def test_accuracies_over_ops():
    rows = [
        {
            "zoo": zoo,
            "method": method,
            "ops": ops,
            "programs": 10 * number,
            "content_token_accuracy": 90 - number,
            "exact": 50.0,
            "verified": 60.0,
        }
        for zoo in ("standard", "natural")
        for method in ("lines", "tokens", "tokens_plain")
        for number, ops in enumerate(("3", "4", "all"), start=1)
    ]
    figure = accuracy_by_ops_figure(pd.DataFrame(rows))
    assert len(figure.axes) == 6
    first = figure.axes[0]
    assert first.get_title(loc="left") == "standard: content tokens"
    assert [line.get_label() for line in first.lines] == [
        "lines (thesis)",
        "tokens (ours)",
        "tokens plain",
    ]
    assert np.array_equal(first.lines[1].get_xydata(), [[3, 89], [4, 88]])
    assert {"10", "20"} == {text.get_text() for text in first.texts}


def test_confusion_is_the_share_of_each_true_op():
    rows = [
        {"zoo": "standard", "method": "tokens", "true": true, "predicted": predicted, "ops": 0}
        for true in CONFUSION_NAMES
        for predicted in CONFUSION_NAMES
    ]
    table = pd.DataFrame(rows)
    for predicted, ops in (("Map", 3), ("Select", 1)):
        table.loc[(table["true"] == "Map") & (table["predicted"] == predicted), "ops"] = ops
    figure = confusion_figure(table)
    assert sorted(texts(figure)) == ["25", "75"]
