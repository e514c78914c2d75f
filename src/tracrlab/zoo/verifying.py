"""The independent check of a shard: everything is computed again from the file alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tracrlab.compiler.verification import verify
from tracrlab.errors import TracrLabError
from tracrlab.progress import progress
from tracrlab.rasp.program import Program
from tracrlab.rasp.truth_table import evaluate
from tracrlab.zoo.reading import Row, read_rows
from tracrlab.zoo.schema import open_parquet


@dataclass(frozen=True)
class ShardReport:
    """The result for one shard.

    Attributes:
      path: the shard.
      rows: how many rows it has.
      inputs: on how many inputs weights were run, over all rows.
      failures: one sentence for each row that is wrong.
      max_error: largest error of any output (see `Verification`).
    """

    path: str
    rows: int
    inputs: int
    failures: tuple[str, ...]
    max_error: float


def verify_shard(path: str | Path, min_inputs: int | None = 256) -> ShardReport:
    """Evaluates each program, runs its weights and compares; also text, length and behaviour.

    Args:
      path: the shard.
      min_inputs: as `tracrlab.compiler.verify`; None runs every input of the domain.

    Raises:
      TracrLabError: if the shard is missing or damaged.
    """
    file, _ = open_parquet(path, "zoo")
    failures, inputs, max_error, rows = [], 0, 0.0, file.metadata.num_rows
    for row in progress(read_rows(path), rows, "verifying"):
        try:
            failure, count, error = _verify_row(row, min_inputs)
        except TracrLabError as problem:
            failure, count, error = str(problem), 0, 0.0
        inputs, max_error = inputs + count, max(max_error, error)
        if failure:
            failures.append(f"row {row['id']}: {failure}")
    return ShardReport(str(path), rows, inputs, tuple(failures), max_error)


def _verify_row(row: Row, min_inputs: int | None) -> tuple[str, int, float]:
    """A sentence for what is wrong (empty if nothing), the inputs that were run, and the error."""
    program = row.program
    if program != Program.from_text(row["text"]):
        return "its text and its token ids are different programs", 0, 0.0
    if len(program) != row["n_ops"]:
        return f"it has {len(program)} ops and says {row['n_ops']}", 0, 0.0
    table = evaluate(program, row.domain)
    if table.behaviour != row["behaviour"]:
        return "its behaviour hash is not that of its program", 0, 0.0
    result = verify(row.model, table, min_inputs)
    if row["exact"] or not result.example:
        return result.example, result.inputs, result.max_error
    # A student that passed the gate without being exact must be as right as it says: to two
    # hundredths on a sample of inputs, to rounding on all.
    slack = 0.02 if min_inputs is not None else 1e-4
    if result.accuracy < row["accuracy"] - slack:
        failure = f"it says that {row['accuracy']:.1%} of the positions are right and "
        return f"{failure}{result.accuracy:.1%} are", result.inputs, result.max_error
    return "", result.inputs, result.max_error
