"""The superposition study's figures on numbers made by hand."""

import numpy as np
import pandas as pd
import pytest

from tracrlab.figures.heat_map import direction_name
from tracrlab.figures.labelled_matrix import MatrixPanel, compression_figure, draw_matrices
from tracrlab.figures.style import PAGE, SMALL
from tracrlab.figures.superposition import (
    FLOOR,
    half_layer_title,
    layers_figure,
    library_figure,
    loss_figure,
    shown_width,
)

LABELS = ["one", "tokens:a", "v1"]


@pytest.fixture
def runs():
    """Two widths of a stream of three, two seeds, one of which did not end in a number."""
    rows = [
        (1, "gradient", 0, 2.0, 1.0, 0.5, 0.2, 0.8),
        (1, "gradient", 1, 1.0, 0.5, 0.6, 0.3, 0.7),
        (2, "gradient", 0, 0.1, 0.0, 1.0, 0.9, 1.0),
        (2, "gradient", 1, np.nan, np.nan, 0.0, np.nan, np.nan),
        (1, "pca", None, 0.9, 0.4, 0.5, 0.1, 0.2),
        (2, "pca", None, 0.8, 0.3, 0.6, 0.3, 0.4),
    ]
    columns = [
        "d",
        "method",
        "seed",
        "loss",
        "output_loss",
        "accuracy",
        "cosine_attn_1",
        "cosine_mlp_1",
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(program="p", d_model=3, cosine_attn_2=np.nan)


@pytest.fixture
def curves():
    rows = [
        (d, seed, step, 9.0, 10.0 * d + seed + step / 100)
        for d in (1, 2)
        for seed in (0, 1)
        for step in (20, 10)
    ]
    return pd.DataFrame(rows, columns=["d", "seed", "step", "loss", "output_loss"])


def axis_of(figure, name):
    return next(
        a for a in figure.axes if name in (a.get_ylabel(), a.get_title(), a.get_title("left"))
    )


def points(line):
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def cells(axis):
    return np.asarray(axis.collections[0].get_array())


def test_training_curves_are_of_the_best_seed_of_each_width(runs, curves):
    figure = loss_figure(runs, curves, {"a": np.eye(3), "b": np.ones((3, 3))}, LABELS, 2)
    lines = axis_of(figure, "output loss").get_lines()
    assert points(lines[0]) == [(10, pytest.approx(11.1)), (20, pytest.approx(11.2))]
    assert points(lines[1]) == [(10, pytest.approx(20.1)), (20, pytest.approx(20.2))]
    legend = axis_of(figure, "output loss").get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["d = 1", "d = 2"]


def test_final_losses_of_runs_their_best_and_pca(runs, curves):
    figure = loss_figure(runs, curves, {"a": np.eye(3)}, LABELS, 2)
    shown, dots, best, components = axis_of(figure, "final output loss").get_lines()
    assert list(shown.get_xdata()) == [2, 2]
    assert points(dots)[:3] == [(1, 1.0), (1, 0.5), (2, FLOOR)]
    assert points(best) == [(1, 0.5), (2, FLOOR)]
    assert points(components) == [(1, 0.4), (2, 0.3)]
    assert axis_of(figure, "final output loss").get_yscale() == "log"


def test_operators_are_drawn_with_their_directions(runs, curves):
    operator = np.arange(9.0).reshape(3, 3)
    figure = loss_figure(runs, curves, {"gradient": operator, "PCA": -operator}, LABELS, 2)
    axis = axis_of(figure, "gradient")
    assert (cells(axis) == operator).all()
    assert [tick.get_text() for tick in axis.get_yticklabels()] == LABELS
    assert [tick.get_text() for tick in axis.get_xticklabels()] == LABELS
    assert (cells(axis_of(figure, "PCA")) == -operator).all()
    assert axis.collections[0].norm.vmax == 8


def test_the_width_that_is_shown():
    assert shown_width([2, 7, 10, 13]) == 7
    assert shown_width([10, 6]) == 6
    assert shown_width([4, 8, 9]) == 8
    assert half_layer_title("attn_1") == "Attn 1"
    assert half_layer_title("mlp_12") == "MLP 12"


def test_accuracy_and_cosines_against_width(runs):
    outputs = {
        "compiled": np.array([[0.0, 1, 2], [0, 0, 0], [0, 0, 0]]),
        "compressed": np.array([[0.0, 1, 4], [0, 0, 0], [0, 0, 0]]),
        "squared difference": np.array([[0.0, 0, 9], [0, 0, 0], [0, 0, 0]]),
    }
    figure = layers_figure(runs, outputs, LABELS, ["attn_1", "mlp_1", "attn_2"], 2)
    dots, best, shown = axis_of(figure, "accuracy").get_lines()
    assert points(dots) == [(1, 0.5), (1, 0.6), (2, 1.0), (2, 0.0)]
    assert points(best) == [(1, 0.6), (2, 1.0)]
    assert list(shown.get_xdata()) == [2, 2]
    cosines = {
        line.get_label(): points(line)
        for line in axis_of(figure, "cosine similarity").get_lines()
        if len(line.get_xdata()) == 2 and not line.get_label().startswith("shown")
    }
    assert cosines == {"Attn 1": [(1, 0.3), (2, 0.9)], "MLP 1": [(1, 0.7), (2, 1.0)]}
    assert (cells(axis_of(figure, "compiled")) == outputs["compiled"].T).all()
    scales = [axis_of(figure, name).collections[0].norm.vmax for name in outputs]
    assert scales == [4, 4, 9]


def test_the_library_is_in_the_order_of_its_smallest_widths():
    def program(name, size, accuracies):
        return [(name, size, d, "gradient", 0, 0.1, accuracy) for d, accuracy in accuracies.items()]

    rows = (
        program("never", 10, {5: 0.2, 10: 0.4})
        + program("late", 10, {5: 0.5, 10: 1.0})
        + program("early", 8, {2: 1.0, 4: 1.0, 8: 1.0})
    )
    columns = ["program", "d_model", "d", "method", "seed", "loss", "accuracy"]
    figure = library_figure(pd.DataFrame(rows, columns=columns))
    axis = figure.axes[0]
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["early", "late", "never"]
    assert [mesh.get_array().ravel().tolist() for mesh in axis.collections] == [
        [1, 1, 1],
        [0.5, 1],
        [0.2, 0.4],
    ]
    assert [line.get_xdata()[0] for line in axis.get_lines()] == [0.25, 1.0]
    texts = [text.get_text() for text in axis.texts]
    assert texts[:3] == ["2 of 8", "10 of 10", "none of 10"]
    edges = axis.collections[0].get_coordinates()[0, :, 0]
    assert edges.tolist() == [0, 0.375, 0.75, 1]


def test_w_and_a_head_before_and_after_folding():
    compression = np.array([[1.0, 0], [0, 2], [1, 1]])
    before, after = {"query": np.ones((3, 2))}, {"query": np.full((2, 2), 5.0)}
    figure = compression_figure(compression, LABELS, before, after, "Attn 1, head 1")
    assert (cells(axis_of(figure, "W")) == compression).all()
    assert cells(axis_of(figure, "W Wᵀ")).tolist() == [[1, 0, 1], [0, 4, 2], [1, 2, 2]]
    queries = [axis for axis in figure.axes if axis.get_title("left") == "query"]
    assert [cells(axis).shape for axis in queries] == [(3, 2), (2, 2)]
    assert [tick.get_text() for tick in queries[1].get_yticklabels()] == ["0", "1"]
    headings = [text.get_text() for text in figure.texts]
    assert headings == [
        "compression to d = 2",
        "Attn 1, head 1, before folding",
        "Attn 1, head 1, after folding",
    ]
    without = compression_figure(compression, LABELS, {}, {}, "")
    assert len(without.texts) == 1


def test_large_matrices_fit_the_page_and_small_ones_stay_readable():
    names = [f"direction:{number}" for number in range(70)]
    wide = MatrixPanel("wide", np.zeros((70, 70)), names, names)
    drawn = draw_matrices([[wide, wide]])
    right = max(axis.get_position().x1 for axis in drawn.figure.axes)
    assert right <= 1
    # Cells are too small for a name each: as many are named as can be read, the others are not.
    named = [text.get_text() for text in drawn.axes[0][0].get_yticklabels()]
    step = len(names) // (len(named) - 1)
    assert 1 < step < 10
    assert named == [direction_name(name) for name in names[::step]]
    small = draw_matrices([[MatrixPanel("small", np.zeros((3, 3)), LABELS, LABELS)]])
    assert small.axes[0][0].get_yticklabels()[0].get_fontsize() == SMALL
    assert small.figure.get_figwidth() == PAGE


def test_a_matrix_that_is_not_finite_is_drawn_grey():
    drawn = draw_matrices([[MatrixPanel("m", np.array([[np.inf, 1.0]]))]])
    assert np.ma.getmaskarray(drawn.axes[0][0].collections[0].get_array()).tolist() == [
        [True, False]
    ]
