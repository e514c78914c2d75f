"""From all sampled programs to those of the zoo: one of each behaviour, cut into splits and shards.

Which programs are taken depends on their indices and behaviours alone, so any shard size and any
number of jobs give the same rows. Hashes are held in memory (about 150 bytes a candidate at the
peak), programs are streamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tracrlab.config import Config
from tracrlab.errors import TracrLabError
from tracrlab.progress import progress
from tracrlab.sections.zoo import Splits
from tracrlab.zoo.completeness import check_programs, require_all
from tracrlab.zoo.schema import DAMAGE, FileInfo, damaged, open_parquet
from tracrlab.zoo.writing import row_writer


def split_of(behaviour: str, splits: Splits) -> str:
    """The split of a behaviour: a fixed function of its hash."""
    position = int(behaviour[:16], 16) / 2**64
    if position < splits.train:
        return "train"
    return "validation" if position < splits.train + splits.validation else "test"


def select_programs(
    config: Config, program_shards: Sequence[str | Path], outputs: Sequence[str | Path]
) -> None:
    """Takes the first program of each behaviour until the zoo is full.

    Args:
      config: the configuration.
      program_shards: all files of sampled programs.
      outputs: one file for each shard of the zoo, in order.

    Raises:
      TracrLabError: if there are too few distinct programs, naming how much more to sample; or if
        a file of sampled programs is missing, damaged, or not the whole shard of its place.
    """
    wanted, size = config.zoo.programs, config.zoo.shard_size
    indices, behaviours, shard_of, counts = _read_hashes(config, program_shards)
    kept = first_of_each(indices, behaviours)
    duplicates = len(indices) - len(kept)
    if len(kept) < wanted:
        needed = config.zoo.oversample * wanted / max(len(kept), 1) * 1.1
        raise TracrLabError(
            f"{len(kept):,} distinct programs came out of {config.zoo.candidates:,} candidates and "
            f"zoo.programs wants {wanted:,}; raise zoo.oversample to about {needed:.1f}."
        )
    kept = kept[:wanted]
    counts["refused_programs"]["duplicate"] = duplicates
    counts["surplus"] = len(indices) - duplicates - wanted

    chosen = np.zeros(len(indices), dtype=bool)
    chosen[kept] = True
    rows = _chosen_rows(program_shards, chosen, np.bincount(shard_of, minlength=len(outputs)))
    _check_index_order(indices, chosen)
    for number, out in enumerate(outputs):
        count = min(size, wanted - number * size)
        info = FileInfo.of("selected", _domain(config), config.seed, counts if not number else {})
        with row_writer(out, info) as writer:
            for _ in progress(range(count), count, f"shard {number + 1} of {len(outputs)}"):
                row = next(rows)
                row["id"] = row.pop("index")
                row["split"] = split_of(row["behaviour"], config.zoo.splits)
                writer.write(row)


def first_of_each(indices: np.ndarray, behaviours: np.ndarray) -> np.ndarray:
    """Places of the first program of each behaviour, in the order of their indices.

    Args:
      indices: of the programs, int64 [programs].
      behaviours: their hashes, bytes [programs].
    """
    order = np.argsort(indices, kind="stable")
    _, first = np.unique(behaviours[order], return_index=True)
    return order[np.sort(first)]


def _domain(config: Config):
    from tracrlab.zoo.sampling import sampler_settings

    return sampler_settings(config).domain


def _read_hashes(
    config: Config, program_shards: Sequence[str | Path]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict]:
    """Index and behaviour of every candidate, the file it is in, and the summed counts."""
    indices, behaviours, shard_of = [], [], []
    require_all(program_shards, "files of sampled programs")
    totals: dict = {"sampled": 0, "ops": 0, "rejected_ops": {}, "refused_programs": {}}
    for number, path in enumerate(program_shards):
        file, info = open_parquet(path, "programs")
        if info.seed != config.seed or info.domain != _domain(config):
            raise TracrLabError(f"{path} was sampled with another seed or domain; sample it again.")
        try:
            table = file.read(["index", "behaviour"])
        except DAMAGE as error:
            raise damaged(path, error) from None
        check_programs(config, number, path, info, table["index"].to_numpy())
        indices.append(table["index"].to_numpy())
        behaviours.append(np.array(table["behaviour"].to_pylist(), dtype="S32"))
        shard_of.append(np.full(table.num_rows, number))
        _add_counts(totals, info.counts)
    if not indices or not sum(map(len, indices)):
        raise TracrLabError("no program was sampled; loosen zoo.limits or raise zoo.oversample.")
    return np.concatenate(indices), np.concatenate(behaviours), np.concatenate(shard_of), totals


def _add_counts(totals: dict, counts: dict) -> None:
    for key, value in counts.items():
        if isinstance(value, dict):
            for reason, count in value.items():
                totals[key][reason] = totals[key].get(reason, 0) + count
        else:
            totals[key] += value


def _check_index_order(indices: np.ndarray, chosen: np.ndarray) -> None:
    if (np.diff(indices[chosen]) <= 0).any():
        raise TracrLabError("the files of sampled programs are not given in order of their shards.")


def _chosen_rows(
    program_shards: Sequence[str | Path], chosen: np.ndarray, rows_in: np.ndarray
) -> Iterator[dict]:
    """The chosen rows of all files in order; files without one are not read."""
    start = 0
    for path, count in zip(program_shards, rows_in, strict=False):
        mask = chosen[start : start + count]
        start += count
        if mask.any():
            file, _ = open_parquet(path, "programs")
            try:
                yield from file.read().filter(pa.array(mask)).to_pylist()
            except DAMAGE as error:
                raise damaged(path, error) from None
