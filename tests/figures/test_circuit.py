"""The picture of a circuit: what is in it by hand, and that nothing lies on anything."""

from itertools import combinations

import pytest
from matplotlib.patches import FancyBboxPatch

from tests.exporting.library_models import NAMES, library_model
from tracrlab.exporting.circuit import circuit_of
from tracrlab.figures.circuit import circuit_figure, row_name, shown, texts
from tracrlab.figures.layered import place, spread


def test_frac_prevs_by_hand():
    parts, edges = shown(circuit_of(library_model("frac_prevs")))
    assert {part.id: texts(part) for part in parts} == {
        "tokens": ("tokens", "input"),
        "indices": ("indices", "input"),
        "L0.MLP.is_x": ("is_x", "neuron 0"),
        "L1.H0": ("frac_prevs", "head 0: prevs"),
        "output": ("output", ""),
    }
    assert sorted(edges) == [
        ("L0.MLP.is_x", "L1.H0", "value"),
        ("L1.H0", "output", "unembed"),
        ("indices", "L1.H0", "key"),
        ("indices", "L1.H0", "query"),
        ("tokens", "L0.MLP.is_x", "mlp"),
    ]


def test_rows_are_half_layers():
    assert [row_name(number, 4) for number in (-1, 0, 1, 2, 4)] == [
        "Input",
        "Attn 1",
        "MLP 1",
        "Attn 2",
        "Output",
    ]


def test_spread_moves_as_little_as_it_must():
    assert spread([0, 5, 9], [1, 1]) == [0, 5, 9]
    assert spread([3, 3], [2]) == [2, 4]
    assert spread([0, 0, 0], [1, 1]) == [-1, 0, 1]
    assert spread([4, 0], [1]) == [1.5, 2.5]


def test_an_edge_over_a_row_has_a_lane_beside_its_boxes():
    rows = [["a"], ["b"], ["c"]]
    found = place(rows, dict.fromkeys("abc", 1.0), [("a", "b"), ("b", "c"), ("a", "c")], 0.2, 0.1)
    assert set(found.lanes) == {"a"}
    assert abs(found.lanes["a"][1] - found.x["b"]) == pytest.approx(0.5 + 0.1 + 0.1)
    assert found.width >= 1.3


@pytest.mark.parametrize("name", NAMES)
def test_boxes_lie_apart_and_inside_and_hold_their_text(name):
    figure = circuit_figure(circuit_of(library_model(name)), name)
    axis = figure.axes[0]
    figure.canvas.draw()
    boxes = [patch.get_extents() for patch in axis.patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == len(shown(circuit_of(library_model(name)))[0])
    for first, second in combinations(boxes, 2):
        assert not first.overlaps(second)
    page = figure.bbox
    for box in boxes:
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
    for text in axis.texts:
        extent = text.get_window_extent()
        inside = [box for box in boxes if box.contains(*extent.get_points().mean(axis=0))]
        for box in inside:
            assert box.x0 <= extent.x0
            assert extent.x1 <= box.x1
