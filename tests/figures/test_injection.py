"""Pictures of injection draw the numbers that they are given."""

import numpy as np
import pandas as pd
import pytest

from tracrlab.figures.injection import (
    decoded_figure,
    interchange_figure,
    losses_figure,
    noise_figure,
    ood_figure,
    stage_name,
    streams_figure,
    variables_figure,
)


def texts(figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_losses_have_a_line_for_each_run_and_quantity():
    lines = [
        {
            "task": task,
            "method": method,
            "run": run,
            "step": step,
            "answer": 1 / step,
            "alignment": None if method == "finetune_kl" else 0.5,
            "held_out_accuracy": 50,
        }
        for task in ("count", "addition")
        for method in ("finetune_kl", "interchange")
        for run in (0, 1)
        for step in (1, 2)
    ]
    figure = losses_figure(pd.DataFrame(lines))
    assert [axis.get_title() for axis in figure.axes[:2]] == ["count", "addition"]
    assert [axis.get_ylabel() for axis in figure.axes[::2]] == [
        "answer loss",
        "alignment loss",
        "held-out accuracy (%)",
    ]
    # a run without alignment has an empty line there
    drawn = [[len(line.get_xdata()) for line in axis.lines] for axis in figure.axes]
    assert drawn == [[2] * 4, [2] * 4, [0, 0, 2, 2], [0, 0, 2, 2], [2] * 4, [2] * 4]


def test_the_table_outside_the_range_has_bars_intervals_and_the_papers_figures():
    table = pd.DataFrame(
        {
            "task": ["count"] * 4,
            "set": ["x_only", "x_only", "length_3x", "length_3x"],
            "program_solves_it": [True, True, False, False],
            "method": ["finetune_kl", "interchange"] * 2,
            "accuracy": [30.0, 90.0, 1.0, 2.0],
            "low": [25.0, 85.0, 0.0, 1.0],
            "high": [35.0, 95.0, 2.0, 4.0],
            "paper_accuracy": [33.3, None, 3.5, None],
        }
    )
    axis = ood_figure(table).axes[0]
    assert [bar.get_width() for bar in axis.patches] == [30, 90, 1, 2]
    assert [text.get_text() for text in axis.get_yticklabels()] == [
        "count: x_only *",
        "count: length_3x",
    ]
    assert [33.3, 33.3] in [list(line.get_xdata()) for line in axis.lines]
    assert [85, 95] in [list(line.get_xdata()) for line in axis.lines]


def test_variables_are_drawn_where_they_were_measured():
    table = pd.DataFrame(
        {"variable": ["a", "a", "b"], "model_stage": [2, 4, 4], "accuracy": [99.6, 80.0, 12.0]}
    )
    figure = variables_figure(table)
    assert texts(figure) == ["100", "80", "12"]
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert labels == ["1", "2"]
    assert (stage_name(0), stage_name(3), stage_name(4)) == ("0", "2a", "2")


def test_a_decoded_table_is_drawn_whole():
    table = pd.DataFrame({"token": ["x", "$", "\\n"], "count": ["1", "1", "2"]})
    assert texts(decoded_figure(table)) == ["token", "x", r"\$", "\\n", "count", "1", "1", "2"]


@pytest.mark.parametrize(("directions", "named"), [(3, 3), (120, 0)])
def test_streams_raw_and_mapped(directions, named):
    raw, mapped = np.random.default_rng(0).normal(size=(2, 4, directions))
    labels = [f"v:{number}" for number in range(directions)]
    figure = streams_figure(raw, mapped, ["a", "b", "\n", " d"], labels)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a", "b", "\\n", " d"]
    assert len(figure.axes[1].get_xticklabels()) == named


def test_noise_and_interchange():
    noise = pd.DataFrame(
        {
            "subspace": ["answer", "random"] * 2,
            "norm": [0, 0, 1, 1],
            "accuracy": [100, 100, 20, 90],
            "low": [95, 95, 10, 80],
            "high": [100, 100, 30, 95],
        }
    )
    answer, random = noise_figure(noise).axes[0].lines
    assert (list(answer.get_ydata()), list(random.get_ydata())) == ([100, 20], [100, 90])
    table = pd.DataFrame(
        {
            "variable": ["count", "unused"],
            "model_stage": [4, 2],
            "count": [10, 0],
            "accuracy": [70, None],
            "low": [40, None],
            "high": [90, None],
        }
    )
    axis = interchange_figure(table).axes[0]
    assert [bar.get_width() for bar in axis.patches] == [70]
    assert axis.get_yticklabels()[0].get_text() == "count (2)"
