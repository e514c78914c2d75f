"""Reading shards: the one reader, which streams rows and turns them into models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tracrlab.compiler.architecture import Architecture, Layer
from tracrlab.compiler.model import BOS, CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.program import CATEGORICAL, NUMERICAL, Program
from tracrlab.rasp.values import parse_literal
from tracrlab.zoo.schema import DAMAGE, FileInfo, damaged, open_parquet

#: Rows that are read at once.
BATCH = 256


@dataclass(frozen=True)
class Row:
    """A row of a zoo.

    Attributes:
      columns: the columns that were read, by name; weights as a float32 vector.
      info: the description of its file.
    """

    columns: dict[str, Any]
    info: FileInfo

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]

    @property
    def domain(self) -> Domain:
        return self.info.domain

    @cached_property
    def program(self) -> Program:
        """The program, from its token ids."""
        return Program.from_tokens(self["tokens"])

    @property
    def architecture(self) -> Architecture:
        """Sizes of the model."""
        domain = self.domain
        columns = (self["heads"], self["key_size"], self["value_size"], self["mlp_hidden"])
        if any(len(column) != self["n_layers"] for column in columns):
            raise TracrLabError(f"row {self['id']} has sizes for another number of layers.")
        categorical = self["output_encoding"] == CATEGORICAL
        return Architecture(
            input_symbols=(*domain.vocab, BOS),
            max_seq_len=domain.max_seq_len,
            d_model=self["d_model"],
            output_size=len(self["output_values"]) if categorical else 1,
            layers=tuple(Layer(*sizes) for sizes in zip(*columns, strict=True)),
            causal=domain.causal,
        )

    @property
    def model(self) -> CompiledModel:
        """The model; its weights are views of the row's.

        Raises:
          TracrLabError: if the weights do not fit the architecture or are not finite, or the labels
        or the encoding do not fit.
        """
        architecture, flat = self.architecture, self["weights"]
        if not np.isfinite(flat).all():
            raise TracrLabError(f"row {self['id']} has weights that are not finite.")
        architecture.check_sizes()
        if len(self["labels"]) not in (0, architecture.d_model):
            raise TracrLabError(
                f"row {self['id']} has {len(self['labels'])} labels for {architecture.d_model} "
                "directions."
            )
        if self["output_encoding"] not in (CATEGORICAL, NUMERICAL):
            raise TracrLabError(
                f"row {self['id']} has the unknown output encoding {self['output_encoding']!r}."
            )
        return CompiledModel(
            architecture=architecture,
            weights=architecture.unflatten(flat),
            labels=tuple(self["labels"]),
            output_encoding=self["output_encoding"],
            output_values=tuple(parse_literal(value) for value in self["output_values"]),
            program=self.program,
        )


def read_rows(
    path: str | Path, columns: Sequence[str] | None = None, batch_size: int = BATCH
) -> Iterator[Row]:
    """Streams the rows of a shard.

    Args:
      path: the shard.
      columns: names of the columns to read; all by default.
      batch_size: rows that are held at once.

    Raises:
      TracrLabError: if the shard is missing, damaged or of another schema.
    """
    file, info = open_parquet(path, "zoo")
    try:
        for batch in file.iter_batches(batch_size=batch_size, columns=columns):
            yield from _batch_rows(batch, info)
    except DAMAGE as error:
        raise damaged(path, error) from None


def _batch_rows(batch: pa.RecordBatch, info: FileInfo) -> Iterator[Row]:
    names = [name for name in batch.schema.names if name != "weights"]
    rows = batch.select(names).to_pylist()
    if "weights" not in batch.schema.names:
        yield from (Row(row, info) for row in rows)
        return
    weights = batch.column("weights")
    offsets = weights.offsets.to_numpy()
    values = weights.values.to_numpy()
    for row, start, end in zip(rows, offsets[:-1], offsets[1:], strict=True):
        yield Row(row | {"weights": values[start:end]}, info)


@dataclass(frozen=True)
class Ragged:
    """A column of lists.

    Attributes:
      values: all lists, one after the other.
      offsets: where each begins, and where the last ends; int64 [rows + 1].
    """

    values: np.ndarray
    offsets: np.ndarray

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Length of each list."""
        return np.diff(self.offsets)


Column = np.ndarray | Ragged


def read_columns(path: str | Path, names: Sequence[str]) -> tuple[dict[str, Column], FileInfo]:
    """Reads columns of a whole shard as arrays, for work on many rows at once.

    Args:
      path: the shard.
      names: the columns.

    Returns:
      the columns by name, and the description of the file.

    Raises:
      TracrLabError: if the shard is missing, damaged or of another schema.
    """
    file, info = open_parquet(path, "zoo")
    try:
        table = file.read(columns=list(names))
    except DAMAGE as error:
        raise damaged(path, error) from None
    return {name: _as_arrays(table.column(name)) for name in names}, info


def _as_arrays(column: pa.ChunkedArray) -> Column:
    array = column.combine_chunks()
    if not pa.types.is_list(array.type):
        return array.to_numpy(zero_copy_only=False)
    offsets = array.offsets.to_numpy().astype(np.int64)
    return Ragged(array.values.to_numpy(zero_copy_only=False), offsets)
