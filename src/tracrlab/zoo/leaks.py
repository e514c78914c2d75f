"""Programs of the test split that a decompiler could have learnt from training: there are none.

A test program leaks if the same program, or one that behaves the same on every input of the domain,
stands in training or validation of any zoo. Students carry the program and the split of their
teacher, so a program may be in test of all three zoos, and in none of their other splits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tracrlab.errors import TracrLabError
from tracrlab.zoo.completeness import whole_columns
from tracrlab.zoo.manifest import load_manifest

TEST = "test"
#: Splits that models are trained on or chosen by.
LEARNT_FROM = ("train", "validation")


@dataclass
class _Hashes:
    """16-byte hashes of programs and of behaviours, as they are collected, with the ids."""

    programs: list[np.ndarray] = field(default_factory=list)
    behaviours: list[np.ndarray] = field(default_factory=list)
    ids: list[np.ndarray] = field(default_factory=list)

    def add(self, programs: np.ndarray, behaviours: np.ndarray, ids: np.ndarray) -> None:
        self.programs.append(programs)
        self.behaviours.append(behaviours)
        self.ids.append(ids)


def leak_table(manifests: Sequence[str | Path]) -> pd.DataFrame:
    """Counts the test programs that stand in training or validation of any of the zoos.

    Shards are read one by one and 32 bytes of a row are kept, so ten million rows take 400 MB.

    Args:
      manifests: those of all zoos.

    Returns:
      one line a zoo: its programs, those in test, and how many of these equal a program of training
      or validation, or behave like one.

    Raises:
      TracrLabError: if a shard is not as its manifest says, or a row is in no known split.
    """
    learnt, tested, kinds, totals = _Hashes(), [], [], []
    for path in manifests:
        manifest, own, total = load_manifest(path), _Hashes(), 0
        for shard in manifest.checked_shards():
            splits, *columns = _columns(shard)
            total += len(splits)
            learnt.add(*(column[np.isin(splits, LEARNT_FROM)] for column in columns))
            own.add(*(column[splits == TEST] for column in columns))
        tested.append(own)
        kinds.append(manifest.content["kind"])
        totals.append(total)
    programs, behaviours = _distinct(learnt.programs), _distinct(learnt.behaviours)
    lines = []
    for kind, total, own in zip(kinds, totals, tested, strict=True):
        equal = np.isin(_joined(own.programs), programs)
        alike = np.isin(_joined(own.behaviours), behaviours)
        leaking = np.concatenate([*own.ids, np.zeros(0, np.int64)])[equal | alike]
        lines.append(
            {
                "zoo": kind,
                "programs": total,
                "test": len(equal),
                "equal_to_one_in_training": int(equal.sum()),
                "behave_like_one_in_training": int(alike.sum()),
                "first_leak": str(leaking[0]) if len(leaking) else "",
            }
        )
    return pd.DataFrame(lines)


def require_no_leak(table: pd.DataFrame) -> None:
    """Refuses zoos with a leak.

    Args:
      table: of `leak_table`.

    Raises:
      TracrLabError: with the counts of the first zoo that leaks.
    """
    for line in table.itertuples():
        if line.equal_to_one_in_training or line.behave_like_one_in_training:
            raise TracrLabError(
                f"{line.equal_to_one_in_training:,} test programs of the {line.zoo} zoo equal one "
                f"in training or validation and {line.behave_like_one_in_training:,} behave like "
                f"one, the first with id {line.first_leak}; make the zoos again."
            )


def _columns(shard: Path) -> Iterator[np.ndarray]:
    """Splits, hashes of programs, hashes of behaviours and ids of a shard's rows."""
    table = whole_columns(shard, ("split", "tokens", "behaviour", "id"))
    splits = table["split"].to_numpy(zero_copy_only=False).astype(str)
    if unknown := set(splits) - {TEST, *LEARNT_FROM}:
        raise TracrLabError(f"{shard} has rows of an unknown split, {str(min(unknown))!r}.")
    yield splits
    yield np.array([_hash(tokens) for tokens in _lists(table["tokens"])], dtype="S16")
    behaviours = table["behaviour"].to_pylist()
    yield np.array([bytes.fromhex(behaviour) for behaviour in behaviours], dtype="S16")
    yield table["id"].to_numpy()


def _lists(column: pa.ChunkedArray) -> Iterator[np.ndarray]:
    for chunk in column.chunks:
        values, offsets = chunk.values.to_numpy(), chunk.offsets.to_numpy()
        for start, end in pairwise(offsets):
            yield values[start:end]


def _hash(tokens: np.ndarray) -> bytes:
    return hashlib.blake2b(tokens.tobytes(), digest_size=16).digest()


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([*parts, np.zeros(0, "S16")])


def _distinct(parts: list[np.ndarray]) -> np.ndarray:
    return np.unique(_joined(parts))
