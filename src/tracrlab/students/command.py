"""The command line of the students; libraries are imported inside the commands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tracrlab.errors import TracrLabError
from tracrlab.options import ConfigOption

if TYPE_CHECKING:
    from tracrlab.students.student import Student

app = typer.Typer(
    help="The steps that make compressed and natural zoos; rules call them.", no_args_is_help=True
)

KindArgument = Annotated[str, typer.Argument(help="compressed or natural.")]
ModelArgument = Annotated[Path, typer.Argument(help="A .safetensors model that says its program.")]
OutOption = Annotated[Path, typer.Option(help="The .safetensors file to write.")]
RatioOption = Annotated[float, typer.Option(help="Width of the student over that of the model.")]
StepsOption = Annotated[int, typer.Option(help="Most training steps.")]
RefineOption = Annotated[
    bool, typer.Option("--refine", help="Solve for all weights if W alone is not exact.")
]
SeedOption = Annotated[int, typer.Option(help="Root of the random numbers.")]


def compress(
    model: ModelArgument,
    out: OutOption,
    ratio: RatioOption = 0.5,
    steps: StepsOption = 2000,
    refine: RefineOption = False,
    seed: SeedOption = 0,
) -> None:
    """Compress a model's residual stream and write the student as a model of its own.

    The student is written whatever its accuracy; the line that is printed says what it is.

    Example: tracrlab compress sort.safetensors --ratio 0.6 --out small.safetensors
    """
    from tracrlab.students.single import compressed

    _make_one(model, out, steps, partial(compressed, ratio=ratio, seed=seed, refine=refine))


def distil(
    model: ModelArgument,
    out: OutOption,
    ratio: RatioOption = 0.5,
    steps: StepsOption = 2000,
    seed: SeedOption = 0,
) -> None:
    """Train a transformer from scratch to compute what a model computes, layer by layer.

    The student is written whatever its accuracy; the line that is printed says what it is.

    Example: tracrlab distil hist.safetensors --out natural.safetensors
    """
    from tracrlab.students.single import distilled

    _make_one(model, out, steps, partial(distilled, ratio=ratio, seed=seed))


def _make_one(path: Path, out: Path, steps: int, student_of: Callable[..., Student]) -> None:
    import time

    from tracrlab.compiler import CompiledModel

    if steps < 1:
        raise TracrLabError(f"--steps is {steps}; it takes a number above 0.")
    model = CompiledModel.load(path)
    if model.program is None:
        raise TracrLabError(f"{path} does not say which program it computes.")
    start = time.perf_counter()
    student = student_of(model, steps=steps)
    seconds = time.perf_counter() - start
    student.model.save(out)
    verdict = "exact" if student.exact else f"right on {student.accuracy:.2%} of the positions"
    print(
        f"{out}: {model.architecture.d_model} directions in {student.model.architecture.d_model}, "
        f"{verdict}, loss {student.loss:.2g}, {student.steps} steps"
        f"{', refined' * student.refined}, {seconds:.1f} s"
    )


@app.command()
def select(
    kind: KindArgument,
    manifest: Annotated[Path, typer.Argument(help="The manifest of the standard zoo.")],
    out_dir: Annotated[Path, typer.Option(help="Folder of the files of teachers.")],
    config: ConfigOption = "config/config.yaml",
) -> None:
    """Choose the teachers, and the padded shape that each one's student is trained in.

    Example: tracrlab students select natural results/zoo/standard/manifest.json --out-dir teachers
    """
    from tracrlab.config import load_config
    from tracrlab.students.selecting import select_teachers, settings_of

    settings = load_config(config)
    count = settings_of(settings, kind).shards
    select_teachers(
        settings, kind, manifest, [out_dir / f"{number:05d}.parquet" for number in range(count)]
    )


@app.command("make")
def make_command(
    kind: KindArgument,
    teachers: Annotated[Path, typer.Argument(help="A file of teachers.")],
    out: Annotated[Path, typer.Option(help="The shard to write.")],
    config: ConfigOption = "config/config.yaml",
) -> None:
    """Make the students of a file of teachers and write those that are accepted.

    A killed job goes on where its last checkpoint was, at most a minute before.

    Example: tracrlab students make natural teachers/00000.parquet --out shards/00000.parquet
    """
    from tracrlab.config import load_config
    from tracrlab.students.shards import make_shard

    make_shard(load_config(config), kind, teachers, out)


@app.command()
def manifest(
    kind: KindArgument,
    standard: Annotated[Path, typer.Argument(help="The manifest of the standard zoo.")],
    teachers_dir: Annotated[Path, typer.Option(help="Folder of the files of teachers.")],
    shards_dir: Annotated[Path, typer.Option(help="Folder of the shards.")],
    out: Annotated[Path, typer.Option(help="The manifest to write.")],
    config: ConfigOption = "config/config.yaml",
) -> None:
    """Write the manifest of a zoo of students.

    Example: tracrlab students manifest natural results/zoo/standard/manifest.json --teachers-dir
    teachers --shards-dir shards --out manifest.json
    """
    from tracrlab.config import load_config
    from tracrlab.students.selecting import settings_of
    from tracrlab.students.shards import write_student_manifest

    settings = load_config(config)
    names = [f"{number:05d}.parquet" for number in range(settings_of(settings, kind).shards)]
    teachers = [teachers_dir / name for name in names]
    shards = [shards_dir / name for name in names]
    write_student_manifest(settings, kind, standard, teachers, shards, out)


@app.command("losses")
def losses(
    manifest: Annotated[Path, typer.Argument(help="The manifest of the standard zoo.")],
    out: Annotated[list[Path], typer.Option(help="Table to write; .csv or .md. Again for more.")],
    config: ConfigOption = "config/config.yaml",
) -> None:
    """Compress the same programs with every loss (thesis, Tables 6.1 to 6.3).

    Example: tracrlab students losses results/zoo/standard/manifest.json --out losses.csv
    """
    from tracrlab.config import load_config
    from tracrlab.students.loss_table import loss_table
    from tracrlab.tables import write_tables

    write_tables(loss_table(load_config(config), manifest), out)


@app.command("outcomes")
def outcomes(
    manifests: Annotated[list[Path], typer.Argument(help="Manifests of zoos of students.")],
    out: Annotated[list[Path], typer.Option(help="Table to write; .csv or .md. Again for more.")],
) -> None:
    """Count the teachers whose students are exact, accepted or refused, by program length.

    Example: tracrlab students outcomes results/zoo/natural/manifest.json --out outcomes.csv
    """
    from tracrlab.students.outcomes import load_outcomes, summary
    from tracrlab.tables import write_tables

    write_tables(summary(load_outcomes(manifests)).round(4), out)
