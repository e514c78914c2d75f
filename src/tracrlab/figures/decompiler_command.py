"""`tracrlab figure decompiler ...`: pictures of decompilers' test results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracrlab.figures.command import ConfigOption, DpiOption, Outputs, save_figure

app = typer.Typer(help="Pictures of decompilers' test results.", no_args_is_help=True)

Table = Annotated[Path, typer.Argument(help="The table, as .csv.")]


@app.command()
def accuracy(
    table: Table, out: Outputs, config: ConfigOption = "{}", dpi: DpiOption = None
) -> None:
    """Draw accuracies by number of ops, from results/decompiler_by_ops.csv.

    Example: tracrlab figure decompiler accuracy results/decompiler_by_ops.csv --out accuracy.pdf
    """
    import pandas as pd

    from tracrlab.figures.decompiler import accuracy_by_ops_figure

    save_figure(accuracy_by_ops_figure(pd.read_csv(table)), out, config, dpi)


@app.command()
def confusion(
    table: Table, out: Outputs, config: ConfigOption = "{}", dpi: DpiOption = None
) -> None:
    """Draw which op is written for which, from results/decompiler_confusion.csv.

    Example: tracrlab figure decompiler confusion results/decompiler_confusion.csv --out
    confusion.pdf
    """
    import pandas as pd

    from tracrlab.figures.decompiler import confusion_figure

    frame = pd.read_csv(table, keep_default_na=False)  # an op may be called none
    save_figure(confusion_figure(frame), out, config, dpi)


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
