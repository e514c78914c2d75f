"""The commands on programs: sample, list, compile, run and show them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracrlab.errors import TracrLabError
from tracrlab.options import CausalOption, ConfigOption, JsonOption

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
    from tracrlab.programs import compile_found, find_with_domain

    found, domain = find_with_domain(program, vocab, length, causal=causal)
    model = compile_found(found, domain, reference=reference)
    model.save(out)
    architecture = model.architecture
    print(
        f"{out}: {found.name}, {architecture.weight_count:,} weights, "
        f"{len(architecture.layers)} layers, {architecture.d_model} wide"
    )


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
    from tracrlab.programs import compile_found, find_with_domain, parse_symbols
    from tracrlab.rasp import Domain, evaluate
    from tracrlab.show import run_table

    symbols = parse_symbols(tokens)
    if source.endswith(".safetensors"):
        model = CompiledModel.load(source)
        print(run_table(symbols, {"model": model.apply(symbols)}))
        return
    found, domain = find_with_domain(source, vocab, length, causal=causal)
    outputs = compile_found(found, domain).apply(symbols)
    single = Domain(domain.vocab, domain.max_seq_len, domain.causal, inputs=(symbols,))
    expected = evaluate(found.as_program(), single).output.decoded(single, 0)
    print(run_table(symbols, {"program": expected, "model": outputs}))


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
    from tracrlab.programs import find_with_domain
    from tracrlab.rasp import evaluate
    from tracrlab.show import aligned, layer_table, s_op_table

    found, domain = find_with_domain(program, vocab, length, causal=causal)
    rasp_program = found.as_program()
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
