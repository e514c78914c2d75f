"""The command line of the figures; libraries are imported inside the commands."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tracrlab.errors import TracrLabError
from tracrlab.options import CausalOption

if TYPE_CHECKING:
    from matplotlib.figure import Figure

app = typer.Typer(help="Draw figures; rules call these commands too.", no_args_is_help=True)

Outputs = Annotated[
    list[Path], typer.Option("--out", help="File to write: .pdf, .png or .svg. Again for more.")
]
ConfigOption = Annotated[
    str, typer.Option("--config", help="A YAML file or a JSON object; figures.dpi is read.")
]
ProgramArgument = Annotated[
    str, typer.Argument(help="A library name, path.py:function, a .rasp file, or program text.")
]
VocabOption = Annotated[str | None, typer.Option(help="Input symbols, for a program of your own.")]
LengthOption = Annotated[int | None, typer.Option(help="Longest input, likewise.")]
ZooManifest = Annotated[Path, typer.Argument(help="The zoo's manifest.json.")]
InputOption = Annotated[
    str | None, typer.Option("--input", help="The input to draw; library programs have one.")
]
DpiOption = Annotated[
    int | None, typer.Option(min=50, max=1200, help="Dots per inch of .png, before --config's.")
]


def figure_command(app: typer.Typer, name: str | None = None) -> Callable:
    """Makes a command of a function that gives a figure: --out, --config and --dpi are added.

    Args:
      app: the group that the command belongs to.
      name: what the command is called; the function's name by default.

    Returns:
      A decorator, which leaves the function itself as it is.
    """
    added = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for option, default, kind in (
            ("out", inspect.Parameter.empty, Outputs),
            ("config", "{}", ConfigOption),
            ("dpi", None, DpiOption),
        )
    ]

    def register(draw: Callable) -> Callable:
        @wraps(draw)
        def command(out: list[Path], config: str, dpi: int | None, **arguments) -> None:
            save_figure(draw(**arguments), out, config, dpi)

        # Matplotlib, whose Figure these functions give, is imported when one is called.
        own = inspect.signature(draw, eval_str=True, locals={"Figure": object})
        command.__signature__ = own.replace(parameters=[*own.parameters.values(), *added])
        command.__annotations__ = {
            option.name: option.annotation for option in command.__signature__.parameters.values()
        }
        app.command(name)(command)
        return draw

    return register


def save_figure(figure, out: list[Path], config: str, dpi: int | None) -> None:
    """Writes a figure; --dpi goes before the configuration's."""
    from tracrlab.config import load_config
    from tracrlab.figures.style import save

    save(figure, out, dpi or load_config(config).figures.dpi)


@figure_command(app)
def residuals(
    program: ProgramArgument,
    vocab: VocabOption = None,
    length: LengthOption = None,
    inputs: InputOption = None,
    causal: CausalOption = False,
) -> Figure:
    """Draw the residual stream of one input, a panel for each half-layer.

    Example: tracrlab figure residuals frac_prevs --out frac_prevs.pdf
    """
    from tracrlab.figures.residuals import half_layer_names, residual_stream_figure

    model, tokens = _model_and_input(program, vocab, length, inputs, causal)
    names = half_layer_names(model.architecture)
    figure = residual_stream_figure(model.residuals(tokens), model.labels, tokens, names)
    return figure


@figure_command(app)
def blocks(
    program: ProgramArgument,
    layer: Annotated[int, typer.Option(help="Layer to draw, from 1.")] = 1,
    vocab: VocabOption = None,
    length: LengthOption = None,
    inputs: InputOption = None,
    causal: CausalOption = False,
) -> Figure:
    """Draw one layer step by step: weights, attention, activations, what is written.

    Example: tracrlab figure blocks hist --vocab h,e,l,o --length 5 --input hello --out hist.pdf
    """
    from tracrlab.figures.blocks import blocks_figure
    from tracrlab.figures.panels import layer_panels

    model, tokens = _model_and_input(program, vocab, length, inputs, causal)
    count = len(model.architecture.layers)
    if not 1 <= layer <= count:
        raise TracrLabError(f"--layer is {layer}; the model has layers 1 to {count}.")
    return blocks_figure(layer_panels(model, tokens, layer - 1))


@figure_command(app, "zoo-statistics")
def zoo_statistics(manifest: ZooManifest) -> Figure:
    """Draw lengths, ops, functions and sizes of a zoo's programs.

    Example: tracrlab figure zoo-statistics results/zoo/standard/manifest.json --out
    statistics.pdf
    """
    from tracrlab.figures.zoo import zoo_statistics_figure
    from tracrlab.zoo.statistics import load_rows

    rows, _, _ = load_rows(manifest)
    return zoo_statistics_figure(rows)


@figure_command(app, "zoo-rejections")
def zoo_rejections(manifest: ZooManifest) -> Figure:
    """Draw why ops and programs were rejected while sampling.

    Example: tracrlab figure zoo-rejections results/zoo/standard/manifest.json --out
    rejections.pdf
    """
    from tracrlab.figures.zoo import zoo_rejections_figure
    from tracrlab.zoo.statistics import load_rows

    _, rejections, attempts = load_rows(manifest)
    return zoo_rejections_figure(rejections, attempts)


@figure_command(app, "students")
def students(
    manifests: Annotated[list[Path], typer.Argument(help="Manifests of zoos of students.")],
) -> Figure:
    """Draw which students were accepted and why others were refused, by length and width.

    Example: tracrlab figure students results/zoo/natural/manifest.json --out students.pdf
    """
    from tracrlab.figures.students import student_outcomes_figure
    from tracrlab.students.outcomes import load_outcomes

    return student_outcomes_figure(load_outcomes(manifests))


def _model_and_input(
    source: str, vocab: str | None, length: int | None, inputs: str | None, causal: bool
):
    """A compiled program and the input on which it is drawn."""
    from tracrlab.programs import compile_found, find_with_domain, parse_symbols

    found, domain = find_with_domain(source, vocab, length, causal=causal)
    tokens = parse_symbols(inputs) if inputs else found.example
    if not tokens:
        raise TracrLabError(f"{found.name} has no example of its own; give --input.")
    return compile_found(found, domain), tokens
