"""`tracrlab export`; libraries are imported inside the command."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tracrlab.errors import TracrLabError


class Form(StrEnum):
    """What can be written."""

    dataset = "dataset"
    decompiler = "decompiler"
    torch = "torch"
    transformer_lens = "transformer-lens"
    haiku = "haiku"
    circuit = "circuit"


#: What a circuit is drawn as; anything else must be .json.
PICTURES = (".pdf", ".png", ".svg")


def export(
    source: Annotated[
        str,
        typer.Argument(
            help="A manifest.json, the folder of a decompiler, a .safetensors model, or a program "
            "(as for compile)."
        ),
    ],
    out: Annotated[
        list[Path],
        typer.Option(help="Folder to write; of a circuit: .json, .pdf, .png or .svg, one or more."),
    ],
    to: Annotated[
        Form | None, typer.Option(help="The form; of a manifest or a decompiler there is one.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="Of a dataset: the title of its card.")
    ] = "tracrlab-zoo",
    licence: Annotated[str, typer.Option("--license", help="The licence that the card says.")] = (
        "mit"
    ),
    results: Annotated[
        Path | None, typer.Option(help="Of a decompiler: a table (.md) for its card.")
    ] = None,
    vocab: Annotated[str | None, typer.Option(help="Of a program: its input symbols.")] = None,
    length: Annotated[int | None, typer.Option(help="Of a program: longest input.")] = None,
    causal: Annotated[
        bool, typer.Option("--causal", help="Of a program: mask attention causally.")
    ] = False,
) -> None:
    """Write a zoo, a decompiler or a model in the form that other tools read.

    dataset: a Hugging Face dataset folder, Parquet by split with a card. decompiler: a model
    folder with a card. torch, transformer-lens: a folder with weights and one Python file that
    runs without tracrlab. haiku: Tracr's parameters. circuit: which heads and neurons compute
    what, and who reads it, as JSON and as a picture. Nothing is pickled.

    Example: tracrlab export results/zoo/standard/manifest.json --out zoo_dataset

    Example: tracrlab export hist --to transformer-lens --out hist_lens

    Example: tracrlab export frac_prevs --to circuit --out circuit.json --out circuit.pdf
    """
    kind = to or _form_of(source)
    if kind is not Form.circuit and len(out) != 1:
        raise TracrLabError(f"--to {kind.value} writes one folder; give one --out.")
    if kind is Form.dataset:
        from tracrlab.exporting.dataset_folder import write_dataset

        counts = write_dataset(source, out[0], name=name, licence=licence)
        splits = ", ".join(f"{split} {rows:,}" for split, rows in counts.splits.items())
        print(f"{out[0]}: {sum(counts.splits.values()):,} rows ({splits})")
    elif kind is Form.decompiler:
        from tracrlab.exporting.decompiler_folder import write_decompiler

        write_decompiler(source, out[0], licence=licence, results=results)
        print(f"{out[0]}: a decompiler with its card")
    else:
        model = _model(source, vocab, length, causal)
        (_write_circuit if kind is Form.circuit else _write_folder)(model, kind, out, source)


def _form_of(source: str) -> Form:
    """The one form of a manifest or of a decompiler's folder."""
    if source.endswith(".json"):
        return Form.dataset
    if Path(source).is_dir():
        return Form.decompiler
    forms = ", ".join(form.value for form in Form if form not in (Form.dataset, Form.decompiler))
    raise TracrLabError(f"--to says the form of a model: {forms}.")


def _model(source: str, vocab: str | None, length: int | None, causal: bool):
    from tracrlab.compiler import CompiledModel
    from tracrlab.programs import compile_found, find_with_domain

    if source.endswith(".safetensors"):
        return CompiledModel.load(source)
    return compile_found(*find_with_domain(source, vocab, length, causal=causal))


def _write_folder(model, kind: Form, out: list[Path], source: str) -> None:
    from tracrlab.exporting import model_folders

    writer = {
        Form.torch: model_folders.write_torch,
        Form.transformer_lens: model_folders.write_transformer_lens,
        Form.haiku: model_folders.write_haiku,
    }[kind]
    writer(model, out[0])
    print(f"{out[0]}: {model.architecture.weight_count:,} weights of {source} as {kind.value}")


def _write_circuit(model, kind: Form, out: list[Path], source: str) -> None:
    from tracrlab.exporting.circuit import circuit_of
    from tracrlab.exporting.circuit_file import write_circuit

    bad = [path for path in out if path.suffix not in (".json", *PICTURES)]
    if bad:
        raise TracrLabError(f"{bad[0]} must end in .json, {', '.join(PICTURES)}.")
    circuit = circuit_of(model)
    for path in out:
        if path.suffix == ".json":
            write_circuit(model, path)
    pictures = [path for path in out if path.suffix in PICTURES]
    if pictures:
        from tracrlab.figures.circuit import circuit_figure
        from tracrlab.figures.style import save

        save(circuit_figure(circuit, circuit.computes), pictures)
    print(
        f"{', '.join(map(str, out))}: {len(circuit.components)} components, "
        f"{len(circuit.edges)} edges"
    )
