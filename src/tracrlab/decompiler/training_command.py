"""`tracrlab train-decompiler`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracrlab.errors import TracrLabError
from tracrlab.options import ConfigOption


def train_decompiler(
    manifests: Annotated[
        list[Path], typer.Argument(help="Manifest of the zoo; several zoos are read as one.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model, its curve and checkpoints.")],
    zoo: Annotated[
        str,
        typer.Option(
            help="Which zoo it is: standard, compressed or natural; or stand_ins, the standard one "
            "with its models changed as training would change them."
        ),
    ] = "standard",
    method: Annotated[
        str, typer.Option(help="lines, tokens, circuits, autoencoder, or a variant.")
    ] = "tokens",
    start: Annotated[
        Path | None, typer.Option(help="Folder of the trained model that fine-tuning starts from.")
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Write the weights in half precision.")
    ] = False,
    config: ConfigOption = "{}",
) -> None:
    """Train a meta-model that reads weights and writes programs.

    A run that is stopped goes on from its checkpoint when it is started again; with several GPUs it
    trains in as many processes.

    Example: tracrlab train-decompiler results/zoo/standard/manifest.json --out decompiler
    """
    from tracrlab.cluster.launching import launch, processes_of_job
    from tracrlab.config import load_config

    for manifest in manifests:
        if not manifest.is_file():
            raise TracrLabError(f"there is no manifest {manifest}; make the zoo first.")
    load_config(config)  # a wrong one is refused once, and not by every process
    launch(_train, processes_of_job(), config, zoo, method, manifests, out, start, half)


def _train(
    config: str,
    zoo: str,
    method: str,
    manifests: list[Path],
    out: Path,
    start: Path | None,
    half: bool,
) -> None:
    """Trains one model, alone or as one of several processes; the main one writes."""
    from tracrlab.config import load_config
    from tracrlab.decompiler.training import train

    settings = load_config(config)
    trained = train(settings, zoo, method, manifests, out, start)
    if trained.writes:
        trained.write(settings, out, half)


def autoencoder_row(
    curve: Annotated[Path, typer.Argument(help="curve.csv of the auto-encoder.")],
    out: Annotated[
        list[Path], typer.Option(help="File to write; .csv or .md. Give it again for more.")
    ],
) -> None:
    """Put the auto-encoder's accuracy beside the thesis's.

    Example: tracrlab decompiler-autoencoder curve.csv --out autoencoder.md
    """
    import pandas as pd

    from tracrlab.decompiler.curve import autoencoder_table
    from tracrlab.tables import write_tables

    write_tables(autoencoder_table(pd.read_csv(curve)), out)
