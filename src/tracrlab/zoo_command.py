"""The command line of zoos; the package `zoo` and other libraries are imported in the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracrlab.options import ConfigOption, Tables

app = typer.Typer(help="The steps that make a zoo; rules call them.", no_args_is_help=True)


@app.command("select")
def zoo_select(
    programs_dir: Annotated[Path, typer.Option(help="Folder of the sampled shards.")],
    out_dir: Annotated[Path, typer.Option(help="Folder for the selected shards.")],
    config: ConfigOption = "{}",
) -> None:
    """Take one program of each behaviour until the zoo is full, and cut splits and shards.

    Example: tracrlab zoo select --programs-dir zoo/programs --out-dir zoo/selected --config
    config/smoke.yaml
    """
    from tracrlab.config import load_config
    from tracrlab.zoo.selecting import select_programs

    configuration = load_config(config)
    select_programs(
        configuration,
        _shard_files(programs_dir, configuration.zoo.program_shards),
        _shard_files(out_dir, configuration.zoo.shards),
    )


@app.command("build")
def zoo_build(
    selected: Annotated[Path, typer.Argument(help="A shard of selected programs.")],
    out: Annotated[Path, typer.Option(help="The zoo shard to write.")],
    config: ConfigOption = "{}",
) -> None:
    """Compile and verify the programs of a selected shard.

    Example: tracrlab zoo build zoo/selected/00000.parquet --out zoo/shards/00000.parquet
    """
    from tracrlab.config import load_config
    from tracrlab.zoo.building import build_shard

    build_shard(load_config(config), selected, out)


@app.command("manifest")
def zoo_manifest(
    selected_dir: Annotated[Path, typer.Option(help="Folder of the selected shards.")],
    shards_dir: Annotated[Path, typer.Option(help="Folder of the zoo's shards.")],
    out: Annotated[Path, typer.Option(help="The manifest to write.")],
    config: ConfigOption = "{}",
) -> None:
    """Write the manifest of finished shards: counts, configuration and checksums.

    Example: tracrlab zoo manifest --selected-dir zoo/selected --shards-dir zoo/shards --out
    zoo/manifest.json
    """
    from tracrlab.config import load_config
    from tracrlab.zoo.manifest import write_manifest

    configuration = load_config(config)
    write_manifest(
        configuration,
        _shard_files(selected_dir, configuration.zoo.shards),
        _shard_files(shards_dir, configuration.zoo.shards),
        out,
    )


@app.command("leaks")
def zoo_leaks(
    manifests: Annotated[list[Path], typer.Argument(help="The manifests of all zoos.")],
    out: Tables,
) -> None:
    """Count the test programs that equal or behave like one in training; any is an error.

    Example: tracrlab zoo leaks results/zoo/standard/manifest.json --out leaks.csv
    """
    from tracrlab.tables import write_tables
    from tracrlab.zoo.leaks import leak_table, require_no_leak

    table = leak_table(manifests)
    print(table.to_string(index=False))
    require_no_leak(table)
    write_tables(table, out)


@app.command("stats")
def zoo_stats(
    manifest: Annotated[Path, typer.Argument(help="The zoo's manifest.json.")], out: Tables
) -> None:
    """Count what is in a zoo: ops, functions, sizes, rejections.

    Example: tracrlab zoo stats results/zoo/standard/manifest.json --out statistics.md
    """
    from tracrlab.figures.zoo import statistics_table
    from tracrlab.tables import write_tables
    from tracrlab.zoo.statistics import load_rows

    rows, rejections, _ = load_rows(manifest)
    write_tables(statistics_table(rows, rejections), out)


def _shard_files(folder: Path, count: int) -> list[Path]:
    """The files of the first shards in a folder: 00000.parquet, 00001.parquet ..."""
    return [folder / f"{number:05d}.parquet" for number in range(count)]
