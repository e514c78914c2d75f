"""`tracrlab study`: the superposition study of the Tracr paper; rules call these commands too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracrlab.errors import TracrLabError

app = typer.Typer(
    help="Compress one program at every width: the superposition study.", no_args_is_help=True
)

ConfigOption = Annotated[
    str, typer.Option("--config", help="A YAML file or a JSON object; seed and study are read.")
]


@app.command()
def train(
    program: Annotated[str, typer.Argument(help="The name of a library program.")],
    out_dir: Annotated[Path, typer.Option(help="Folder to write to.")],
    config: ConfigOption = "{}",
) -> None:
    """Train a compression matrix for every width and seed, side by side, and measure each.

    Writes runs.csv, curves.csv, matrices.safetensors and outputs.safetensors.

    Example: tracrlab study train frac_prevs --out-dir results/study/frac_prevs
    """
    import pandas as pd

    from tracrlab.config import load_config
    from tracrlab.students.study_measures import save_arrays
    from tracrlab.tables import write_tables

    configuration = load_config(config)
    found, curves = _trained(program, configuration.study, configuration.seed)
    write_tables(pd.concat(curves), [out_dir / "curves.csv"])
    save_arrays(out_dir / "matrices.safetensors", found.matrices)
    save_arrays(out_dir / "outputs.safetensors", found.outputs)
    write_tables(found.runs, [out_dir / "runs.csv"])


@app.command()
def library(
    program: Annotated[str, typer.Argument(help="The name of a library program.")],
    out: Annotated[Path, typer.Option(help="The .csv file to write.")],
    config: ConfigOption = "{}",
) -> None:
    """Train a program at the smaller scale of study.library; one row a run.

    Example: tracrlab study library hist --out results/study/library/hist.csv
    """
    from tracrlab.config import load_config
    from tracrlab.students.study_summary import RUN_COLUMNS
    from tracrlab.tables import write_tables

    configuration = load_config(config)
    found, _ = _trained(program, configuration.study.library, configuration.seed)
    write_tables(found.runs[list(RUN_COLUMNS)], [out])


@app.command()
def summary(
    runs: Annotated[list[Path], typer.Argument(help="The runs.csv of every program.")],
    out: Annotated[
        list[Path], typer.Option("--out", help="File to write; .csv or .md. Again for more.")
    ],
) -> None:
    """Set what the runs found beside the figures of the Tracr paper.

    Example: tracrlab study summary results/study/frac_prevs/runs.csv --out summary.md
    """
    import pandas as pd

    from tracrlab.students.study_summary import read_runs, summary_table
    from tracrlab.tables import write_tables

    write_tables(summary_table(pd.concat([read_runs(path) for path in runs])), out)


def _trained(program: str, scale, seed: int):
    """The results and the training curves of one library program."""
    from tracrlab.progress import progress
    from tracrlab.rasp.library import LIBRARY
    from tracrlab.students.study import Study
    from tracrlab.students.study_measures import curve_rows, results, study_model
    from tracrlab.students.study_summary import study_settings

    if program not in LIBRARY:
        raise TracrLabError(f"{program!r} is not a library program; they are {', '.join(LIBRARY)}.")
    model, table = study_model(program)
    settings = study_settings(scale, model.architecture.d_model, seed)
    study = Study(model, table, settings)
    points = progress(study.train(), settings.recorded, f"training {program}, points of its curves")
    curves = list(curve_rows(settings.widths, points))
    return results(program, study), curves
