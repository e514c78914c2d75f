"""A trained decompiler on the test programs of a zoo."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tracrlab.decompiler.checking import VERIFIED, Checker
from tracrlab.decompiler.decompiling import Answer, Decompiler, Search
from tracrlab.decompiler.loading import Choice
from tracrlab.decompiler.metrics import equivalent
from tracrlab.decompiler.parameter_tokens import count_tokens
from tracrlab.decompiler.predictions import write_predictions
from tracrlab.errors import TracrLabError
from tracrlab.progress import progress
from tracrlab.sections.decompiler import DecompilerConfig, Rows
from tracrlab.zoo.manifest import load_manifest
from tracrlab.zoo.reading import Row, read_rows

#: Models that are read together.
BATCH = 32


def predict(
    settings: DecompilerConfig,
    manifest: str | Path,
    folder: str | Path,
    out: str | Path,
    *,
    zoo: str,
    name: str,
    device: str = "cpu",
) -> None:
    """Decompiles test programs of a zoo and writes the file of predictions.

    Args:
      settings: which models are read and how they are searched.
      manifest: the zoo's.
      folder: of the decompiler.
      out: the file to write.
      zoo: what the file calls the zoo.
      name: what it calls the run: a method, or a variant of one.
      device: where the meta-model runs.

    Raises:
      TracrLabError: if the decompiler or the zoo cannot be read, or there is no test program.
    """
    decompiler = Decompiler.load(folder, device)
    evaluation = settings.evaluation
    search = Search(evaluation.beam, evaluation.most_beams, evaluation.repairs, evaluation.endings)
    rows = list(islice(_test_rows(manifest, settings.rows), evaluation.test_programs))
    if not rows:
        raise TracrLabError(
            f"{manifest} has no test program with {settings.rows.ops[0]} to "
            f"{settings.rows.ops[1]} ops within decompiler.rows; make a larger zoo."
        )
    # Models of similar size are read together, which leaves little padding.
    order = sorted(range(len(rows)), key=lambda row: count_tokens(rows[row].architecture))
    written: dict[int, dict[str, Any]] = {}

    def batches() -> Iterator[int]:
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            written.update(zip(batch, _entries(decompiler, search, rows, batch), strict=True))
            yield from batch

    def note() -> str:
        share = np.mean([entry["verdict"] == VERIFIED for entry in written.values()])
        return f", {share:.0%} verified"

    for _ in progress(batches(), len(rows), "decompiling", note):
        pass
    description = asdict(decompiler.description)
    entries = (written[row] for row in range(len(rows)))
    write_predictions(out, zoo, name, description, entries)


def _test_rows(manifest: str | Path, wanted: Rows) -> Iterator[Row]:
    """Rows of the test split, in the zoo's order, of the sizes that every method is given."""
    choice = Choice("test", wanted.ops, max_tokens=wanted.max_tokens, max_blocks=wanted.max_blocks)
    for path in load_manifest(manifest).checked_shards():
        taken = set(choice.rows_of(path).tolist())
        yield from (row for number, row in enumerate(read_rows(path)) if number in taken)


def _entries(
    decompiler: Decompiler, search: Search, rows: Sequence[Row], batch: Sequence[int]
) -> list[dict[str, Any]]:
    chosen = [rows[row] for row in batch]
    started = time.perf_counter()
    answers = decompiler.decompile([row.model for row in chosen], search)
    seconds = (time.perf_counter() - started) / len(chosen)
    return [_entry(row, answer, seconds) for row, answer in zip(chosen, answers, strict=True)]


def _entry(row: Row, answer: Answer, seconds: float) -> dict[str, Any]:
    true, domain = row.program, row.domain
    entry: dict[str, Any] = {
        "id": row["id"],
        "n_ops": row["n_ops"],
        "true_tokens": list(row["tokens"]),
        "lines": answer.lines.ravel().tolist(),
        "verdict": answer.verdict,
        "agreement": answer.check.agreement if answer.check else 0.0,
        "tried": answer.tried,
        "verifiable": Checker(row.model, domain).check(true).verdict == VERIFIED,
        "seconds": seconds,
    }
    for prefix, candidate in (("first", answer.first), ("answer", answer.chosen)):
        program = candidate and candidate.program
        entry[f"{prefix}_tokens"] = program and program.tokens()
        entry[f"{prefix}_log_probability"] = candidate and candidate.log_probability
        entry[f"{prefix}_exact"] = program == true
        entry[f"{prefix}_equivalent"] = equivalent(program, true, domain)
    return entry
