"""Writing Parquet files row by row, in bounded memory, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracrlab.files import atomic_path
from tracrlab.sealing import seal
from tracrlab.zoo.schema import FileInfo

#: Rows, and weights, that are held before they are written as one row group.
GROUP_ROWS = 1024
GROUP_WEIGHTS = 4_000_000


class RowWriter:
    """Collects rows and writes them as row groups; made by `row_writer`."""

    def __init__(self, path: Path, schema: pa.Schema):
        self._schema = schema
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=6,
            write_page_checksum=True,
            store_schema=True,
        )
        self._rows: list[dict[str, Any]] = []
        self._weights = 0

    def write(self, row: dict[str, Any]) -> None:
        """Adds a row."""
        self._rows.append(row)
        self._weights += len(row.get("weights", ()))
        if len(self._rows) >= GROUP_ROWS or self._weights >= GROUP_WEIGHTS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = [
                pa.array([row[field.name] for row in self._rows], field.type)
                for field in self._schema
            ]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._rows, self._weights = [], 0

    def close(self, info: FileInfo) -> None:
        """Writes what is left, and the file's description."""
        self._flush()
        self._writer.add_key_value_metadata(info.schema.metadata)
        self._writer.close()


@contextmanager
def row_writer(path: str | Path, info: FileInfo) -> Iterator[RowWriter]:
    """A writer for a file of the kind that `info` describes.

    The description may be completed while rows are written: ``info.counts`` is read at the end.
    """
    with atomic_path(path) as temporary:
        writer = RowWriter(temporary, info.schema.remove_metadata())
        yield writer
        writer.close(info)
        seal(temporary)
