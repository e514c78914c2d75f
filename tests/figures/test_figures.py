"""Figures on numbers worked out by hand; the same bytes twice."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

import tracrlab
from tracrlab.errors import TracrLabError
from tracrlab.figures.blocks import blocks_figure, layer_panels
from tracrlab.figures.residuals import changed_cells, half_layer_names, residual_stream_figure
from tracrlab.figures.style import colours_of, save
from tracrlab.figures.zoo import (
    function_counts,
    op_counts,
    statistics_table,
    zoo_rejections_figure,
    zoo_statistics_figure,
)
from tracrlab.rasp.library import LIBRARY

ROWS = pd.DataFrame(
    {
        "split": ["train", "train", "test"],
        "n_ops": [3, 4, 4],
        "ops": [
            ["Map", "Select", "Aggregate"],
            ["Map", "Map", "Select", "SelectorWidth"],
            ["Map", "Map", "Map", "SequenceMap"],
        ],
        "functions": [
            ["Map x < c", "Select key == query"],
            ["Map x < c", "Map x", "Select True"],
            ["Map x", "Map x < c", "Map x", "SequenceMap x + y"],
        ],
        "d_model": [10, 20, 30],
        "n_layers": [1, 2, 2],
        "heads": [1, 1, 0],
        "mlp_neurons": [2, 4, 9],
        "weights": [100, 200, 600],
        "output_encoding": ["categorical", "numerical", "categorical"],
        "n_output_values": [2, 0, 3],
    }
)
REJECTIONS = pd.Series({"constant": 6, "duplicate": 3, "program: duplicate": 1})


def test_changed_cells_by_hand():
    residuals = np.zeros((3, 2, 2))
    residuals[1:, 0, 1] = 0.5  # written by the first half-layer, kept by the second
    residuals[2, 1, 0] = -0.002
    residuals[2, 1, 1] = 0.0005  # below the threshold
    changed = changed_cells(residuals)
    assert np.argwhere(changed).tolist() == [[1, 0, 1], [2, 1, 0]]


def test_half_layer_names():
    assert half_layer_names(5) == ["Input", "Attn 1", "MLP 1", "Attn 2", "MLP 2"]


def test_residual_panels_outline_exactly_what_changed():
    entry = LIBRARY["frac_prevs"]
    model = tracrlab.compile(entry.program, entry.vocab, entry.max_seq_len)
    tokens = ["x", "a", "c", "x"]
    figure = residual_stream_figure(model.residuals(tokens), model.labels, tokens)
    outlined = {}
    for axis in figure.axes[:5]:
        corners = [p.get_xy() for p in axis.patches if isinstance(p, Rectangle)]
        cells = {(int(x + 0.5), model.labels[int(y + 0.5)]) for x, y in corners}
        outlined[axis.get_title()] = cells
    assert outlined == {
        "Input": set(),
        "Attn 1\n(no-op)": set(),
        "MLP 1": {(1, "is_x"), (4, "is_x")},
        "Attn 2": {(position, "frac_prevs") for position in (1, 2, 3, 4)},
        "MLP 2\n(no-op)": set(),
    }
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["bos", *tokens]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == list(model.labels)


def test_colours_are_centred_where_numbers_have_both_signs():
    assert colours_of(np.array([[0, 2]]))[0] == "Blues"
    name, scale = colours_of(np.array([[-1, 2]]))
    assert (name, scale.vmin, scale.vmax) == ("RdBu", -2, 2)


def test_the_worked_histogram():
    """Thesis section 3.2.1: two l's in hello attend to each other and BOS, a third each."""
    model = tracrlab.compile(LIBRARY["hist"].program, ("h", "e", "l", "o"), 5)
    panels = {panel.title: panel for panel in layer_panels(model, list("hello"), 0)}
    pattern = panels["attention pattern"]
    assert pattern.rows == ("bos", "h", "e", "l", "l", "o")
    assert pattern.matrix[3] == pytest.approx([1 / 3, 0, 0, 1 / 3, 1 / 3, 0], abs=1e-6)
    assert pattern.matrix[1] == pytest.approx([1 / 2, 1 / 2, 0, 0, 0, 0], abs=1e-6)
    query_key = panels["$W_{QK}$"]
    assert query_key.matrix == pytest.approx(100 * np.eye(5), abs=1e-3)
    assert query_key.rows[-1] == "one"
    assert query_key.columns[-1] == "tokens:compiler_bos"
    assert panels["attention writes"].matrix[:, 0] == pytest.approx(
        [1, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 2]
    )
    written = panels["MLP writes"]
    assert written.columns == ("hist_selector_width_attn_output", "hist:1", "hist:2")
    assert written.matrix[3] == pytest.approx([0, 0, 1], abs=1e-5)
    assert written.matrix[0] == pytest.approx([-1, 0, 0], abs=1e-5)
    assert (panels["after the ReLU"].matrix >= 0).all()


def test_counts_by_hand():
    assert op_counts(ROWS).to_dict() == {
        "Map": 6,
        "Select": 2,
        "Aggregate": 1,
        "SelectorWidth": 1,
        "SequenceMap": 1,
    }
    assert function_counts(ROWS).to_dict() == {
        "Map x < c": 3,
        "Map x": 3,
        "Select key == query": 1,
        "Select True": 1,
        "SequenceMap x + y": 1,
    }


def test_statistics_table_by_hand():
    table = statistics_table(ROWS, REJECTIONS).set_index(["section", "name"])
    assert table.loc[("split", "train"), "count"] == 2
    assert table.loc[("ops per program", "4"), "share"] == pytest.approx(2 / 3)
    assert table.loc[("op", "Map"), "share"] == pytest.approx(6 / 11)
    assert table.loc[("rejected", "constant"), "share"] == pytest.approx(0.6)
    assert table.loc[("weights", "mean"), "count"] == 300
    assert table.loc[("weights", "median"), "count"] == 200
    assert table.loc[("residual width", "max"), "count"] == 30
    assert np.isnan(table.loc[("weights", "mean"), "share"])


def test_bars_carry_the_counts():
    figure = zoo_statistics_figure(ROWS)
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert heights == [1, 2]  # one program of 3 ops, two of 4
    assert [patch.get_width() for patch in figure.axes[1].patches] == [6, 2, 1, 1, 1]
    rejections = zoo_rejections_figure(REJECTIONS, 50)
    widths = [patch.get_width() for patch in rejections.axes[0].patches]
    assert widths[:3] == [6, 3, 1]
    assert "of 50 ops proposed" in rejections.axes[0].get_title()


@pytest.mark.parametrize("suffix", ["pdf", "png", "svg"])
def test_the_same_figure_is_the_same_file(tmp_path, suffix):
    paths = [tmp_path / f"{number}.{suffix}" for number in (1, 2)]
    for path in paths:
        save(zoo_statistics_figure(ROWS), [path], dpi=60)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(paths[0].read_bytes()) > 1000


def test_other_formats_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TracrLabError, match=r"must end in \.pdf, \.png or \.svg"):
        save(zoo_statistics_figure(ROWS), [tmp_path / "a.png", tmp_path / "b.gif"])
    assert list(tmp_path.iterdir()) == []


def test_many_layers_wrap_into_rows():
    residuals = np.random.default_rng(0).random((15, 6, 20))
    figure = residual_stream_figure(residuals, [f"v{i}" for i in range(20)], list("abcde"))
    shown = [axis for axis in figure.axes if axis.get_title()]
    assert len(shown) == 15
    assert figure.get_figwidth() <= 6.8


def test_blocks_of_every_layer_of_a_deeper_program():
    entry = LIBRARY["sort_unique"]
    model = tracrlab.compile(entry.program, entry.vocab, entry.max_seq_len)
    for layer in range(len(model.architecture.layers)):
        panels = layer_panels(model, entry.example, layer)
        assert blocks_figure(panels).axes[0].get_title(loc="left") == "1. residual stream"
