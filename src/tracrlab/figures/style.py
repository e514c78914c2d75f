"""One style for every figure: sizes of a two-column paper, colours that everyone can tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path

#: Width of a page of two columns, in inches.
PAGE = 6.8

#: Points of titles and names, and of everything smaller; nothing is smaller than the second.
TEXT, SMALL = 7, 6

#: Of Okabe and Ito's palette, which everyone can tell apart.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
GREY, DARK_GREY = "#6F6F6F", "#404040"

RC = {
    "font.size": TEXT,
    "font.family": "DejaVu Sans",
    "axes.titlesize": TEXT,
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "xtick.minor.width": 0.3,
    "xtick.minor.size": 1.2,
    "legend.fontsize": SMALL,
    "lines.linewidth": 1,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "tracrlab",
}

#: These choose a window system or a time zone; they are the caller's, and no figure needs them.
_NOT_STYLE = ("backend", "interactive", "toolbar", "timezone", "webagg", "tk.", "macosx")

#: No dates: two runs give the same bytes.
_METADATA = {
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
}


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's own defaults with `RC` on top, whatever the caller's settings are."""
    defaults = {
        name: value
        for name, value in mpl.rcParamsDefault.items()
        if not name.startswith(_NOT_STYLE)
    }
    with mpl.rc_context(defaults | RC):
        yield


def styled(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draws in the house style."""

    @wraps(function)
    def draw(*arguments, **options):
        with house_style():
            return function(*arguments, **options)

    return draw


def new_figure(width: float, height: float, layout: str = "none") -> Figure:
    """An empty figure (inches) that pyplot does not know; `layout` is Matplotlib's."""
    return Figure(figsize=(width, height), layout=layout, facecolor="white", dpi=100)


def axis_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the figure's upper left corner."""
    across, down = figure.get_size_inches()
    return figure.add_axes(
        (left / across, 1 - (top + height) / down, width / across, height / down)
    )


def save(figure: Figure, paths: Sequence[str | Path], dpi: int = 200) -> None:
    """Writes a figure to each path, atomically and without dates.

    Args:
      figure: the figure.
      paths: files to write; .pdf and .svg are vectors, with their fonts as text.
      dpi: dots per inch of a .png.

    Raises:
      TracrLabError: if a path does not end in .pdf, .png or .svg; nothing is written then.
    """
    for path in map(Path, paths):
        if path.suffix not in _METADATA:
            raise TracrLabError(f"{path} must end in .pdf, .png or .svg.")
    with house_style():
        for path in map(Path, paths):
            with atomic_path(path) as temporary:
                figure.savefig(
                    temporary, format=path.suffix[1:], dpi=dpi, metadata=_METADATA[path.suffix]
                )
