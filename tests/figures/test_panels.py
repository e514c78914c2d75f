"""The steps of a layer as matrices, on numbers worked out by hand."""

import numpy as np
import pytest

import tracrlab
from tracrlab.figures.panels import Panel, layer_panels
from tracrlab.rasp.library import LIBRARY


def panels_of(name, tokens, layer=0, vocab=None):
    entry = LIBRARY[name]
    model = tracrlab.compile(
        entry.program, vocab or entry.vocab, entry.max_seq_len, causal=entry.causal
    )
    return model, layer_panels(model, tokens, layer)


@pytest.fixture(scope="module")
def hello():
    model, panels = panels_of("hist", list("hello"), vocab=tuple("helo"))
    return model, {panel.title: panel for panel in panels}


def test_empty_rows_and_columns_are_left_out():
    matrix = np.array([[0, 0, 0], [2.0, 0, 3]])
    panel = Panel("s", "t", "f", matrix, ("a", "b"), ("x", "y", "z"), "row", "column").compact()
    assert (panel.rows, panel.columns) == (("b",), ("x", "z"))
    assert panel.matrix.tolist() == [[2, 3]]


def test_the_steps_of_the_worked_histogram(hello):
    assert list(hello[1]) == [
        "residual stream",
        "$W_{QK}$",
        "logits",
        "pattern",
        "$W_{OV}$",
        "attention writes",
        "MLP reads",
        "$W_1$",
        "before the ReLU",
        "after the ReLU",
        r"$W_2^\top$",
        "MLP writes",
    ]


def test_attention_of_the_worked_histogram(hello):
    """Thesis section 3.2.1: two l's in hello attend to each other and BOS, a third each."""
    panels = hello[1]
    query_key = panels["$W_{QK}$"]
    assert query_key.rows == ("tokens:e", "tokens:h", "tokens:l", "tokens:o", "one")
    assert query_key.columns == ("tokens:e", "tokens:h", "tokens:l", "tokens:o", "tokens:bos")
    assert query_key.matrix == pytest.approx(100 * np.eye(5), abs=1e-3)
    pattern = panels["pattern"]
    assert pattern.rows == ("bos", "h", "e", "l", "l", "o")
    assert panels["logits"].matrix[3] == pytest.approx([100, 0, 0, 100, 100, 0], abs=1e-3)
    assert pattern.matrix[3] == pytest.approx([1 / 3, 0, 0, 1 / 3, 1 / 3, 0], abs=1e-6)
    assert pattern.matrix[1] == pytest.approx([1 / 2, 1 / 2, 0, 0, 0, 0], abs=1e-6)
    moved = panels["$W_{OV}$"]
    assert (moved.rows, moved.columns) == (("tokens:bos",), ("hist (attn)",))
    assert panels["attention writes"].matrix[:, 0] == pytest.approx(
        [1, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 2]
    )


def test_mlp_of_the_worked_histogram(hello):
    panels = hello[1]
    assert panels["MLP reads"].columns == ("tokens:bos", "one", "hist (attn)")
    assert panels["MLP reads"].matrix[4] == pytest.approx([0, 1, 1 / 3])
    written = panels["MLP writes"]
    assert written.columns == ("hist (attn)", "hist:1", "hist:2")
    assert written.matrix == pytest.approx(
        np.array([[-1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0]]), abs=1e-5
    )


def test_each_step_follows_from_the_ones_before_it(hello):
    model, panels = hello
    before, after = panels["before the ReLU"].matrix, panels["after the ReLU"].matrix
    assert before == pytest.approx(panels["MLP reads"].matrix @ panels["$W_1$"].matrix, abs=1e-4)
    assert after == pytest.approx(np.maximum(before, 0))
    onto = panels[r"$W_2^\top$"]
    shown = [onto.rows.index(direction) for direction in panels["MLP writes"].columns]
    assert after @ onto.matrix[shown].T == pytest.approx(panels["MLP writes"].matrix, abs=1e-4)
    assert len(panels["residual stream"].columns) == 11  # of 17: the output is not there yet
    assert model.architecture.d_model == 17


def test_a_causal_model_shows_what_a_query_may_not_see():
    _, panels = panels_of("causal_length", ["c", "a", "d"])
    logits = next(panel for panel in panels if panel.title == "logits").matrix
    assert np.isnan(logits).tolist() == (~np.tri(4, dtype=bool)).tolist()


def test_half_layers_that_are_empty_have_no_panels():
    _, panels = panels_of("frac_prevs", ["x", "a"], layer=0)
    assert {panel.section for panel in panels} == {"Layer 1: MLP"}
    _, panels = panels_of("frac_prevs", ["x", "a"], layer=1)
    assert {panel.section for panel in panels} == {"Layer 2: attention"}


def test_every_head_has_panels_and_what_they_write_is_shown_once():
    model, panels = panels_of("shuffle_dyck2", list("({)}"), layer=1)
    assert model.architecture.layers[1].heads == 4
    titles = [panel.title for panel in panels]
    assert titles.count("pattern") == 4
    assert titles.count("attention writes") == 1
    sections = [panel.section for panel in panels if panel.title == "pattern"]
    assert sections == [f"Layer 2: attention, head {head}" for head in (1, 2, 3, 4)]
