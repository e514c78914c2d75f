"""The command line of the superposition study's figures: `tracrlab figure study ...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tracrlab.errors import TracrLabError
from tracrlab.figures.command import figure_command

if TYPE_CHECKING:
    from matplotlib.figure import Figure

app = typer.Typer(help="Figures of the superposition study.", no_args_is_help=True)

FolderArgument = Annotated[
    Path, typer.Argument(help="Folder that `tracrlab study train` wrote, of one program.")
]
WidthOption = Annotated[
    int | None, typer.Option(help="Width to draw; else one that the figure's page says.")
]


@figure_command(app)
def loss(
    folder: FolderArgument,
    width: WidthOption = None,
) -> Figure:
    """Draw losses over steps and widths, and W W^T of gradient descent and PCA (Figure 7).

    The width drawn is 8, or the nearest that was trained.

    Example: tracrlab figure study loss results/study/frac_prevs --out loss.pdf
    """
    import pandas as pd

    from tracrlab.figures.superposition import loss_figure, shown_width
    from tracrlab.students.study_measures import load_arrays, run_key

    runs, model = _runs_and_model(folder)
    matrices = load_arrays(folder / "matrices.safetensors")
    d = _width(runs, width) if width else shown_width(runs["d"].unique())
    operators = {}
    for method, key in (("gradient descent", _best_key(runs, d)), ("PCA", run_key("pca", d))):
        matrix = matrices[key]
        operators[f"W Wᵀ of {method}, d = {d}"] = matrix @ matrix.T
    curves = pd.read_csv(folder / "curves.csv")
    return loss_figure(runs, curves, operators, model.labels, d)


@figure_command(app)
def layers(
    folder: FolderArgument,
    width: WidthOption = None,
) -> Figure:
    """Draw accuracy and cosine similarity against width, and mean layer outputs (Figure 8).

    The width drawn is the smallest without loss, or that of the highest accuracy.

    Example: tracrlab figure study layers results/study/sort_unique --out layers.pdf
    """
    from tracrlab.figures.superposition import layers_figure
    from tracrlab.students.study_measures import half_layers, load_arrays

    runs, model = _runs_and_model(folder)
    outputs = load_arrays(folder / "outputs.safetensors")
    d = _width(runs, width) if width else _width_of_outputs(runs)
    key = _best_key(runs, d)
    drawn = {
        "compiled": outputs["compiled"],
        f"compressed, d = {d}": outputs[f"{key}/compressed"],
        "squared difference": outputs[f"{key}/error"],
    }
    names = half_layers(model.architecture)
    return layers_figure(runs, drawn, model.labels, names, d)


@figure_command(app)
def matrices(
    folder: FolderArgument,
    width: WidthOption = None,
) -> Figure:
    """Draw W, W W^T, and one head's weights before and after folding (thesis, chapter 6).

    The width drawn is 8, or the nearest that was trained; the head is the last layer's first.

    Example: tracrlab figure study matrices results/study/sort_unique --out matrices.pdf
    """
    from tracrlab.figures.labelled_matrix import compression_figure
    from tracrlab.figures.superposition import shown_width
    from tracrlab.students.folding import fold
    from tracrlab.students.study_measures import load_arrays

    runs, model = _runs_and_model(folder)
    d = _width(runs, width) if width else shown_width(runs["d"].unique())
    compression = load_arrays(folder / "matrices.safetensors")[_best_key(runs, d)]
    with_heads = [n for n, layer in enumerate(model.architecture.layers) if layer.heads]
    before = after = {}
    title = ""
    if with_heads:
        layer = with_heads[-1]
        before, after = (head_matrices(m, layer) for m in (model, fold(model, compression)))
        title = f"Attn {layer + 1}, head 1"
    figure = compression_figure(compression, model.labels, before, after, title)
    return figure


@figure_command(app)
def library(
    runs: Annotated[
        list[Path], typer.Argument(help="The tables of `tracrlab study library`, of each program.")
    ],
) -> Figure:
    """Draw accuracy against width for every library program that was compressed.

    Example: tracrlab figure study library results/study/library/*.csv --out library.pdf
    """
    import pandas as pd

    from tracrlab.figures.superposition import library_figure
    from tracrlab.students.study_summary import read_runs

    table = pd.concat([read_runs(path) for path in runs])
    return library_figure(table)


def head_matrices(model, layer: int) -> dict:
    """A layer's first head's weights by name, each with the stream's directions as rows."""
    sizes = model.architecture.layers[layer]
    prefix = f"layer_{layer}/attn/"
    return {
        "query": model.weights[prefix + "query"][:, : sizes.key_size],
        "key": model.weights[prefix + "key"][:, : sizes.key_size],
        "value": model.weights[prefix + "value"][:, : sizes.value_size],
        "output": model.weights[prefix + "linear"][: sizes.value_size].T,
    }


def _runs_and_model(folder: Path):
    """The runs of a folder and the compiled model that they are of."""
    from tracrlab.students.study_measures import study_model
    from tracrlab.students.study_summary import read_runs

    runs = read_runs(folder / "runs.csv")
    return runs, study_model(str(runs["program"].iloc[0]))[0]


def _width(runs, width: int) -> int:
    widths = sorted(runs["d"].unique())
    if width not in widths:
        raise TracrLabError(
            f"--width is {width}; trained were {', '.join(str(trained) for trained in widths)}."
        )
    return width


def _width_of_outputs(runs) -> int:
    from tracrlab.students.study_summary import best_by_width, smallest_without_loss

    best = best_by_width(runs)
    smallest = smallest_without_loss(best)
    return int(best.loc[best["accuracy"].idxmax(), "d"]) if smallest is None else smallest


def _best_key(runs, d: int) -> str:
    from tracrlab.students.study_measures import GRADIENT, best_seed, run_key

    return run_key(GRADIENT, d, best_seed(runs, d))
