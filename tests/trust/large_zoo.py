"""A zoo of many rows of the real columns, made without compiling: its cost in time and memory.

Called as ``python -m tests.trust.large_zoo FOLDER ROWS``. Rows are copies of a few sampled ones
with their own id, program and behaviour hash and a few hundred weights. The zoo is written in
shards, described by a manifest, sampled and verified, streamed, cut into splits by behaviour and
cleared of duplicates, as the workflow's own functions do it. The answer is one line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import peak_mb
from tests.trust.samples import SETTINGS, sampled_row
from tracrlab.sections.zoo import Splits
from tracrlab.zoo.leaks import leak_table
from tracrlab.zoo.manifest import load_manifest, write_content
from tracrlab.zoo.reading import read_rows
from tracrlab.zoo.schema import FileInfo
from tracrlab.zoo.selecting import first_of_each, split_of
from tracrlab.zoo.verifying import verify_shard
from tracrlab.zoo.writing import row_writer

SHARD = 10_000
MODELS = 50
#: Rows whose programs are the sampled ones as they are, at the start of every shard.
REAL = 20


def write_zoo(folder: Path, rows: int) -> list[Path]:
    """Writes the shards; every hundredth behaviour is one that was there before."""
    info = FileInfo.of("zoo", SETTINGS.domain, 7, {})
    models, paths = [sampled_row(index) for index in range(MODELS)], []
    for start in range(0, rows, SHARD):
        paths.append(folder / "shards" / f"{start // SHARD:05d}.parquet")
        with row_writer(paths[-1], info) as writer:
            for number in range(start, min(start + SHARD, rows)):
                row = models[number % MODELS]
                if number - start >= REAL:
                    source = number - 1 if number % 100 == 99 else number
                    behaviour = hashlib.blake2b(
                        source.to_bytes(8, "big"), digest_size=16
                    ).hexdigest()
                    row = row | {"behaviour": behaviour}
                split = split_of(row["behaviour"], Splits())
                writer.write(row | {"id": number, "split": split})
    return paths


def main(folder: Path, rows: int) -> dict[str, float]:
    """Does all of it; gives seconds by part, rows, duplicates and the peak in megabytes."""
    seconds, start = {}, time.process_time()

    def done(part: str) -> None:
        nonlocal start
        seconds[part], start = time.process_time() - start, time.process_time()

    paths = write_zoo(folder, rows)
    done("write")
    write_content(folder / "manifest.json", "standard", 7, {}, paths, {})
    done("manifest")
    ids, behaviours, weights = [], [], 0
    for path in load_manifest(folder / "manifest.json").checked_shards():
        for row in read_rows(path, ("id", "behaviour", "weights"), batch_size=4096):
            ids.append(row["id"])
            behaviours.append(row["behaviour"].encode())
            weights += len(row["weights"])
    done("stream")
    kept = first_of_each(np.array(ids), np.array(behaviours, dtype="S32"))
    done("deduplicate")
    table = leak_table([folder / "manifest.json"])
    assert table["behave_like_one_in_training"].sum() == 0
    done("leaks")
    sample = folder / "sample.parquet"
    with row_writer(sample, FileInfo.of("zoo", SETTINGS.domain, 7, {})) as writer:
        for path in paths[:: max(1, len(paths) // 10)]:
            for row, _ in zip(read_rows(path), range(REAL), strict=False):
                writer.write(row.columns)
    report = verify_shard(sample, 64)
    assert not report.failures, report.failures
    done("verify_sample")
    return {
        "rows": len(ids),
        "weights": weights,
        "distinct": len(kept),
        "verified": report.rows,
        "bytes": sum(path.stat().st_size for path in paths),
        "peak_megabytes": peak_mb(),
        "seconds": seconds,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
