"""Places for a layered graph: rows from below to above, lanes for edges that pass over rows.

Sugiyama's scheme, small: an edge that passes over a row gets a lane in it beside the boxes, each
row is ordered by the mean place of what it is joined to, and boxes move towards their neighbours as
far as the order lets them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

#: Up and down through the rows; more change nothing that one sees.
SWEEPS = 12


@dataclass(frozen=True)
class Placement:
    """Where boxes and lanes are.

    Attributes:
      x: centre of each box.
      lanes: for each node, the centre of its lane in each row that its edges pass over.
      width: of the whole.
    """

    x: dict[str, float]
    lanes: dict[str, dict[int, float]]
    width: float


def place(
    rows: Sequence[Sequence[str]],
    widths: Mapping[str, float],
    edges: Sequence[tuple[str, str]],
    lane: float,
    gap: float,
) -> Placement:
    """Places the nodes of a graph whose edges go from lower to higher rows.

    Args:
      rows: names of the nodes, row by row.
      widths: of each node's box.
      edges: source and target.
      lane: width of a lane; a node has one lane in a row, for all its edges.
      gap: between boxes and lanes of a row.
    """
    row_of = {node: number for number, row in enumerate(rows) for node in row}
    items: list[list[tuple[str, int]]] = [
        [(node, number) for node in row] for number, row in enumerate(rows)
    ]
    below: dict[tuple[str, int], list[tuple[str, int]]] = {}
    last = {source: max(row_of[b] for a, b in edges if a == source) for source, _ in edges}
    for source, end in last.items():
        for number in range(row_of[source] + 1, end):
            items[number].append((source, number))
            below[source, number] = [(source, number - 1)]
    for source, target in dict.fromkeys(edges):
        below.setdefault((target, row_of[target]), []).append((source, row_of[target] - 1))
    above: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for item, sources in below.items():
        for source in sources:
            above.setdefault(source, []).append(item)

    def width(item: tuple[str, int]) -> float:
        return widths[item[0]] if row_of[item[0]] == item[1] else lane

    x = {item: float(place) for row in items for place, item in enumerate(row)}
    for sweep in range(SWEEPS):
        upwards = sweep % 2 == 0
        neighbours = below if upwards else above
        for row in items if upwards else reversed(items):
            wanted = {
                item: float(np.mean([x[other] for other in neighbours.get(item, [item])]))
                for item in row
            }
            row.sort(key=wanted.__getitem__)
            needed = [(width(one) + width(other)) / 2 + gap for one, other in pairwise(row)]
            x.update(zip(row, spread([wanted[item] for item in row], needed), strict=True))
    left = min(x[item] - width(item) / 2 for item in x)
    right = max(x[item] + width(item) / 2 for item in x)
    lanes: dict[str, dict[int, float]] = {}
    for (node, number), centre in x.items():
        if row_of[node] != number:
            lanes.setdefault(node, {})[number] = centre - left
    return Placement({node: x[node, row_of[node]] - left for node in row_of}, lanes, right - left)


def spread(wanted: Sequence[float], needed: Sequence[float]) -> list[float]:
    """The places nearest to those that are wanted (least squares), in order and far enough apart.

    Args:
      wanted: places, one for each item, in any order.
      needed: the least distance of each item from the one before.
    """
    shifts = np.concatenate([[0.0], np.cumsum(needed)])
    blocks: list[list[float]] = []  # mean and size: pool adjacent violators
    for value in np.asarray(wanted) - shifts:
        blocks.append([float(value), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, size = blocks.pop()
            total = blocks[-1][1] + size
            blocks[-1] = [(blocks[-1][0] * blocks[-1][1] + mean * size) / total, total]
    means = [mean for mean, size in blocks for _ in range(int(size))]
    return [float(mean + shift) for mean, shift in zip(means, shifts, strict=True)]
