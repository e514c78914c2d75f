"""A batch shared by processes that train together, so that they learn what one would learn.

Every process makes the whole batch, which depends on the seed and the step alone, and computes the
losses of its own rows. Rows are not independent: the swap puts a part of one row into another, and
an interchange reads a variable in one row and writes it in another. A process therefore runs the
rows that its own ones read from as well, without supervising them. Its means count by the number of
positions they were taken over, so that the average over processes is the mean over the batch.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.injection.batch import Batch


def share(batch: Batch, process: int, processes: int, swapped: int = 0) -> Batch:
    """The part of a batch that one of several processes computes.

    Args:
      batch: of all processes.
      process: number of this one.
      processes: how many there are; the whole batch is given back for one.
      swapped: how many rows of the batch, the first ones, are swapped with the row before.

    Returns:
      own rows and those that they read from, in order; `donors` and `weights` are set.
    """
    if processes == 1:
        return batch
    count = len(batch.tokens)
    own = _part(count, process, processes)
    donors = np.where(np.arange(count) < swapped, (np.arange(count) - 1) % count, -1)
    needed = np.union1d(own, donors[own][donors[own] >= 0])
    patched = np.zeros(0, dtype=np.int64)
    if batch.patches is not None:
        patched = np.flatnonzero(np.isin(batch.patches.rows, needed))
        needed = np.union1d(needed, batch.patches.sources[patched])
    local = np.full(count + 1, -1)  # the last entry: what has no donor has none here
    local[needed] = np.arange(len(needed))
    answers = np.flatnonzero(np.isin(batch.rows, own))
    aligned = np.flatnonzero(np.isin(batch.aligned_rows, own))
    windows = _part(len(batch.text), process, processes)
    number = np.full((0 if batch.patches is None else len(batch.patches.rows)) + 1, -1)
    number[patched] = np.arange(len(patched))
    return replace(
        batch,
        tokens=batch.tokens[needed],
        lengths=batch.lengths[needed],
        rows=local[batch.rows[answers]],
        positions=batch.positions[answers],
        targets=batch.targets[answers],
        aligned_rows=local[batch.aligned_rows[aligned]],
        aligned_positions=batch.aligned_positions[aligned],
        codes=batch.codes[aligned],
        whole_codes=batch.codes,
        patched=number[batch.patched[aligned]],
        patches=batch.patches.take(patched, local) if len(patched) else None,
        text=batch.text[windows],
        places=batch.places[windows],
        donors=np.where(np.isin(needed, own), local[donors[needed]], -1),
        weights={
            "answer": processes * len(answers) / max(1, len(batch.rows)),
            "alignment": processes * len(aligned) / max(1, len(batch.aligned_rows)),
            "text": processes * len(windows) / max(1, len(batch.text)),
        },
    )


def check_shareable(rows: int, windows: int, processes: int) -> None:
    """Checks that every process has something to do.

    Raises:
      TracrLabError: naming the key that is too small.
    """
    for key, count in (("batch", rows), ("text_batch", windows)):
        if 0 < count < processes:
            raise TracrLabError(
                f"injection.{key} is {count}, which {processes} processes cannot share; raise it, "
                "or give the job fewer GPUs."
            )


def _part(count: int, process: int, processes: int) -> np.ndarray:
    return np.arange(count * process // processes, count * (process + 1) // processes)
