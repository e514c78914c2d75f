"""Counts of a zoo of three programs, worked out by hand, and the bars that carry them."""

import numpy as np
import pandas as pd
import pytest

from tracrlab.figures.zoo import (
    TOP,
    function_counts,
    op_counts,
    statistics_table,
    zoo_rejections_figure,
    zoo_statistics_figure,
)


def panel(figure, name):
    return next(axis for axis in figure.axes if name in (axis.get_xlabel(), axis.get_title()))


def bars(axis):
    """Height of each bar that is not empty, by its middle."""
    return {
        round(patch.get_x() + patch.get_width() / 2, 6): patch.get_height()
        for patch in axis.patches
        if patch.get_height()
    }


def test_counts_by_hand(rows):
    assert op_counts(rows).to_dict() == {
        "Map": 6,
        "Select": 2,
        "Aggregate": 1,
        "SelectorWidth": 1,
        "SequenceMap": 1,
    }
    assert function_counts(rows).to_dict() == {
        "Map x < c": 3,
        "Map x": 3,
        "Select key == query": 1,
        "Select True": 1,
        "SequenceMap x + y": 1,
    }


def test_statistics_table_by_hand(rows, rejections):
    table = statistics_table(rows, rejections)
    assert list(table.columns) == ["section", "name", "count", "share"]
    table = table.set_index(["section", "name"])
    assert table.loc[("split", "train"), "count"] == 2
    assert table.loc[("ops per program", "4"), "share"] == pytest.approx(2 / 3)
    assert table.loc[("op", "Map"), "share"] == pytest.approx(6 / 11)
    assert table.loc[("function", "Map x"), "share"] == pytest.approx(3 / 9)
    assert table.loc[("output", "numerical"), "share"] == pytest.approx(1 / 3)
    assert table.loc[("rejected", "constant"), "share"] == pytest.approx(0.6)
    assert table.loc[("weights", "mean"), "count"] == 300
    assert table.loc[("weights", "median"), "count"] == 200
    assert table.loc[("residual width", "max"), "count"] == 30
    assert np.isnan(table.loc[("weights", "mean"), "share"])


def test_every_panel_carries_its_counts(rows):
    figure = zoo_statistics_figure(rows)
    assert bars(panel(figure, "layers")) == {1: 1, 2: 2}
    assert bars(panel(figure, "attention heads")) == {0: 1, 1: 2}
    assert bars(panel(figure, "residual width")) == {10: 1, 20: 1, 30: 1}
    assert bars(panel(figure, "MLP neurons")) == {2: 1, 4: 1, 9: 1}
    assert bars(panel(figure, "distinct outputs (categorical)")) == {2: 1, 3: 1}
    assert bars(figure.axes[0]) == {3: 1, 4: 2}
    assert [patch.get_height() for patch in panel(figure, "split").patches] == [1, 2]
    widths = {axis.get_title(): [p.get_width() for p in axis.patches] for axis in figure.axes}
    assert widths["ops"] == [6, 2, 1, 1, 1]
    assert widths["functions"] == [3, 3, 1, 1, 1]
    assert figure.texts[0].get_text() == "3 programs"


def test_weights_are_on_a_logarithmic_scale(rows):
    axis = panel(zoo_statistics_figure(rows), "weights")
    assert axis.get_xscale() == "log"
    assert sum(patch.get_height() for patch in axis.patches) == 3
    first, last = axis.patches[0], axis.patches[-1]
    assert first.get_x() == pytest.approx(100)
    assert last.get_x() + last.get_width() == pytest.approx(600)
    assert (first.get_height(), last.get_height()) == (1, 1)


def test_only_the_most_frequent_functions_are_drawn(rows):
    many = rows.assign(functions=[[f"Map {n}" for n in range(number)] for number in (30, 40, 2)])
    axis = zoo_statistics_figure(many).axes[-1]
    assert axis.get_title() == "functions (25 most frequent)"
    widths = [patch.get_width() for patch in axis.patches]
    assert widths == [3, 3] + [2] * (TOP - 2)


def test_rejections_by_reason(rejections):
    axis = zoo_rejections_figure(rejections, 50).axes[0]
    assert [patch.get_width() for patch in axis.patches] == [6, 3, 1]
    names = [tick.get_text() for tick in axis.get_yticklabels()]
    assert names == ["constant", "duplicate", "program: duplicate"]
    assert [text.get_text() for text in axis.texts] == ["6", "3", "1"]
    assert "of 50 ops proposed" in axis.get_title()
    colours = [patch.get_facecolor() for patch in axis.patches]
    assert colours[0] == colours[1] != colours[2]


def test_a_zoo_without_categorical_outputs_or_rejections_is_drawn(rows):
    figure = zoo_statistics_figure(rows[rows["output_encoding"] == "numerical"])
    assert bars(panel(figure, "distinct outputs (categorical)")) == {}
    assert len(zoo_rejections_figure(pd.Series({}, dtype="int64"), 0).axes[0].patches) == 0
