"""The residual-stream figure: what changed, by hand, and outlines exactly there."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

import tracrlab
from tracrlab.figures.residuals import changed_cells, half_layer_names, residual_stream_figure
from tracrlab.figures.style import PAGE
from tracrlab.rasp.library import LIBRARY


@pytest.fixture(scope="module")
def frac_prevs():
    entry = LIBRARY["frac_prevs"]
    return tracrlab.compile(entry.program, entry.vocab, entry.max_seq_len)


def draw(model, tokens):
    names = half_layer_names(model.architecture)
    return residual_stream_figure(model.residuals(tokens), model.labels, tokens, names)


def outlined(figure, labels):
    """The outlined cells of each panel, as position and direction."""
    cells = {}
    for axis in figure.axes:
        if axis.get_title():
            corners = [patch.get_xy() for patch in axis.patches if isinstance(patch, Rectangle)]
            cells[axis.get_title()] = {(int(x + 0.5), labels[int(y + 0.5)]) for x, y in corners}
    return cells


def test_changed_cells_by_hand():
    residuals = np.zeros((3, 2, 2))
    residuals[1:, 0, 1] = 0.5  # written by the first half-layer, kept by the second
    residuals[2, 1, 0] = -0.002
    residuals[2, 1, 1] = 0.0005  # below the threshold
    changed = changed_cells(residuals)
    assert np.argwhere(changed).tolist() == [[1, 0, 1], [2, 1, 0]]


def test_outlines_stand_exactly_where_cells_changed():
    residuals = np.zeros((3, 2, 3))
    residuals[1:, 1, 0] = 1
    residuals[1, 0, 2] = -1  # written, and taken back by the next half-layer
    figure = residual_stream_figure(residuals, "xyz", ["a"], ["Input", "Attn 1", "MLP 1"])
    assert outlined(figure, "xyz") == {
        "Input": set(),
        "Attn 1": {(1, "x"), (0, "z")},
        "MLP 1": {(0, "z")},
    }


def test_the_residual_stream_of_frac_prevs(frac_prevs):
    """Tracr paper, Figure 2."""
    tokens = ["x", "a", "c", "x"]
    figure = draw(frac_prevs, tokens)
    assert outlined(figure, frac_prevs.labels) == {
        "Input": set(),
        "Attn 1\n(no-op)": set(),
        "MLP 1": {(1, "is_x"), (4, "is_x")},
        "Attn 2": {(position, "frac_prevs") for position in (1, 2, 3, 4)},
        "MLP 2\n(no-op)": set(),
    }
    first, last = figure.axes[0], figure.axes[4]
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["bos", *tokens]
    names = [tick.get_text() for tick in first.get_yticklabels()]
    assert names[:5] == ["tokens:a", "tokens:b", "tokens:c", "tokens:x", "tokens:bos"]
    assert names[-2:] == ["is_x", "frac_prevs"]
    values = np.array(last.collections[0].get_array())  # [directions, positions]
    assert values[-1] == pytest.approx([0, 1, 1 / 2, 1 / 3, 1 / 2])


def test_a_half_layer_that_writes_nothing_on_this_input_is_no_no_op(frac_prevs):
    """Without an x, nothing changes; only the half-layers without weights are no-ops."""
    figure = draw(frac_prevs, ["a", "b"])
    assert outlined(figure, frac_prevs.labels) == {
        "Input": set(),
        "Attn 1\n(no-op)": set(),
        "MLP 1": set(),
        "Attn 2": set(),
        "MLP 2\n(no-op)": set(),
    }


def test_negative_numbers_are_red():
    """Tracr paper, Figure 10: more closed than opened."""
    entry = LIBRARY["pair_balance"]
    model = tracrlab.compile(entry.program, entry.vocab, entry.max_seq_len)
    cells = draw(model, [")", ")", "("]).axes[-2].collections[0]
    assert np.array(cells.get_array())[-1] == pytest.approx([0, -1, -1, -1 / 3])
    assert cells.get_cmap().name == "RdBu"
    assert (cells.norm.vmin, cells.norm.vmax) == (-1, 1)


def test_many_layers_wrap_into_rows():
    """As many panels as shuffle_dyck2 has."""
    names = [f"half-layer {number}" for number in range(15)]
    residuals = np.random.default_rng(0).random((15, 5, 20))
    figure = residual_stream_figure(residuals, [f"v{i}" for i in range(20)], "abcd", names)
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in panels] == names
    assert len({round(axis.get_position().y0, 6) for axis in panels}) == 2
    assert figure.get_figwidth() <= PAGE


def test_long_symbols_stand_upright():
    figure = residual_stream_figure(np.ones((1, 3, 2)), "vw", ["apples", "pears"], ["Input"])
    assert figure.axes[0].get_xticklabels()[1].get_rotation() == 90
    short = residual_stream_figure(np.ones((1, 3, 2)), "vw", ["a", "b"], ["Input"])
    assert short.axes[0].get_xticklabels()[1].get_rotation() == 0
