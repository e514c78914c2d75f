"""One style for every figure: sizes of a two-column paper, colours that everyone can tell apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path

#: Width of a page of two columns, in inches.
PAGE = 6.8

#: Of Okabe and Ito's palette, which everyone can tell apart.
BLUE, ORANGE = "#0072B2", "#E69F00"
GREY = "#7F7F7F"


RC = {
    "font.size": 7,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "legend.fontsize": 6,
    "lines.linewidth": 1,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "tracrlab",
}

#: No dates: two runs give the same bytes.
_METADATA = {
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
}


def colours_of(matrix: np.ndarray) -> tuple[str, Normalize]:
    """Colour map and scale of a matrix: zero is white, positive blue, negative red."""
    limit = max(float(np.abs(matrix).max(initial=0)), 1e-6)
    if matrix.min(initial=0) < -1e-6 * limit:
        return "RdBu", Normalize(-limit, limit)
    return "Blues", Normalize(0, limit)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in the house style (inches)."""
    with mpl.rc_context(RC):
        return Figure(figsize=(width, height), layout="constrained")


def styled(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draws in the house style, whatever the caller's settings are."""

    @wraps(function)
    def draw(*arguments, **options):
        with mpl.rc_context(RC):
            return function(*arguments, **options)

    return draw


def save(figure: Figure, paths: Sequence[str | Path], dpi: int = 200) -> None:
    """Writes a figure to each path, atomically and without dates.

    Raises:
      TracrLabError: if a path does not end in .pdf, .png or .svg.
    """
    for path in map(Path, paths):
        if path.suffix not in _METADATA:
            raise TracrLabError(f"{path} must end in .pdf, .png or .svg.")
    with mpl.rc_context(RC):
        for path in map(Path, paths):
            with atomic_path(path) as temporary:
                figure.savefig(
                    temporary, format=path.suffix[1:], dpi=dpi, metadata=_METADATA[path.suffix]
                )
