"""`tracrlab verify`: stored weights against their programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracrlab.errors import TracrLabError
from tracrlab.options import JsonOption


def verify(
    path: Annotated[
        Path, typer.Argument(help="A zoo shard, a manifest.json, or a .safetensors model.")
    ],
    inputs: Annotated[
        str, typer.Option(help="Run at least this many inputs a model; 'all' runs every one.")
    ] = "256",
    as_json: JsonOption = False,
) -> None:
    """Run stored weights as transformers and compare them with their programs.

    Example: tracrlab verify results/zoo/standard/manifest.json
    """
    if inputs != "all" and not (inputs.isdecimal() and int(inputs) > 0):
        raise TracrLabError(f"--inputs takes a number above 0 or 'all', not {inputs!r}.")
    wanted = None if inputs == "all" else int(inputs)
    check = _verify_model if path.suffix == ".safetensors" else _verify_zoo
    if not check(path, wanted, as_json):
        raise typer.Exit(1)


def _verify_model(path: Path, inputs: int | None, as_json: bool) -> bool:
    """Whether a model file is right; prints what was found."""
    from tracrlab.compiler import BOS, PAD, CompiledModel
    from tracrlab.compiler import verify as verify_model
    from tracrlab.rasp import Domain, evaluate

    model = CompiledModel.load(path)
    if model.program is None:
        raise TracrLabError(f"{path} does not say which program it computes.")
    sizes = model.architecture
    symbols = tuple(symbol for symbol in sizes.input_symbols if symbol not in (BOS, PAD))
    domain = Domain(symbols, sizes.max_seq_len, sizes.causal)
    result = verify_model(model, evaluate(model.program, domain), inputs)
    if as_json:
        import json

        from tracrlab.records import verification_record

        print(json.dumps(verification_record(path, result)))
        return result.passed
    print(
        f"{path}: {result.inputs:,} inputs, {result.mismatches:,} mismatches, "
        f"largest error {result.max_error:.1e}"
    )
    if result.example:
        print(result.example)
    return result.passed


def _verify_zoo(path: Path, inputs: int | None, as_json: bool) -> bool:
    """Whether a shard, or every shard of a manifest, is right; prints what was found."""
    from tracrlab.records import zoo_record
    from tracrlab.zoo import load_manifest, verify_shard

    is_manifest = path.suffix == ".json"
    reports = []
    for shard in load_manifest(path).checked_shards() if is_manifest else [path]:
        report = verify_shard(shard, inputs)
        reports.append(report)
        if as_json:
            continue
        print(
            f"{shard}: {report.rows:,} rows, {report.inputs:,} inputs, "
            f"{len(report.failures):,} failures, largest error {report.max_error:.1e}",
            flush=True,
        )
        for failure in report.failures[:10]:
            print(f"  {failure}")
    record = zoo_record(path, reports)
    if as_json:
        import json

        print(json.dumps(record))
    elif is_manifest:
        print(
            f"{path}: {record['rows']:,} rows, {record['inputs']:,} inputs, "
            f"{record['failures']:,} failures"
        )
    return record["passed"]
