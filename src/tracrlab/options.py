"""Options that commands of several arms share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    str,
    typer.Option(
        "--config", help="A YAML file, or a JSON object; what it leaves out has defaults."
    ),
]
Tables = Annotated[
    list[Path], typer.Option("--out", help="Table to write: .csv or .md. Give it again for more.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value, for a script.")]
CausalOption = Annotated[bool, typer.Option("--causal", help="Mask attention causally.")]
