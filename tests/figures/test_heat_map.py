"""Colours, names and cells of a labelled matrix."""

import numpy as np
import pytest

from tracrlab.figures.heat_map import (
    collide,
    colours_of,
    direction_name,
    draw_cells,
    printed,
    text_width,
    widest,
)
from tracrlab.figures.style import axis_at, new_figure


def test_colours_are_centred_where_numbers_have_both_signs():
    assert colours_of(np.array([[0, 2]]))[0] == "Blues"
    name, scale = colours_of(np.array([[-1, 2]]))
    assert (name, scale.vmin, scale.vmax) == ("RdBu", -2, 2)


def test_rounding_errors_below_zero_and_hidden_cells_have_no_say():
    name, scale = colours_of(np.array([[-1e-9, 1], [np.nan, 0.5]]))
    assert (name, scale.vmin, scale.vmax) == ("Blues", 0, 1)


def test_the_first_row_is_on_top_and_cells_carry_their_values():
    axis = axis_at(new_figure(2, 2), 0, 0, 1, 1)
    matrix = np.array([[1.0, 2, 3], [4, np.nan, 6]])
    cells = draw_cells(axis, matrix, *colours_of(matrix))
    assert axis.get_ylim() == (1.5, -0.5)
    assert axis.get_xlim() == (-0.5, 2.5)
    drawn = cells.get_array()
    assert drawn.mask.tolist() == [[False, False, False], [False, True, False]]
    assert drawn.compressed().tolist() == [1, 2, 3, 4, 6]


def test_names_are_short_and_never_mathematics():
    assert direction_name("tokens:compiler_bos") == "tokens:bos"
    assert direction_name("hist_selector_width_attn_output") == "hist (attn)"
    assert printed("$x$") == r"\$x\$"
    assert printed(3) == "3"
    assert printed("a" * 30 + "b" * 10) == "a" * 23 + "…" + "b" * 8


def test_names_that_would_touch_are_found():
    assert text_width(" ") == 0
    assert widest([]) == 0
    assert widest(["i", "mmm"]) == pytest.approx(text_width("mmm"))
    assert text_width("mm", 12) == pytest.approx(2 * text_width("mm", 6), rel=0.05)
    assert not collide(["mmm"], 0.01)  # one name touches nothing
    half = text_width("mmm") / 2
    assert collide(["mmm", "mmm"], 2 * half)
    assert not collide(["mmm", "mmm"], 2 * half + 0.03)
