"""Tables as CSV and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tracrlab.errors import TracrLabError
from tracrlab.files import write_text


def write_tables(table: pd.DataFrame, paths: Sequence[str | Path]) -> None:
    """Writes a table to each path, by its ending: ``.csv`` or ``.md``. Missing values are empty.

    Raises:
      TracrLabError: if a path has another ending.
    """
    for path in map(Path, paths):
        if path.suffix not in (".csv", ".md"):
            raise TracrLabError(f"{path} must end in .csv or .md.")
    for path in map(Path, paths):
        if path.suffix == ".csv":
            write_text(path, table.to_csv(index=False, lineterminator="\n"))
        else:
            shown = table.astype(object).where(table.notna(), "")
            write_text(path, shown.to_markdown(index=False, floatfmt=".4g") + "\n")
