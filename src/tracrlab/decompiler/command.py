"""`tracrlab decompile` and `tracrlab decompiler ...`: trained decompilers put to use and judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tracrlab.errors import TracrLabError
from tracrlab.options import ConfigOption, Tables

app = typer.Typer(help="Decompilers judged on test programs.", no_args_is_help=True)

DeviceOption = Annotated[str, typer.Option(help="Where the meta-model runs: cpu or cuda.")]
Files = Annotated[list[Path], typer.Argument(help="Files of predictions.")]
Folder = Annotated[Path, typer.Argument(help="Folder of a trained decompiler.")]


def decompile(
    model: Annotated[Path, typer.Argument(help="A model file, .safetensors.")],
    decompiler: Annotated[
        Path | None,
        typer.Option(help="Folder of a trained decompiler; by default the one that is shipped."),
    ] = None,
    beams: Annotated[int, typer.Option(min=1, help="Candidates that are run at first.")] = 8,
    most_beams: Annotated[
        int, typer.Option(min=1, help="Most candidates, where none of fewer is verified.")
    ] = 128,
    repairs: Annotated[
        int,
        typer.Option(
            min=0,
            help="Rounds in which, where none is verified still, tokens of those that came closest "
            "are exchanged.",
        ),
    ] = 3,
    endings: Annotated[
        int,
        typer.Option(
            min=0,
            help="Programs that are run, where none is verified still, of those that end in what "
            "the candidates compute.",
        ),
    ] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    device: DeviceOption = "cpu",
) -> None:
    """Write the RASP program of a model from its weights, and say whether it is right.

    Candidates are run beside the model on every input of its domain (4,096 seeded ones where there
    are more). verified: right at every position; plausible: at nine of ten; none: less.

    Example: tracrlab compile hist --vocab 0,1,2,3,4 --out hist.safetensors
    && tracrlab decompile hist.safetensors
    """
    from tracrlab.compiler import CompiledModel
    from tracrlab.decompiler.decompiling import SHIPPED, Decompiler, Search

    loaded = CompiledModel.load(model)
    search = Search(beams, max(beams, most_beams), repairs, endings)
    [answer] = Decompiler.load(decompiler or SHIPPED, device).decompile([loaded], search)
    record = _record(answer)
    print(json.dumps(record) if as_json else _text(record))


def _record(answer) -> dict:
    check = answer.check
    return {
        "program": answer.program and answer.program.text(),
        "verdict": answer.verdict,
        "confidence": answer.confidence,
        "agreement": check.agreement if check else 0.0,
        "inputs": check.inputs if check else 0,
        "same_weights": bool(check and check.same_weights),
        "candidates": answer.tried,
        "first": answer.first and answer.first.program.text(),
    }


def _text(record: dict) -> str:
    """The answer for people; all but the program is in comments, so it reads as a .rasp file."""
    if record["program"] is None:
        return "# none: the decompiler wrote nothing that is a program"
    lines = [
        f"# {record['verdict']}: right at {_percent(record['agreement'])} of the positions of "
        f"{record['inputs']:,} inputs"
        + (", and it compiles to these weights" if record["same_weights"] else ""),
        f"# confidence {record['confidence']:.2g}, {record['candidates']} candidates run",
    ]
    if record["inputs"] == 0:
        lines[0] = f"# {record['verdict']}: it cannot be run on every input"
    return "\n".join([*lines, record["program"]])


def _percent(share: float) -> str:
    """A share that is printed as 100 % only if it is all."""
    text = f"{100 * share:.2f}"
    return "100 %" if share == 1 else f"{'99.99' if text == '100.00' else text} %"


@app.command()
def predict(
    manifest: Annotated[Path, typer.Argument(help="The zoo's manifest.json.")],
    decompiler: Annotated[Path, typer.Option(help="Folder of a trained decompiler.")],
    zoo: Annotated[str, typer.Option(help="What tables call the zoo.")],
    name: Annotated[str, typer.Option(help="What tables call the decompiler.")],
    out: Annotated[Path, typer.Option(help="The file of predictions to write, .parquet.")],
    config: ConfigOption = "{}",
    device: DeviceOption = "cpu",
) -> None:
    """Decompile test programs of a zoo, and execute what is written.

    Example: tracrlab decompiler predict results/zoo/standard/manifest.json --decompiler
    decompiler --zoo standard --name tokens --out predictions.parquet
    """
    from tracrlab.config import load_config
    from tracrlab.decompiler.predicting import predict as predict_zoo

    settings = load_config(config).decompiler
    predict_zoo(settings, manifest, decompiler, out, zoo=zoo, name=name, device=device)


@app.command()
def table(predictions: Files, out: Tables) -> None:
    """Write every zoo x every method, with the figures that papers report.

    Example: tracrlab decompiler table predictions.parquet --out decompiler_table.md
    """
    _write("decompiler_table", predictions, out)


@app.command("by_ops")
def by_ops(predictions: Files, out: Tables) -> None:
    """Write the figures by number of ops.

    Example: tracrlab decompiler by_ops predictions.parquet --out by_ops.csv
    """
    _write("by_ops_table", predictions, out)


@app.command()
def mistakes(predictions: Files, out: Tables) -> None:
    """Count the kinds of mistake in wrong programs (thesis, Table 5.1).

    Example: tracrlab decompiler mistakes predictions.parquet --out mistakes.csv
    """
    _write("mistakes_table", predictions, out)


@app.command()
def confusion(predictions: Files, out: Tables) -> None:
    """Count which op is written in place of which.

    Example: tracrlab decompiler confusion predictions.parquet --out confusion.csv
    """
    _write("confusion_table", predictions, out)


@app.command()
def library(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of trained decompilers, named by their methods.")
    ],
    out: Tables,
    config: ConfigOption = "{}",
    device: DeviceOption = "cpu",
) -> None:
    """Write what decompilers say of the library's programs, which no zoo holds.

    Example: tracrlab decompiler library decompiler --out library_decompiled.md
    """
    import pandas as pd

    from tracrlab.config import load_config
    from tracrlab.decompiler.library_decompiled import library_decompiled
    from tracrlab.tables import write_tables

    evaluation = load_config(config).decompiler.evaluation
    parts = [library_decompiled(folder, evaluation, folder.name, device) for folder in folders]
    write_tables(pd.concat(parts, ignore_index=True), out)


def _write(name: str, predictions: list[Path], out: list[Path]) -> None:
    from tracrlab.decompiler import result_tables
    from tracrlab.decompiler.predictions import read_all
    from tracrlab.tables import write_tables

    bad = [path for path in out if path.suffix not in (".csv", ".md")]
    if bad:
        raise TracrLabError(f"{bad[0]} must end in .csv or .md.")
    write_tables(getattr(result_tables, name)(read_all(predictions)), out)
