"""A zoo as a Hugging Face dataset folder: Parquet by split, a card, and a manifest.

``datasets.load_dataset(folder)`` gives train, validation and test; ``tracrlab verify
folder/manifest.json`` and ``tracrlab.zoo`` read it like the zoo itself. Rows are streamed: one row
group is in memory at a time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracrlab.errors import TracrLabError
from tracrlab.exporting.dataset_card import dataset_card
from tracrlab.files import atomic_path, sha256, write_text
from tracrlab.progress import progress
from tracrlab.sealing import BLANK_SEAL, seal
from tracrlab.zoo.manifest import load_manifest
from tracrlab.zoo.reading import BATCH
from tracrlab.zoo.schema import damaged, open_parquet
from tracrlab.zoo.writing import GROUP_ROWS

SPLITS = ("train", "validation", "test")
#: A file is closed when it has this many bytes of weights, before compression.
FILE_BYTES = 2**30


@dataclass
class Counts:
    """What a card says of the rows.

    Attributes:
      splits: rows by split.
      lengths: rows by split and op count.
      inputs: on how many inputs weights were run, over all rows.
      exact: rows that are right at every position of every input that was run.
      max_error: the largest error of any.
    """

    splits: Counter[str] = field(default_factory=Counter)
    lengths: Counter[tuple[str, int]] = field(default_factory=Counter)
    inputs: int = 0
    exact: int = 0
    max_error: float = 0.0

    def add(self, batch: pa.RecordBatch) -> None:
        """Counts the rows of a batch."""
        splits = batch.column("split").to_pylist()
        self.splits.update(splits)
        self.lengths.update(zip(splits, batch.column("n_ops").to_pylist(), strict=True))
        self.inputs += pc.sum(batch.column("verified_inputs")).as_py() or 0
        self.exact += pc.sum(batch.column("exact").cast(pa.int64())).as_py() or 0
        self.max_error = max(self.max_error, pc.max(batch.column("max_error")).as_py() or 0.0)


def write_dataset(
    manifest: str | Path,
    folder: str | Path,
    *,
    name: str = "tracrlab-zoo",
    licence: str = "mit",
    file_bytes: int = FILE_BYTES,
) -> Counts:
    """Writes a zoo as a dataset folder.

    Args:
      manifest: the zoo's manifest.json; every shard is checked against it.
      folder: the folder to write; it must be new or empty.
      name: title of the card.
      licence: identifier of the licence, as the hub writes it.
      file_bytes: where a file of a split ends and the next begins.

    Returns:
      the counts that the card has.

    Raises:
      TracrLabError: if the folder holds something, or a shard is missing, changed or damaged.
    """
    zoo, folder = load_manifest(manifest), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TracrLabError(f"{folder} is not an empty folder; give --out a new one.")
    counts = Counts()
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(_split_writer(folder, split, file_bytes)) for split in SPLITS
        }
        shards = progress(zoo.checked_shards(), len(zoo.shard_paths()), "exporting shards")
        for shard in shards:
            for batch, schema in _batches(shard):
                counts.add(batch)
                column = batch.column("split")
                for split in SPLITS:
                    part = batch.filter(pc.equal(column, split))
                    if part.num_rows:
                        writers[split].write(part, schema)
        unknown = set(counts.splits) - set(SPLITS)
        if unknown:
            raise TracrLabError(f"{manifest} has rows of a split {sorted(unknown)[0]!r}.")
    if not counts.splits:
        raise TracrLabError(f"{manifest} has no rows; there is nothing to export.")
    entries = [entry for split in SPLITS for entry in writers[split].entries]
    _, info = open_parquet(folder / entries[0]["path"], "zoo")
    content = zoo.content | {"checksum": BLANK_SEAL, "shards": entries}
    write_text(folder / "README.md", dataset_card(name, licence, content, info, counts))
    # Last: a folder with a manifest is whole.
    with atomic_path(folder / "manifest.json") as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        seal(temporary)
    return counts


def _batches(shard: Path) -> Iterator[tuple[pa.RecordBatch, pa.Schema]]:
    """Rows of a shard, a few at a time, and the columns with the description of the file."""
    file, info = open_parquet(shard, "zoo")
    try:
        for batch in file.iter_batches(batch_size=4 * BATCH):
            yield batch, info.schema
    except (pa.ArrowException, OSError) as error:
        raise damaged(shard, error) from None


class _SplitWriter:
    """Files of one split: ``data/train-00000.parquet`` and so on."""

    def __init__(self, folder: Path, split: str, file_bytes: int):
        self._folder, self._split, self._limit = folder, split, file_bytes
        self._open: tuple[pq.ParquetWriter, Path, Path, ExitStack] | None = None
        self._waiting: list[pa.RecordBatch] = []  # rows of the next row group
        self._bytes = self._rows = 0
        self.entries: list[dict] = []

    def write(self, batch: pa.RecordBatch, schema: pa.Schema) -> None:
        if self._open is None:
            path = self._folder / "data" / f"{self._split}-{len(self.entries):05d}.parquet"
            stack = ExitStack()
            temporary = stack.enter_context(atomic_path(path))
            # The settings of zoo.writing, so that a copy is as small as its original.
            writer = pq.ParquetWriter(
                temporary,
                schema.remove_metadata(),
                compression="zstd",
                compression_level=6,
                write_page_checksum=True,
            )
            writer.add_key_value_metadata(schema.metadata)
            self._open = writer, temporary, path, stack
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if sum(part.num_rows for part in self._waiting) >= GROUP_ROWS:
            self._write_group()
        if self._bytes >= self._limit:
            self.close()

    def _write_group(self) -> None:
        if self._waiting:
            # Shards describe themselves in their metadata; a file has that of its first shard.
            bare = [part.replace_schema_metadata(None) for part in self._waiting]
            self._open[0].write_table(pa.Table.from_batches(bare))
        self._waiting = []

    def close(self) -> None:
        """Ends the file that is open, and lists it."""
        if self._open is None:
            return
        writer, temporary, path, stack = self._open
        self._write_group()
        writer.close()
        seal(temporary)
        stack.close()
        self.entries.append(
            {
                "path": path.relative_to(self._folder).as_posix(),
                "rows": self._rows,
                "bytes": path.stat().st_size,
                "sha256": sha256(path),
            }
        )
        self._open, self._bytes, self._rows = None, 0, 0

    def abandon(self, error: BaseException) -> None:
        """Removes the file that is open."""
        if self._open is not None:
            writer, _, _, stack = self._open
            writer.close()
            stack.__exit__(type(error), error, error.__traceback__)


@contextmanager
def _split_writer(folder: Path, split: str, file_bytes: int) -> Iterator[_SplitWriter]:
    writer = _SplitWriter(folder, split, file_bytes)
    try:
        yield writer
    except BaseException as error:
        writer.abandon(error)
        raise
    writer.close()
