"""`tracrlab figure injection ...`: pictures of injected models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracrlab.figures.command import ConfigOption, DpiOption, Outputs, save_figure

app = typer.Typer(help="Pictures of injected models.", no_args_is_help=True)

Table = Annotated[Path, typer.Argument(help="The table, as .csv.")]
Model = Annotated[Path, typer.Argument(help="Folder of an injected model.")]
Prompt = Annotated[
    str | None, typer.Option(help="A prompt of the task, up to its answer; none: a held-out one.")
]


@app.command()
def losses(
    tables: Annotated[list[Path], typer.Argument(help="Loss tables, TASK/METHOD/RUN/losses.csv.")],
    out: Outputs,
    config: ConfigOption = "{}",
    dpi: DpiOption = None,
) -> None:
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
    save_figure(losses_figure(pd.concat(parts, ignore_index=True)), out, config, dpi)


@app.command()
def ood(table: Table, out: Outputs, config: ConfigOption = "{}", dpi: DpiOption = None) -> None:
    """Draw accuracies outside the training range with the paper's.

    Example: tracrlab figure injection ood results/ood_table.csv --out ood.pdf
    """
    _draw("ood_figure", table, out, config, dpi)


@app.command()
def variables(
    table: Table, out: Outputs, config: ConfigOption = "{}", dpi: DpiOption = None
) -> None:
    """Draw how often each variable is decoded right, by layer.

    Example: tracrlab figure injection variables
    results/injection/count/tracr_injection/0/variables.csv --out v.pdf
    """
    _draw("variables_figure", table, out, config, dpi)


@app.command()
def noise(table: Table, out: Outputs, config: ConfigOption = "{}", dpi: DpiOption = None) -> None:
    """Draw accuracy against the norm of noise.

    Example: tracrlab figure injection noise results/injection/count/tracr_injection/0/noise.csv
    --out noise.pdf
    """
    _draw("noise_figure", table, out, config, dpi)


@app.command()
def interchange(
    table: Table, out: Outputs, config: ConfigOption = "{}", dpi: DpiOption = None
) -> None:
    """Draw how often answers follow interchanged variables.

    Example: tracrlab figure injection interchange
    results/injection/count/tracr_injection/0/interchange.csv --out i.pdf
    """
    _draw("interchange_figure", table, out, config, dpi)


@app.command()
def decoded(
    model: Model,
    out: Outputs,
    prompt: Prompt = None,
    config: ConfigOption = "{}",
    dpi: DpiOption = None,
) -> None:
    """Draw every decoded variable at every token of a prompt.

    Example: tracrlab figure injection decoded results/injection/count/tracr_injection/0/model
    --out decoded.pdf
    """
    from tracrlab.figures.injection import decoded_figure
    from tracrlab.injection.model_folder import load_model, read_prompt
    from tracrlab.injection.variables import decoded_table

    injected = load_model(model)
    tokens, texts, _ = read_prompt(injected, prompt or injected.meta["example"])
    save_figure(decoded_figure(decoded_table(injected, tokens, texts)), out, config, dpi)


@app.command()
def streams(
    model: Model,
    out: Outputs,
    prompt: Prompt = None,
    config: ConfigOption = "{}",
    dpi: DpiOption = None,
) -> None:
    """Draw the residual stream of a prompt behind the last aligned layer, raw and mapped.

    Example: tracrlab figure injection streams results/injection/count/tracr_injection/0/model
    --out streams.pdf
    """
    import numpy as np
    import torch

    from tracrlab.figures.injection import streams_figure
    from tracrlab.injection.model_folder import load_model, read_prompt
    from tracrlab.injection.variables import mapped_streams

    injected = load_model(model)
    tokens, texts, _ = read_prompt(injected, prompt or injected.meta["example"])
    stage = injected.alignment.model_stages[-1]
    run = injected.model(torch.tensor([tokens]), keep=(stage,))
    mapped = mapped_streams(injected, np.array([tokens]))[-1, 0]
    labels = [injected.labels[direction] for direction in injected.alignment.directions]
    raw = run.streams[stage][0].float().numpy()
    save_figure(streams_figure(raw, mapped, texts, labels), out, config, dpi)


def _draw(name: str, table: Path, out: list[Path], config: str, dpi: int | None) -> None:
    import pandas as pd

    from tracrlab.figures import injection

    save_figure(getattr(injection, name)(pd.read_csv(table)), out, config, dpi)
