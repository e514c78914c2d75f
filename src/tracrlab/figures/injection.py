"""What injection did to a language model: pictures of its tables and streams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tracrlab.figures.heat_map import (
    colours_of,
    direction_name,
    draw_cells,
    printed,
    text_width,
    widest,
)
from tracrlab.figures.style import (
    BLUE,
    DARK_GREY,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    SMALL,
    VERMILION,
    axis_at,
    new_figure,
    styled,
)

#: Colours of the methods.
COLOURS = {
    "no_edit": DARK_GREY,
    "finetune_kl": ORANGE,
    "tracr_injection": BLUE,
    "interchange": GREEN,
}
#: Inches a cell of a heat map or of a table of values takes.
_CELL = 0.115


@styled
def losses_figure(losses: pd.DataFrame) -> Figure:
    """Answer loss and held-out accuracy of every run over its steps, a column a task.

    Args:
      losses: columns task, method, run, step, answer, held_out_accuracy and, where there are any,
        alignment and text.
    """
    tasks = list(dict.fromkeys(losses["task"]))
    quantities = [
        (name, label)
        for name, label in (
            ("answer", "answer loss"),
            ("alignment", "alignment loss"),
            ("text", "divergence on text"),
            ("held_out_accuracy", "held-out accuracy (%)"),
        )
        if name in losses and losses[name].notna().any()
    ]
    figure = new_figure(PAGE, 1.25 * len(quantities) + 0.5, layout="constrained")
    axes = figure.subplots(len(quantities), len(tasks), squeeze=False, sharex="col")
    for column, task in enumerate(tasks):
        axes[0][column].set_title(task)
        axes[-1][column].set_xlabel("step")
        for row, (name, label) in enumerate(quantities):
            axis = axes[row][column]
            for (method, _), run in losses[losses["task"] == task].groupby(["method", "run"]):
                known = run[run[name].notna()]
                axis.plot(known["step"], known[name], color=COLOURS[method], label=method)
            if column == 0:
                axis.set_ylabel(label)
            if name == "held_out_accuracy":
                axis.set_ylim(0, 103)
            elif (losses[name].dropna() > 0).all():
                axis.set_yscale("log")
    _legend(figure, [name for name in COLOURS if name in set(losses["method"])])
    return figure


@styled
def ood_figure(table: pd.DataFrame) -> Figure:
    """Accuracy outside the training range with 95 % intervals; the paper's as a black line.

    Args:
      table: as `result_tables.ood_table` gives it.
    """
    sets = list(dict.fromkeys(zip(table["task"], table["set"], strict=True)))
    methods = [name for name in COLOURS if name in set(table["method"])]
    figure = new_figure(PAGE, 0.3 * len(sets) * max(1, len(methods) / 3) + 0.9, "constrained")
    axis = figure.subplots()
    height = 0.8 / len(methods)
    solved = {}
    for line in table.itertuples():
        place = sets.index((line.task, line.set))
        solved[place] = line.program_solves_it
        at = place - 0.4 + (methods.index(line.method) + 0.5) * height
        axis.barh(at, line.accuracy, height * 0.9, color=COLOURS[line.method])
        axis.plot([line.low, line.high], [at, at], color="black", linewidth=0.7)
        if pd.notna(line.paper_accuracy):
            ends = [at - height / 2, at + height / 2]
            axis.plot([line.paper_accuracy] * 2, ends, color=VERMILION, linewidth=1.5)
    names = [
        printed(f"{task}: {name}") + (" *" if solved[place] else "")
        for place, (task, name) in enumerate(sets)
    ]
    axis.set_yticks(range(len(sets)), names)
    axis.set_ylim(len(sets) - 0.5, -0.5)
    axis.set_xlim(0, 100)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("accuracy (%); * the compiled program solves the set; red: the paper's figure")
    _legend(figure, methods)
    return figure


@styled
def variables_figure(table: pd.DataFrame) -> Figure:
    """How often each variable is decoded right at each aligned layer (Figure 2).

    Args:
      table: as `variables.variable_table` gives it.
    """
    names = list(dict.fromkeys(table["variable"]))
    stages = sorted(table["model_stage"].unique())
    matrix = np.full((len(names), len(stages)), np.nan)
    for line in table.itertuples():
        matrix[names.index(line.variable), stages.index(line.model_stage)] = line.accuracy
    cell, left = 0.3, widest([printed(name) for name in names]) + 0.15
    figure = new_figure(left + cell * len(stages) + 1.1, 0.16 * len(names) + 0.75)
    axis = axis_at(figure, left, 0.3, cell * len(stages), 0.16 * len(names))
    draw_cells(axis, matrix, "Blues", Normalize(0, 100))
    for row, column in np.argwhere(~np.isnan(matrix)):
        share = matrix[row, column]
        colour = "white" if share > 60 else "black"
        axis.text(column, row, f"{share:.0f}", ha="center", va="center", size=SMALL, color=colour)
    axis.set_yticks(range(len(names)), [printed(name) for name in names])
    axis.set_xticks(range(len(stages)), [stage_name(stage) for stage in stages])
    axis.set_xlabel("layer of the model")
    axis.set_title("variables decoded right (%)", loc="left")
    return figure


@styled
def decoded_figure(table: pd.DataFrame) -> Figure:
    """Every decoded variable at every token of a prompt, as text (Figure 6).

    Args:
      table: as `variables.decoded_table` gives it.
    """
    columns = [printed(name) for name in table.columns]
    cells = [[printed(value) for value in table[name]] for name in table.columns]
    widths = [
        max(text_width(name), widest(values)) + 0.12
        for name, values in zip(columns, cells, strict=True)
    ]
    line = 0.13
    figure = new_figure(sum(widths) + 0.2, line * (len(table) + 1) + 0.2)
    axis = axis_at(figure, 0.1, 0.1, sum(widths), line * (len(table) + 1))
    axis.set_axis_off()
    axis.set_xlim(0, sum(widths))
    axis.set_ylim(len(table) + 1, 0)
    start = 0.0
    for name, values, width in zip(columns, cells, widths, strict=True):
        axis.text(start + 0.05, 0.5, name, va="center", size=SMALL, weight="bold")
        for row, value in enumerate(values):
            stays = row > 0 and value == values[row - 1]
            colour = GREY if stays else "black"
            axis.text(start + 0.05, row + 1.5, value, va="center", size=SMALL, color=colour)
        start += width
    axis.axhline(1, color="black", linewidth=0.5)
    return figure


@styled
def streams_figure(
    raw: np.ndarray, mapped: np.ndarray, tokens: Sequence[str], labels: Sequence[str]
) -> Figure:
    """One prompt's residual stream as it is, and mapped to basis directions (Figures 4 and 5).

    Args:
      raw: float32 [tokens, width].
      mapped: float32 [tokens, directions].
      tokens: their texts.
      labels: names of the directions.
    """
    names = [printed(repr(text)[1:-1]) for text in tokens]
    groups = _groups(labels)
    left, height = widest(names) + 0.15, _CELL * len(tokens)
    below = widest([name for name, _, _ in groups]) + 0.15
    width = PAGE - left - 0.1
    figure = new_figure(PAGE, 2 * height + below + 0.75)
    for number, (matrix, title) in enumerate(
        ((raw, "residual stream"), (mapped, "mapped to the program's basis directions"))
    ):
        axis = axis_at(figure, left, 0.25 + number * (height + 0.3), width, height)
        clipped = np.clip(matrix, *np.percentile(matrix, [0.5, 99.5]))
        draw_cells(axis, clipped, *colours_of(clipped))
        axis.set_yticks(range(len(names)), names)
        axis.set_title(title, loc="left")
        axis.set_xticks([])
    centres = [(start + end) / 2 for _, start, end in groups]
    axis.set_xticks(centres, [name for name, _, _ in groups], rotation=90)
    for _, start, _ in groups[1:]:
        axis.axvline(start - 0.5, color="black", linewidth=0.4)
    return figure


def _groups(labels: Sequence[str]) -> list[tuple[str, int, int]]:
    """Neighbouring directions of one variable: its name, the first and the last."""
    groups: list[tuple[str, int, int]] = []
    for number, label in enumerate(labels):
        name = direction_name(label).partition(":")[0].removesuffix(" (attn)")
        if groups and groups[-1][0] == name:
            groups[-1] = (name, groups[-1][1], number)
        else:
            groups.append((name, number, number))
    return groups


@styled
def noise_figure(table: pd.DataFrame) -> Figure:
    """Accuracy against the norm of noise, in the answer's subspace and in random ones (Figure 3).

    Args:
      table: as `noise.noise_table` gives it.
    """
    figure = new_figure(PAGE / 2, 2.0, layout="constrained")
    axis = figure.subplots()
    for subspace, colour in (("answer", VERMILION), ("random", GREY)):
        rows = table[table["subspace"] == subspace].sort_values("norm")
        axis.plot(rows["norm"], rows["accuracy"], color=colour, marker=".", label=subspace)
        axis.fill_between(rows["norm"], rows["low"], rows["high"], color=colour, alpha=0.2, lw=0)
    axis.set_xlabel("norm of the noise, in mean norms of the stream")
    axis.set_ylabel("accuracy (%)")
    axis.set_ylim(0, 103)
    axis.legend(frameon=False, title="subspace")
    return figure


@styled
def interchange_figure(table: pd.DataFrame) -> Figure:
    """How often the answer follows an interchanged variable, with 95 % intervals.

    Args:
      table: as `interchange.interchange_table` gives it; a variable that changes no answer is not
        drawn.
    """
    rows = table[table["count"] > 0]
    figure = new_figure(PAGE / 2 + 0.5, 0.2 * max(1, len(rows)) + 0.7, layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(rows))
    axis.barh(places, rows["accuracy"], 0.7, color=GREEN)
    for place, line in zip(places, rows.itertuples(), strict=True):
        axis.plot([line.low, line.high], [place, place], color="black", linewidth=0.7)
    names = [
        printed(f"{line.variable} ({stage_name(line.model_stage)})") for line in rows.itertuples()
    ]
    axis.set_yticks(places, names)
    axis.set_ylim(len(rows) - 0.45, -0.55)
    axis.set_xlim(0, 100)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("answers that follow the interchanged variable (%)")
    return figure


def stage_name(stage: int) -> str:
    """A stage as figures print it: the layer, or the attention in front of its MLP."""
    return str(stage // 2) if stage % 2 == 0 else f"{stage // 2 + 1}a"


def _legend(figure: Figure, methods: Sequence[str]) -> None:
    handles = [Patch(color=COLOURS[name], label=name) for name in methods]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(methods), frameon=False)
