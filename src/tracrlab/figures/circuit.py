"""The circuit of a compiled model as a graph: a row for each half-layer, an edge for each read."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from tracrlab.exporting.circuit import EMBEDDING, HEAD, MARK, NEURONS, ONE, Circuit, Component
from tracrlab.figures.layered import Placement, place
from tracrlab.figures.style import BLUE, GREY, ORANGE, SMALL, TEXT, new_figure, styled

#: Two more of Okabe and Ito's colours.
GREEN, PINK = "#009E73", "#CC79A7"

#: Colour and line of each input of a component: dashes help where colours do not.
INPUT_LINES = {
    "query": (BLUE, "-"),
    "key": (PINK, (0, (4, 1.5))),
    "value": (ORANGE, "-"),
    "mlp": (GREEN, "-"),
    "unembed": (GREY, "-"),
}
_NAMES = {"mlp": "neurons", "unembed": "output"}
_FILLS = {EMBEDDING: "#F2F2F2", HEAD: "#DCEBF5", NEURONS: "#FBEFD5"}

# Inches: box height, space between rows, between boxes, a lane, a letter, the names of the rows,
# the legend, the title, the margin.
_BOX, _BETWEEN, _GAP, _LANE, _LETTER, _NAME = 0.29, 0.27, 0.12, 0.16, 0.054, 0.5
_LEGEND, _TITLE, _MARGIN = 0.3, 0.2, 0.06
#: The legend needs this much.
_NARROWEST = 3.2

Edge = tuple[str, str, str]


def shown(circuit: Circuit) -> tuple[list[Component], list[Edge]]:
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
        first, last = component.neurons[0], component.neurons[-1]
        count = len(component.neurons)
        return component.computes, f"neuron {first}" if count == 1 else f"neurons {first}-{last}"
    return (component.computes, "input") if component.kind == EMBEDDING else ("output", "")


def row_name(half_layer: int, last: int) -> str:
    """Input, Attn 1, MLP 1 ... Output."""
    if half_layer < 0:
        return "Input"
    kind = "MLP" if half_layer % 2 else "Attn"
    return "Output" if half_layer == last else f"{kind} {half_layer // 2 + 1}"


@styled
def circuit_figure(circuit: Circuit, title: str | None = None) -> Figure:
    """Draws a circuit from below to above; as wide as its widest half-layer asks.

    Args:
      circuit: see `tracrlab.exporting.circuit.circuit_of`.
      title: stands above the graph.
    """
    parts, edges = shown(circuit)
    half_layers = sorted({part.half_layer for part in parts})
    rows = [[part.id for part in parts if part.half_layer == number] for number in half_layers]
    widths = {part.id: max(map(len, texts(part))) * _LETTER + 0.12 for part in parts}
    placement = place(rows, widths, [edge[:2] for edge in edges], _LANE, _GAP)
    width = max(_NAME + placement.width + _MARGIN, _NARROWEST)
    top = _LEGEND + len(rows) * _BOX + (len(rows) - 1) * _BETWEEN
    height = top + _MARGIN + (_TITLE if title else 0)
    figure = new_figure(width, height)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(0, height))
    axis.set_axis_off()
    left = _NAME + (width - _NAME - _MARGIN - placement.width) / 2
    drawing = _Drawing(axis, placement, rows, widths, edges, left)
    for edge in edges:
        drawing.edge(edge)
    for part in parts:
        drawing.box(part)
    for number, half_layer in enumerate(half_layers):
        name = row_name(half_layer, half_layers[-1])
        axis.text(_MARGIN, drawing.middle(number), name, va="center", fontsize=SMALL, color=GREY)
    if title:
        axis.text(_MARGIN, height - 0.15, title, fontsize=TEXT, weight="bold")
    axis.legend(
        handles=[
            Line2D([], [], color=colour, linestyle=line, label=_NAMES.get(name, name))
            for name, (colour, line) in INPUT_LINES.items()
            if any(edge[2] == name for edge in edges)
        ],
        loc="lower center",
        ncols=len(INPUT_LINES),
        frameon=False,
        borderaxespad=0.2,
        columnspacing=1.2,
        handlelength=1.8,
    )
    return figure


class _Drawing:
    """Boxes and edges on an axis in inches."""

    def __init__(
        self,
        axis: Axes,
        placement: Placement,
        rows: list[list[str]],
        widths: dict[str, float],
        edges: list[Edge],
        left: float,
    ):
        self._axis, self._placement, self._widths, self._left = axis, placement, widths, left
        self._edges = edges
        self._row_of = {node: number for number, row in enumerate(rows) for node in row}

    def middle(self, row: int) -> float:
        """Height of the middle of a row."""
        return _LEGEND + row * (_BOX + _BETWEEN) + _BOX / 2

    def box(self, part: Component) -> None:
        x, y = self._left + self._placement.x[part.id], self.middle(self._row_of[part.id])
        width = self._widths[part.id]
        self._axis.add_patch(
            FancyBboxPatch(
                (x - width / 2, y - _BOX / 2),
                width,
                _BOX,
                boxstyle="round,pad=0,rounding_size=0.05",
                facecolor=_FILLS.get(part.kind, "white"),
                edgecolor="0.4",
                linewidth=0.6,
                zorder=2,
            )
        )
        name, by = texts(part)
        self._text(x, y + (0.06 if by else 0), name, TEXT, "black")
        self._text(x, y - 0.068, by, SMALL, GREY)

    def _text(self, x: float, y: float, text: str, size: float, colour: str) -> None:
        self._axis.text(x, y, text, ha="center", va="center", fontsize=size, color=colour, zorder=3)

    def edge(self, edge: Edge) -> None:
        """A curve from the top of its source, through its source's lanes, to its target's foot."""
        source, target, name = edge
        start, end = self._row_of[source], self._row_of[target]
        side = (list(INPUT_LINES).index(name) - 1) * 0.03 if name != "unembed" else 0
        x = self._left + self._placement.x[source] + side
        points = [(x, self.middle(start) + _BOX / 2)]
        codes = [Path.MOVETO]
        for row in range(start + 1, end + 1):
            if row < end:
                x = self._left + self._placement.lanes[source][row] + side
            else:
                x = self._left + self._placement.x[target] + self._end(edge)
            below, foot = points[-1], (x, self.middle(row) - _BOX / 2)
            half = (below[1] + foot[1]) / 2
            points += [(below[0], half), (x, half), foot]
            codes += [Path.CURVE4] * 3
            if row < end:
                points.append((x, self.middle(row) + _BOX / 2))
                codes.append(Path.LINETO)
        colour, line = INPUT_LINES[name]
        options = {"color": colour, "linewidth": 0.9, "zorder": 1}
        self._axis.add_patch(
            FancyArrowPatch(path=Path(points, codes), arrowstyle="-", linestyle=line, **options)
        )
        tip = points[-1]
        self._axis.annotate(
            "",
            tip,
            (tip[0], tip[1] - 0.07),
            arrowprops={"arrowstyle": "-|>", "mutation_scale": 5, "shrinkA": 0, "shrinkB": 0}
            | options,
        )

    def _end(self, edge: Edge) -> float:
        """Where an edge meets its target: queries, keys, values from left to right."""
        ends = [other for other in self._edges if other[1] == edge[1]]
        ends.sort(key=lambda e: (list(INPUT_LINES).index(e[2]), self._placement.x[e[0]]))
        spacing = min(0.16, 0.7 * self._widths[edge[1]] / max(len(ends) - 1, 1))
        return (ends.index(edge) - (len(ends) - 1) / 2) * spacing
