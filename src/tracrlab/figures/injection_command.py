"""`tracrlab figure injection ...`: pictures of injected models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tracrlab.figures.command import figure_command

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tracrlab.injection.model_folder import InjectedModel

app = typer.Typer(help="Pictures of injected models.", no_args_is_help=True)

Table = Annotated[Path, typer.Argument(help="The table, as .csv.")]
Model = Annotated[Path, typer.Argument(help="Folder of an injected model.")]
Prompt = Annotated[
    str | None, typer.Option(help="A prompt of the task, up to its answer; none: a held-out one.")
]


@figure_command(app)
def losses(
    tables: Annotated[list[Path], typer.Argument(help="Loss tables, TASK/METHOD/RUN/losses.csv.")],
) -> Figure:
    """Draw losses and held-out accuracies over the steps; names are taken from the folders.

    Example: tracrlab figure injection losses results/injection/count/tracr_injection/0/losses.csv
    --out losses.pdf
    """
    import pandas as pd

    from tracrlab.figures.injection import losses_figure

    parts = []
    for path in tables:
        task, method, run = path.parts[-4:-1]
        parts.append(pd.read_csv(path).assign(task=task, method=method, run=run))
    return losses_figure(pd.concat(parts, ignore_index=True))


@figure_command(app)
def ood(table: Table) -> Figure:
    """Draw accuracies outside the training range with the paper's.

    Example: tracrlab figure injection ood results/ood_table.csv --out ood.pdf
    """
    return _drawn("ood_figure", table)


@figure_command(app)
def variables(table: Table) -> Figure:
    """Draw how often each variable is decoded right, by layer.

    Example: tracrlab figure injection variables
    results/injection/count/tracr_injection/0/variables.csv --out v.pdf
    """
    return _drawn("variables_figure", table)


@figure_command(app)
def noise(table: Table) -> Figure:
    """Draw accuracy against the norm of noise.

    Example: tracrlab figure injection noise results/injection/count/tracr_injection/0/noise.csv
    --out noise.pdf
    """
    return _drawn("noise_figure", table)


@figure_command(app)
def interchange(table: Table) -> Figure:
    """Draw how often answers follow interchanged variables.

    Example: tracrlab figure injection interchange
    results/injection/count/tracr_injection/0/interchange.csv --out i.pdf
    """
    return _drawn("interchange_figure", table)


@figure_command(app)
def decoded(model: Model, prompt: Prompt = None) -> Figure:
    """Draw every decoded variable at every token of a prompt.

    Example: tracrlab figure injection decoded results/injection/count/tracr_injection/0/model
    --out decoded.pdf
    """
    from tracrlab.figures.injection import decoded_figure
    from tracrlab.injection.variables import decoded_table

    injected, tokens, texts = _model_and_prompt(model, prompt)
    return decoded_figure(decoded_table(injected, tokens, texts))


@figure_command(app)
def streams(model: Model, prompt: Prompt = None) -> Figure:
    """Draw the residual stream of a prompt behind the last aligned layer, raw and mapped.

    Example: tracrlab figure injection streams results/injection/count/tracr_injection/0/model
    --out streams.pdf
    """
    import numpy as np
    import torch

    from tracrlab.figures.injection import streams_figure
    from tracrlab.injection.variables import mapped_streams

    injected, tokens, texts = _model_and_prompt(model, prompt)
    stage = injected.alignment.model_stages[-1]
    run = injected.model(torch.tensor([tokens]), keep=(stage,))
    mapped = mapped_streams(injected, np.array([tokens]))[-1, 0]
    labels = [injected.labels[direction] for direction in injected.alignment.directions]
    raw = run.streams[stage][0].float().numpy()
    return streams_figure(raw, mapped, texts, labels)


def _model_and_prompt(
    folder: Path, prompt: str | None
) -> tuple[InjectedModel, list[int], list[str]]:
    """An injected model, and the tokens of a prompt (its own example, without one) with texts."""
    from tracrlab.injection.model_folder import load_model, read_prompt

    injected = load_model(folder)
    tokens, texts, _ = read_prompt(injected, prompt or injected.meta["example"])
    return injected, tokens, texts


def _drawn(name: str, table: Path) -> Figure:
    """The figure that a function of `tracrlab.figures.injection` draws of a table."""
    import pandas as pd

    from tracrlab.figures import injection

    return getattr(injection, name)(pd.read_csv(table))
