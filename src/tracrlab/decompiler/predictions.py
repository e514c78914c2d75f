"""The file of predictions: one row a decompiled model, with all that tables and pictures are of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tracrlab.decompiler.program_encoding import MAX_LINES, SLOTS, line_form
from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path
from tracrlab.rasp.program import Program

_KEY = b"tracrlab_predictions"
_VERSION = 1

#: `first_*`: the meta-model's first answer, from weights alone; `answer_*`: what execution chose.
#: Programs are token ids; null where no program was written.
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("n_ops", pa.int32(), nullable=False),
        pa.field("true_tokens", pa.list_(pa.int16()), nullable=False),
        pa.field("lines", pa.list_(pa.int16()), nullable=False),
        pa.field("first_tokens", pa.list_(pa.int16())),
        pa.field("first_log_probability", pa.float64()),
        pa.field("first_exact", pa.bool_(), nullable=False),
        pa.field("first_equivalent", pa.bool_(), nullable=False),
        pa.field("answer_tokens", pa.list_(pa.int16())),
        pa.field("answer_log_probability", pa.float64()),
        pa.field("answer_exact", pa.bool_(), nullable=False),
        pa.field("answer_equivalent", pa.bool_(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("agreement", pa.float64(), nullable=False),
        pa.field("tried", pa.int32(), nullable=False),
        # Whether the weights verify the true program itself: a trained model may be wrong.
        pa.field("verifiable", pa.bool_(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Predictions:
    """What one meta-model wrote for the test programs of one zoo.

    Attributes:
      zoo: the zoo's name.
      name: the run's: a method, or a variant of one.
      description: of the meta-model, as in its folder.
      table: the columns of `SCHEMA`.
    """

    zoo: str
    name: str
    description: dict[str, Any]
    table: pd.DataFrame

    @cached_property
    def lines(self) -> np.ndarray:
        """The first answers as the thesis's lines, int64 [programs, 15, 5]."""
        stacked = np.stack(self.table["lines"].to_list()).astype(np.int64)
        return stacked.reshape(len(self.table), MAX_LINES, len(SLOTS))

    @cached_property
    def answer_lines(self) -> np.ndarray:
        """The answers that execution chose, likewise; none where there is no program."""
        answers = self.table["answer_tokens"]
        return line_form([() if ids is None else np.asarray(ids) for ids in answers])

    @cached_property
    def true_lines(self) -> np.ndarray:
        """The true programs as the thesis's lines."""
        return line_form([np.asarray(ids) for ids in self.table["true_tokens"]])

    @cached_property
    def true(self) -> list[Program]:
        """The true programs."""
        return [Program.from_tokens(ids) for ids in self.table["true_tokens"]]

    @cached_property
    def first(self) -> list[Program | None]:
        """The first answers; None where no program was written."""
        return [
            None if ids is None else Program.from_tokens(ids) for ids in self.table.first_tokens
        ]


def write_predictions(
    path: str | Path, zoo: str, name: str, description: dict[str, Any], rows: Iterable[dict]
) -> None:
    """Writes a file of predictions atomically."""
    about = {"version": _VERSION, "zoo": zoo, "name": name, "description": description}
    schema = SCHEMA.with_metadata({_KEY: json.dumps(about, sort_keys=True).encode()})
    table = pa.Table.from_pylist(list(rows), schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_predictions(path: str | Path) -> Predictions:
    """Reads a file of predictions.

    Raises:
      TracrLabError: if it is missing, or no such file.
    """
    if not Path(path).is_file():
        raise TracrLabError(f"there is no file of predictions {path}; predict first.")
    try:
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[_KEY])
        if about["version"] != _VERSION or not table.schema.equals(SCHEMA):
            raise ValueError("it has other columns")
        columns = {name: table.column(name).to_pylist() for name in table.schema.names}
        return Predictions(
            about["zoo"], about["name"], about["description"], pd.DataFrame(columns, dtype=object)
        )
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise TracrLabError(
            f"{path} is no file of predictions of this version ({reason}); predict again."
        ) from None


def read_all(paths: Sequence[str | Path]) -> list[Predictions]:
    """Reads several files of predictions.

    Raises:
      TracrLabError: as `read_predictions`, or if there is none or one of them is empty.
    """
    if not paths:
        raise TracrLabError("give at least one file of predictions.")
    found = [read_predictions(path) for path in paths]
    for path, one in zip(paths, found, strict=True):
        if one.table.empty:
            raise TracrLabError(f"{path} has no programs; predict on a larger zoo.")
    return found
