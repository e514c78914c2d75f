"""The block figure draws every panel, within the page, with numbers where they fit."""

import numpy as np
import pytest

import tracrlab
from tracrlab.figures.blocks import blocks_figure
from tracrlab.figures.panels import Panel, layer_panels
from tracrlab.figures.style import PAGE, SMALL
from tracrlab.rasp.library import LIBRARY


def panel(matrix, section="one", columns=None):
    rows = tuple(f"r{number}" for number in range(len(matrix)))
    columns = columns or tuple(f"c{number}" for number in range(matrix.shape[1]))
    return Panel(section, "title", "formula", matrix, rows, columns, "row", "column")


def numbers(axis):
    return {
        tuple(map(int, text.get_position())): text.get_text()
        for text in axis.texts
        if text.get_text() != "formula"
    }


def test_numbers_stand_in_the_cells_that_are_not_zero():
    matrix = np.array([[0, -100.4, 0.3333], [np.nan, 12345, 0.001]])
    axis = blocks_figure([panel(matrix)]).axes[0]
    assert numbers(axis) == {(1, 0): "-100", (2, 0): "0.33", (1, 1): "1e4", (2, 1): "1e-3"}


def test_a_matrix_that_is_too_wide_has_no_numbers_and_fewer_names():
    axis = blocks_figure([panel(np.ones((2, 200)))]).axes[0]
    assert numbers(axis) == {}
    names = [tick.get_text() for tick in axis.get_xticklabels()]
    assert names[:2] == ["c0", "c3"]


def test_nothing_is_said_to_be_nothing():
    axis = blocks_figure([panel(np.ones((2, 0)))]).axes[0]
    assert "(nothing)" in [text.get_text() for text in axis.texts]


def test_a_section_begins_on_a_line_of_its_own():
    figure = blocks_figure([panel(np.ones((2, 2))), panel(np.ones((2, 2)), section="two")])
    assert [text.get_text() for text in figure.texts] == ["one", "two"]
    first, second = (axis.get_position() for axis in figure.axes)
    assert first.y0 > second.y1
    assert first.x0 == second.x0


@pytest.mark.parametrize(
    ("name", "layers"), [("hist", [0]), ("sort_unique", [0, 1]), ("shuffle_dyck2", [1])]
)
def test_panels_lie_on_the_page_and_apart(name, layers):
    entry = LIBRARY[name]
    model = tracrlab.compile(entry.program, entry.vocab, entry.max_seq_len)
    for layer in layers:
        panels = layer_panels(model, entry.example, layer)
        figure = blocks_figure(panels)
        assert [axis.get_title(loc="left") for axis in figure.axes] == [
            f"{number}. {panel.title}" for number, panel in enumerate(panels, start=1)
        ]
        assert figure.get_figwidth() == PAGE
        boxes = [axis.get_position() for axis in figure.axes]
        for number, box in enumerate(boxes):
            assert box.x0 > 0
            assert box.y0 > 0
            assert box.x1 <= 1
            assert not any(box.overlaps(other) for other in boxes[:number])


def test_text_is_never_smaller_than_six_points():
    entry = LIBRARY["sort_unique"]
    model = tracrlab.compile(entry.program, entry.vocab, entry.max_seq_len)
    figure = blocks_figure(layer_panels(model, entry.example, 0))
    for axis in figure.axes:
        for text in (
            *axis.texts,
            *axis.get_xticklabels(),
            *axis.get_yticklabels(),
            axis.xaxis.label,
        ):
            assert text.get_fontsize() >= SMALL
