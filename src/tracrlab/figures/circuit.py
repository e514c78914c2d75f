"""The circuit of a compiled model as a graph: a column for each half-layer, an edge for each read."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from tracrlab.exporting.circuit import EMBEDDING, HEAD, MARK, NEURONS, ONE, Circuit, Component
from tracrlab.figures.style import BLUE, GREY, ORANGE, PAGE, SMALL, TEXT, new_figure, styled

GREEN, PINK = "#009E73", "#CC79A7"

#: Colour and line of each input of a component; dashes help where colours do not.
INPUT_LINES = {
    "query": (BLUE, "-"),
    "key": (PINK, (0, (4, 1.5))),
    "value": (ORANGE, "-"),
    "mlp": (GREEN, "-"),
    "unembed": (GREY, "-"),
}
_NAMES = {"mlp": "neurons", "unembed": "output"}
_FILLS = {EMBEDDING: "#F2F2F2", HEAD: "#DCEBF5", NEURONS: "#FBEFD5"}

# Inches: box height, space between boxes of a column, between columns, of a letter, of the legend.
_BOX, _GAP, _BETWEEN, _LETTER, _PAD, _LEGEND, _TITLE = 0.3, 0.16, 0.42, 0.052, 0.1, 0.22, 0.24


@dataclass(frozen=True)
class Box:
    """A component's place in inches from the lower left corner: centre and size."""

    x: float
    y: float
    width: float
    height: float = _BOX


def column_of(component: Component, columns: list[int]) -> int:
    """The column in which a component stands; `columns` are the half-layers that are drawn."""
    return columns.index(component.half_layer)


def shown(circuit: Circuit) -> tuple[list[Component], list[tuple[str, str, str]]]:
    """Components and edges (source, target, input) of the picture.

    What carries only the constant or the mark of the first position is left out: almost every part
    reads both.
    """
    parts = [part for part in circuit.components if part.id not in (ONE, MARK)]
    edges = [
        (edge.source, edge.target, edge.input)
        for edge in circuit.edges
        if edge.carries not in (ONE, MARK)
    ]
    return parts, list(dict.fromkeys(edges))


def texts(component: Component) -> tuple[str, str]:
    """What a box says: what is computed, and by which heads or neurons."""
    if component.kind == HEAD:
        return component.computes, f"head {component.heads[0]}: {component.selector}"
    if component.kind == NEURONS:
        count = len(component.neurons)
        first, last = component.neurons[0], component.neurons[-1]
        return component.computes, f"neuron {first}" if count == 1 else f"neurons {first}-{last}"
    return (component.computes, "input") if component.kind == EMBEDDING else ("output", "")


def layout(parts: list[Component], edges: list[tuple[str, str, str]]) -> dict[str, Box]:
    """Places of the boxes: columns by half-layer, each box near the middle of what it reads."""
    columns = sorted({part.half_layer for part in parts})
    members = [[part for part in parts if part.half_layer == column] for column in columns]
    height = max(len(column) for column in members) * (_BOX + _GAP)
    places: dict[str, Box] = {}
    left = _PAD
    for column in members:
        wanted = {
            part.id: _mean([places[a].y for a, b, _ in edges if b == part.id and a in places])
            for part in column
        }
        if all(value is not None for value in wanted.values()):
            column = sorted(column, key=lambda part: -wanted[part.id])
        width = max(max(map(len, texts(part))) for part in column) * _LETTER + 0.14
        step = height / len(column)
        for number, part in enumerate(column):
            y = height - step * (number + 0.5) + _LEGEND
            places[part.id] = Box(left + width / 2, y, width)
        left += width + _BETWEEN
    return places


@styled
def circuit_figure(circuit: Circuit, title: str | None = None) -> Figure:
    """Draws a circuit; wider than a page if it has many half-layers.

    Args:
      circuit: see `tracrlab.exporting.circuit.circuit_of`.
      title: stands above the graph.
    """
    parts, edges = shown(circuit)
    places = layout(parts, edges)
    width = max(max(box.x + box.width / 2 for box in places.values()) + _PAD, PAGE / 2)
    top = max(box.y + box.height / 2 for box in places.values()) + 0.08
    height = top + _TITLE + (0.18 if title else 0)
    figure = new_figure(width, height)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(0, height))
    axis.set_axis_off()
    for source, target, name in edges:
        _draw_edge(axis, places[source], places[target], name, _lane(source, target, name, edges))
    for part in parts:
        _draw_box(axis, places[part.id], part)
    for column in sorted({part.half_layer for part in parts}):
        box = next(places[part.id] for part in parts if part.half_layer == column)
        axis.text(box.x, top + 0.05, _heading(column, parts), ha="center", fontsize=SMALL, color=GREY)
    if title:
        axis.text(_PAD, height - 0.16, title, fontsize=TEXT, weight="bold")
    used = [name for name in INPUT_LINES if any(edge[2] == name for edge in edges)]
    axis.legend(
        handles=[
            Line2D([], [], color=INPUT_LINES[name][0], linestyle=INPUT_LINES[name][1],
                   label=_NAMES.get(name, name))
            for name in used
        ],
        loc="lower center",
        ncols=len(used),
        frameon=False,
        borderaxespad=0.1,
        title="read as",
        title_fontsize=SMALL,
        alignment="left",
    )
    return figure


def _heading(column: int, parts: list[Component]) -> str:
    if column < 0:
        return "Input"
    if column == max(part.half_layer for part in parts):
        return "Output"
    return f"{'MLP' if column % 2 else 'Attn'} {column // 2 + 1}"


def _lane(source: str, target: str, name: str, edges: list[tuple[str, str, str]]) -> float:
    """Where an edge ends on its target's side: queries above keys above values (-1 to 1)."""
    ends = [edge for edge in edges if edge[1] == target]
    order = sorted(ends, key=lambda edge: list(INPUT_LINES).index(edge[2]))
    return 0.0 if len(order) == 1 else 1 - 2 * order.index((source, target, name)) / (len(order) - 1)


def _draw_edge(axis: Axes, source: Box, target: Box, name: str, lane: float) -> None:
    colour, dashes = INPUT_LINES[name]
    start = (source.x + source.width / 2, source.y + lane * 0.25 * source.height)
    end = (target.x - target.width / 2 - 0.01, target.y + lane * 0.35 * target.height)
    axis.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle=f"arc3,rad={0.08 * lane}",
            arrowstyle="-|>",
            mutation_scale=5,
            shrinkA=0,
            shrinkB=0,
            linewidth=0.9,
            color=colour,
            linestyle=dashes,
            zorder=1,
        )
    )


def _draw_box(axis: Axes, box: Box, part: Component) -> None:
    axis.add_patch(
        FancyBboxPatch(
            (box.x - box.width / 2, box.y - box.height / 2),
            box.width,
            box.height,
            boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=_FILLS.get(part.kind, "white"),
            edgecolor="0.4",
            linewidth=0.6,
            zorder=2,
        )
    )
    name, by = texts(part)
    shift = 0.06 if by else 0
    axis.text(box.x, box.y + shift, name, ha="center", va="center", fontsize=TEXT, zorder=3)
    if by:
        axis.text(
            box.x, box.y - 0.065, by, ha="center", va="center", fontsize=SMALL, color=GREY, zorder=3
        )


def _mean(numbers: list[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None
