"""True and predicted programs side by side, as cells: the table behind Figure 5.10's like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tracrlab.decompiler.metrics import count_slots
from tracrlab.decompiler.predictions import Predictions
from tracrlab.decompiler.program_encoding import NA, SLOTS, lines_text
from tracrlab.rasp.program import FIRST_OP, INPUTS, NUMERICAL, Op, Program


def examples_table(predictions: Predictions, count: int) -> pd.DataFrame:
    """A few test programs, from those written best to those written worst.

    They stand at even steps of the ranking by token accuracy, so they were not picked by eye.

    Args:
      predictions: what was written.
      count: at most so many programs.

    Returns:
      one row a line: example, title, line, then ``true_`` and ``predicted_`` with each of `SLOTS`;
      empty where a program has no such line. Programs in token form have their constants, encodings
      and order of operands; those of the thesis's form are its symbols.
    """
    counts = count_slots(predictions.lines, predictions.true_lines)
    accuracy = counts.right / counts.slots
    ranking = np.argsort(-accuracy, kind="stable")
    places = np.unique(np.linspace(0, len(ranking) - 1, min(count, len(ranking))).round())
    rows = []
    for number, place in enumerate(places.astype(int)):
        chosen = ranking[place]
        entry = predictions.table.iloc[chosen]
        if predictions.description.get("method") == "lines":
            pair = [lines_text(lines[chosen]) for lines in _both_lines(predictions)]
        else:
            programs = predictions.true[chosen], predictions.first[chosen]
            pair = [program_cells(program) for program in programs]
        title = (
            f"program {entry['id']}, {100 * accuracy[chosen]:.0f} % of tokens"
            f"{', exact' if entry['first_exact'] else ''}; answer {entry['verdict']}"
        )
        rows += _rows(number, title, *pair)
    return pd.DataFrame(rows)


def _both_lines(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    return predictions.true_lines, predictions.lines


def _rows(
    number: int, title: str, true: Sequence[tuple[str, ...]], written: Sequence[tuple[str, ...]]
) -> list[dict[str, object]]:
    empty = ("",) * len(SLOTS)
    rows: list[dict[str, object]] = []
    for line in range(max(len(true), len(written))):
        row: dict[str, object] = {"example": number, "title": title, "line": line + 1}
        for side, lines in (("true", true), ("predicted", written)):
            cells = lines[line] if line < len(lines) else empty
            row |= {f"{side}_{slot}": cell for slot, cell in zip(SLOTS, cells, strict=True)}
        rows.append(row)
    return rows


def program_cells(program: Program | None) -> list[tuple[str, ...]]:
    """A program's lines as cells op, p1, p2, p3 and r, nothing left out; none for no program."""
    if program is None:
        return []
    return [_cells(op, number) for number, op in enumerate(program.ops, start=1)]


def _cells(op: Op, number: int) -> tuple[str, ...]:
    arguments = [str(op.function)] if op.function is not None else []
    arguments += [variable(ref) for ref in op.operands]
    kind = f"{op.kind} (num.)" if op.encoding == NUMERICAL else op.kind
    padded = [*arguments, NA, NA, NA][:3]
    return (kind, *padded, f"v{number}")


def variable(ref: int) -> str:
    """An operand as lines call it: tokens, indices, v1, v2 ..."""
    return INPUTS[ref] if ref < FIRST_OP else f"v{ref - FIRST_OP + 1}"
