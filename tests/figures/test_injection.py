"""Pictures of injection draw the numbers that they are given."""

import numpy as np
import pandas as pd

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


def test_streams_raw_and_mapped():
    raw, mapped = np.random.default_rng(0).normal(size=(2, 4, 6))
    labels = ["tokens:a", "tokens:b", "one", "c_selector_width_attn_output", "c:0", "c:1"]
    figure = streams_figure(raw, mapped, ["a", "b", "\n", " d"], labels)
    first, second = figure.axes
    assert [text.get_text() for text in first.get_yticklabels()] == ["a", "b", "\\n", " d"]
    assert [text.get_text() for text in second.get_xticklabels()] == ["tokens", "one", "c"]
    assert list(second.get_xticks()) == [0.5, 2, 4]
    drawn = np.asarray(second.collections[0].get_array()).reshape(4, 6)
    expected = np.clip(mapped, *np.percentile(mapped, [0.5, 99.5]))
    assert np.allclose(drawn, expected)


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
