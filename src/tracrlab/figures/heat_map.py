"""A labelled matrix drawn as cells: what the residual-stream and the block figures share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from tracrlab.figures.style import RC, SMALL

#: What is not larger is drawn as zero.
ZERO = 1e-6
#: Names with more letters are cut.
_LONGEST = 32


def colours_of(matrix: np.ndarray) -> tuple[str, Normalize]:
    """Colour map and scale of a matrix: zero is pale, positive blue, negative red.

    Cells that are not a number (nan) have no say.
    """
    known = matrix[~np.isnan(matrix)]
    limit = max(float(np.abs(known).max(initial=0)), ZERO)
    if known.min(initial=0) < -ZERO * max(limit, 1):
        return "RdBu", Normalize(-limit, limit)
    return "Blues", Normalize(0, limit)


def draw_cells(axis: Axes, matrix: np.ndarray, colours: str, norm: Normalize) -> QuadMesh:
    """Draws a matrix [rows, columns] as vector cells, the first row on top.

    The middle of a cell has its column and row number as coordinates. Cells that are nan are grey.
    """
    rows, columns = matrix.shape
    mesh = axis.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        np.ma.masked_invalid(matrix),
        cmap=mpl.colormaps[colours].with_extremes(bad="0.8"),
        norm=norm,
        edgecolors="0.88",
        linewidth=0.3,
    )
    axis.set_xlim(-0.5, columns - 0.5)
    axis.set_ylim(rows - 0.5, -0.5)
    axis.tick_params(length=0, pad=1.5)
    axis.spines[:].set_visible(False)
    return mesh


def direction_name(label: str) -> str:
    """A residual direction's label as figures print it: short, and with no mathematics in it."""
    label = label.replace("compiler_bos", "bos").replace("_selector_width_attn_output", " (attn)")
    return printed(label)


def printed(text: object) -> str:
    """A symbol or name as text that is drawn as it stands, cut where it is very long."""
    text = str(text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 9]}…{text[-8:]}"
    return text.replace("$", r"\$")


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = SMALL) -> float:
    """Width of a text in inches."""
    if not text.strip():
        return 0.0
    font = FontProperties(family=RC["font.family"])
    return TextPath((0, 0), text, size=size, prop=font).get_extents().width / 72


def widest(texts: Sequence[str], size: float = SMALL) -> float:
    """Width of the widest of some texts in inches; 0 of none."""
    return max((text_width(text, size) for text in set(texts)), default=0.0)


def collide(texts: Sequence[str], cell: float) -> bool:
    """Whether names side by side, one under each cell (inches), would touch."""
    widths = [text_width(text) for text in texts]
    return any((left + right) / 2 + 0.02 > cell for left, right in pairwise(widths))
