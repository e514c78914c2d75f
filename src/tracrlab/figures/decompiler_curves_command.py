"""`tracrlab figure decompiler-curves`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def decompiler_curves(
    tables: Annotated[list[Path], typer.Argument(help="Curves, ZOO/METHOD/curve.csv.")],
) -> Figure:
    """Draw the learning curves of decompilers; names are taken from the folders.

    Example: tracrlab figure decompiler-curves results/decompiler/standard/tokens/curve.csv --out
    curves.pdf
    """
    import pandas as pd

    from tracrlab.figures.decompiler_curves import curves_figure

    parts = []
    for path in tables:
        zoo, name = path.parts[-3:-1]
        parts.append(pd.read_csv(path).assign(zoo=zoo, name=name))
    return curves_figure(pd.concat(parts, ignore_index=True))
