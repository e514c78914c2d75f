"""`tracrlab figure decompiler ...`: pictures of decompilers' test results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tracrlab.figures.command import (
    ConfigOption,
    DpiOption,
    Outputs,
    figure_command,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

app = typer.Typer(help="Pictures of decompilers' test results.", no_args_is_help=True)

Table = Annotated[Path, typer.Argument(help="The table, as .csv.")]


@figure_command(app)
def accuracy(table: Table) -> Figure:
    """Draw accuracies by number of ops, from results/decompiler_by_ops.csv.

    Example: tracrlab figure decompiler accuracy results/decompiler_by_ops.csv --out accuracy.pdf
    """
    import pandas as pd

    from tracrlab.figures.decompiler import accuracy_by_ops_figure

    return accuracy_by_ops_figure(pd.read_csv(table))


@figure_command(app)
def confusion(table: Table) -> Figure:
    """Draw which op is written for which, from results/decompiler_confusion.csv.

    Example: tracrlab figure decompiler confusion results/decompiler_confusion.csv --out
    confusion.pdf
    """
    import pandas as pd

    from tracrlab.figures.decompiler import confusion_figure

    return confusion_figure(pd.read_csv(table, keep_default_na=False))  # an op may be called none


@app.command()
def programs(
    predictions: Annotated[Path, typer.Argument(help="A file of predictions.")],
    out: Outputs,
    config: ConfigOption = "{}",
    dpi: DpiOption = None,
) -> None:
    """Draw a few predicted programs beside the true ones, differences marked.

    Example: tracrlab figure decompiler programs predictions.parquet --out programs.pdf
    """
    from tracrlab.config import load_config
    from tracrlab.decompiler.examples import examples_table
    from tracrlab.decompiler.predictions import read_all
    from tracrlab.figures.decompiler import programs_figure

    count = load_config(config).decompiler.evaluation.examples
    [found] = read_all([predictions])
    save_figure(programs_figure(examples_table(found, count)), out, config, dpi)
