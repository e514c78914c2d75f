"""Whether the files that a step reads are all there, whole, and the ones it was meant to get.

On a cluster a step may start although a job before it was cut off, lost or run twice. Files are
written whole or not at all and their pages carry checksums; here they are also counted, against
what the configuration says and against the files they were made from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tracrlab.config import Config
from tracrlab.errors import TracrLabError
from tracrlab.zoo.schema import DAMAGE, FileInfo, damaged, open_parquet


def require_all(paths: Sequence[str | Path], what: str) -> None:
    """Checks that every file is there.

    Raises:
      TracrLabError: saying how many of the files are missing, and which.
    """
    missing = [str(path) for path in paths if not Path(path).is_file()]
    if missing:
        named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if missing[3:] else "")
        raise TracrLabError(
            f"{len(missing):,} of {len(paths):,} {what} are missing; make them again: {named}"
        )


def check_programs(
    config: Config, number: int, path: str | Path, info: FileInfo, index: np.ndarray
) -> None:
    """Checks that a file of sampled programs is that of its shard, with every candidate counted.

    Args:
      config: the configuration.
      number: the shard's number.
      path: the file.
      info: its description.
      index: the indices of its rows.

    Raises:
      TracrLabError: naming the file and what is wrong with it.
    """
    size = config.zoo.shard_size
    sampled = info.counts.get("sampled")
    if sampled != size:
        raise TracrLabError(
            f"{path} was sampled from {sampled} candidates and zoo.shard_size is {size:,}; delete "
            "it and sample it again."
        )
    refused = sum(info.counts["refused_programs"].values())
    if len(index) + refused != size:
        raise TracrLabError(
            f"{path} has {len(index):,} rows and {refused:,} refused programs of {size:,} "
            "candidates; it is not whole: delete it and sample it again."
        )
    first = number * size
    if len(index) and (index.min() < first or index.max() >= first + size):
        raise TracrLabError(
            f"{path} holds the candidates of another shard ({index.min():,} to {index.max():,}); "
            "delete it and sample it again."
        )


def whole_columns(path: str | Path, names: Sequence[str]) -> pa.Table:
    """Reads every page of a zoo shard, so that all checksums are checked, and keeps some columns.

    Raises:
      TracrLabError: if the shard is missing or damaged.
    """
    file, _ = open_parquet(path, "zoo")
    kept: list[pa.RecordBatch] = []
    try:
        for batch in file.iter_batches(batch_size=1024):
            kept.append(batch.select(list(names)))
    except DAMAGE as error:
        raise damaged(path, error) from None
    schema = pa.schema([file.schema_arrow.field(name) for name in names])
    return pa.Table.from_batches(kept, schema)


def check_rows(shard: str | Path, ids: pa.ChunkedArray, selected: str | Path) -> None:
    """Checks that a shard has the rows of the file it was made from, all and in order.

    Raises:
      TracrLabError: naming the shard, the rows it has and those it should have.
    """
    file, _ = open_parquet(selected, "selected")
    try:
        wanted = file.read(["id"])["id"]
    except DAMAGE as error:
        raise damaged(selected, error) from None
    if len(ids) != len(wanted):
        raise TracrLabError(
            f"{shard} has {len(ids):,} rows and {selected} selects {len(wanted):,}; delete it and "
            "build it again."
        )
    if not np.array_equal(ids.to_numpy(), wanted.to_numpy()):
        raise TracrLabError(
            f"{shard} holds other programs than {selected} selects; delete it and build it again."
        )


def pairs(
    config: Config, selected: Sequence[str | Path], shards: Sequence[str | Path]
) -> Iterator[tuple[Path, Path]]:
    """Each file of selected programs with its shard, after the check that all are there.

    Raises:
      TracrLabError: if a file is missing, or a selected file has not the rows of its place.
    """
    require_all(selected, "files of selected programs")
    require_all(shards, "shards")
    wanted, size = config.zoo.programs, config.zoo.shard_size
    for number, (chosen, shard) in enumerate(zip(selected, shards, strict=True)):
        file, _ = open_parquet(chosen, "selected")
        rows = min(size, wanted - number * size)
        if file.metadata.num_rows != rows:
            raise TracrLabError(
                f"{chosen} has {file.metadata.num_rows:,} rows and zoo.programs and "
                f"zoo.shard_size make {rows:,}; delete it and select again."
            )
        yield Path(chosen), Path(shard)
