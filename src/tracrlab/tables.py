"""Tables as CSV and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tracrlab.errors import TracrLabError
from tracrlab.files import write_text


def write_tables(table: pd.DataFrame, paths: Sequence[str | Path]) -> None:
    """Writes a table to each path, by its ending: ``.csv`` or ``.md``. Missing values are empty.

    Raises:
      TracrLabError: if a path has another ending, or a number is infinite, naming its place.
    """
    for path in map(Path, paths):
        if path.suffix not in (".csv", ".md"):
            raise TracrLabError(f"{path} must end in .csv or .md.")
    _require_finite(table, paths)
    for path in map(Path, paths):
        if path.suffix == ".csv":
            write_text(path, table.to_csv(index=False, lineterminator="\n"))
        else:
            shown = table.astype(object).where(table.notna(), "")
            write_text(path, shown.to_markdown(index=False, floatfmt=".4g") + "\n")


def _require_finite(table: pd.DataFrame, paths: Sequence[str | Path]) -> None:
    """Raises TracrLabError at the first number that is infinite; NaN is a missing value."""
    for name in table.select_dtypes("floating").columns:
        infinite = np.flatnonzero(np.isinf(table[name].to_numpy(dtype=float, na_value=np.nan)))
        if len(infinite):
            raise TracrLabError(
                f"{paths[0] if paths else 'the table'} would hold an infinite {name} in line "
                f"{infinite[0] + 1}; look at what it was computed from."
            )
