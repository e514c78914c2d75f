"""The command line: every rule's work as a command that a person can run alone.

Heavy libraries are imported inside the commands, so that help answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tracrlab.cluster.command import cluster_check
from tracrlab.decompiler.command import app as decompiler_app
from tracrlab.decompiler.command import decompile
from tracrlab.decompiler.training_command import autoencoder_row, train_decompiler
from tracrlab.errors import TracrLabError
from tracrlab.exporting.command import export
from tracrlab.figures.command import app as figure_app
from tracrlab.figures.decompiler_command import app as decompiler_figure_app
from tracrlab.figures.decompiler_curves_command import decompiler_curves
from tracrlab.figures.injection_command import app as injection_figure_app
from tracrlab.figures.superposition_command import app as study_figure_app
from tracrlab.help_text import show_examples
from tracrlab.injection.base_command import check_tasks, pretrain_tiny
from tracrlab.injection.command import app as injection_app
from tracrlab.injection.command import decode, evaluate, inject
from tracrlab.options import ConfigOption, JsonOption, Tables
from tracrlab.report.command import app as results_app
from tracrlab.stopping import STOPPED_EXIT_CODE, StoppedError
from tracrlab.students.command import app as students_app
from tracrlab.students.command import compress, distil
from tracrlab.students.study_command import app as study_app
from tracrlab.terminal import red
from tracrlab.zoo_command import app as zoo_app

app = typer.Typer(
    help="Programs into transformer weights, and back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(zoo_app, name="zoo")
figure_app.add_typer(injection_figure_app, name="injection")
figure_app.command("decompiler-curves")(decompiler_curves)
app.add_typer(figure_app, name="figure")
app.add_typer(students_app, name="students")
figure_app.add_typer(study_figure_app, name="study")
app.add_typer(study_app, name="study")
app.add_typer(injection_app, name="injection")
app.add_typer(decompiler_app, name="decompiler")
figure_app.add_typer(decompiler_figure_app, name="decompiler")
app.command()(decompile)
for command in (compress, distil, inject, evaluate, decode, pretrain_tiny, check_tasks):
    app.command()(command)
app.command("cluster-check")(cluster_check)
app.command()(export)
app.add_typer(results_app, name="results")
app.command("train-decompiler")(train_decompiler)
app.command("decompiler-autoencoder")(autoencoder_row)

ProgramArgument = Annotated[
    str,
    typer.Argument(
        help="A library name, path.py:function, a .rasp file, - for standard input, or text."
    ),
]
VocabOption = Annotated[
    str | None, typer.Option(help="Input symbols: a,b,c or 0,1,2. Library programs have their own.")
]
LengthOption = Annotated[int | None, typer.Option(help="Longest input.")]
CausalOption = Annotated[bool, typer.Option("--causal", help="Mask attention causally.")]


def main() -> None:
    """Runs the command line; wrong input ends in one sentence and exit code 2."""
    try:
        app()
    except TracrLabError as error:
        print(f"{red('error:', sys.stderr)} {error}", file=sys.stderr)
        sys.exit(2)
    except StoppedError as stopped:
        print(f"{stopped}; the same command goes on from there.", file=sys.stderr)
        sys.exit(STOPPED_EXIT_CODE)
    except BrokenPipeError:
        sys.exit(141)
    except (OSError, MemoryError) as error:
        print(
            f"{red('error:', sys.stderr)} the machine refuses: {_refusal(error)}.", file=sys.stderr
        )
        sys.exit(2)


def _refusal(error: OSError | MemoryError) -> str:
    """What the machine refuses, and for which file."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; give the process more, or smaller work"
    where = f" ({error.filename})" if error.filename else ""
    return f"{(error.strerror or str(error)).lower()}{where}"


@app.command()
def sample(
    config: ConfigOption = "{}",
    shard: Annotated[int | None, typer.Option(help="Write this shard of candidates.")] = None,
    out: Annotated[Path | None, typer.Option(help="Parquet file of the shard.")] = None,
    count: Annotated[int, typer.Option(help="Without --shard: print this many programs.")] = 1,
    start: Annotated[int, typer.Option(help="Without --shard: index of the first.")] = 0,
) -> None:
    """Sample random programs: a shard of candidates for a zoo, or a few to look at.

    Example: tracrlab sample --count 2 --config '{"zoo": {"ops": [5, 5]}}'
    """
    from tracrlab.config import load_config
    from tracrlab.rasp.sampler import sample as sample_program
    from tracrlab.zoo.sampling import sample_shard, sampler_settings

    configuration = load_config(config)
    if (shard is None) != (out is None):
        raise TracrLabError("--shard and --out belong together; give both or neither.")
    if shard is not None:
        sample_shard(configuration, shard, out)
        return
    settings = sampler_settings(configuration)
    for index in range(start, start + count):
        sampled = sample_program(settings, configuration.seed, index)
        print(f"# seed {configuration.seed}, index {index}, behaviour {sampled.table.behaviour}")
        print(f"{sampled.program.text()}\n")


@zoo_app.command("stats")
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


@app.command()
def library(
    out: Annotated[
        list[Path] | None, typer.Option(help="File to write; .csv or .md. Give it again for more.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compile every library program and write its sizes as a table.

    Example: tracrlab library --out library.csv --out library.md
    """
    from tracrlab.library_table import library_table
    from tracrlab.tables import write_tables

    if not out and not as_json:
        raise TracrLabError("library writes a table: give --out, or --json to print it.")
    table = library_table()
    write_tables(table, out or [])
    if as_json:
        print(table.to_json(orient="records"))


@app.command("compile")
def compile_command(
    program: ProgramArgument,
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    vocab: VocabOption = None,
    length: LengthOption = None,
    causal: CausalOption = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Tracr's own weights, bit for bit.")
    ] = False,
) -> None:
    """Compile a program to transformer weights.

    Example: tracrlab compile hist --out hist.safetensors
    """
    from tracrlab.compiler import compile as compile_program

    found, domain = _program_and_domain(program, vocab, length, causal)
    model = compile_program(
        found.program,
        domain.vocab,
        domain.max_seq_len,
        domain.causal,
        reference=reference,
        inputs=domain.inputs,
    )
    model.save(out)
    architecture = model.architecture
    print(
        f"{out}: {found.name}, {architecture.weight_count:,} weights, "
        f"{len(architecture.layers)} layers, {architecture.d_model} wide"
    )


@app.command()
def run(
    source: Annotated[
        str, typer.Argument(help="A .safetensors model, or a program (as for compile).")
    ],
    tokens: Annotated[str, typer.Argument(help="The input: 'a b a', 'a,b,a' or 'aba'.")],
    vocab: VocabOption = None,
    length: LengthOption = None,
    causal: CausalOption = False,
) -> None:
    """Run a model or a program on an input; a program is compiled and run both ways.

    Example: tracrlab run hist "h e l l o"
    """
    from tracrlab.compiler import CompiledModel
    from tracrlab.compiler import compile as compile_program
    from tracrlab.programs import parse_symbols
    from tracrlab.rasp import Domain, Program, evaluate
    from tracrlab.show import run_table

    symbols = parse_symbols(tokens)
    if source.endswith(".safetensors"):
        model = CompiledModel.load(source)
        print(run_table(symbols, {"model": model.apply(symbols)}))
        return
    found, domain = _program_and_domain(source, vocab, length, causal)
    model = compile_program(
        found.program, domain.vocab, domain.max_seq_len, domain.causal, inputs=domain.inputs
    )
    outputs = model.apply(symbols)
    program = (
        found.program if isinstance(found.program, Program) else Program.from_tracr(found.program)
    )
    single = Domain(domain.vocab, domain.max_seq_len, domain.causal, inputs=(symbols,))
    expected = evaluate(program, single).output.decoded(single, 0)
    print(run_table(symbols, {"program": expected, "model": outputs}))


@app.command()
def show(
    program: ProgramArgument,
    vocab: VocabOption = None,
    length: LengthOption = None,
    causal: CausalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print a program, its s-ops with their values, and the layers it compiles to.

    Example: tracrlab show sort_unique
    """
    from tracrlab.compiler.architecture import Limits
    from tracrlab.compiler.compiling import lay_out
    from tracrlab.rasp import Program, evaluate
    from tracrlab.show import aligned, layer_table, s_op_table

    found, domain = _program_and_domain(program, vocab, length, causal)
    rasp_program = (
        found.program if isinstance(found.program, Program) else Program.from_tracr(found.program)
    )
    layout = lay_out(evaluate(rasp_program, domain), Limits())
    try:
        text = shown = rasp_program.text(names=True)
    except TracrLabError as error:
        text, shown = None, f"({error})"
    if as_json:
        import json

        from tracrlab.records import program_record

        print(json.dumps(program_record(layout, text)))
        return
    sizes = layout.architecture
    print(f"{shown}\n\n{aligned(s_op_table(layout))}\n\n{aligned(layer_table(layout))}\n")
    print(f"{sizes.weight_count:,} weights, residual stream {sizes.d_model} wide")


@app.command()
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


@app.command()
def plan(
    config: ConfigOption = "config/config.yaml",
    cores: Annotated[
        int, typer.Option(min=1, help="Cores of the machine or partition, for the wall time.")
    ] = 2,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs, likewise.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Say what a configuration costs: jobs, arrays, core-hours, GPU-hours, wall time and bytes.

    Rates are measured ones; what has none says so, and is null in JSON.

    Example: tracrlab plan --config config/paper.yaml --cores 256 --gpus 8
    """
    from tracrlab.config import load_config
    from tracrlab.planning import plan_table, sources, steps
    from tracrlab.show import aligned

    configuration = load_config(config)
    if as_json:
        import json

        from tracrlab.records import plan_record

        print(json.dumps(plan_record(steps(configuration), cores, gpus)))
        return
    print(aligned(plan_table(configuration, cores, gpus)))
    print("\nThe rates are of\n  " + "\n  ".join(sources()))


def _program_and_domain(program: str, vocab: str | None, length: int | None, causal: bool):
    from tracrlab.programs import domain_of, find_program

    found = find_program(program)
    return found, domain_of(found, vocab, length, causal=causal)


show_examples(app)

if __name__ == "__main__":
    main()
