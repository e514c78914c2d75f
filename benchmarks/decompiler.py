"""Parts of the decompiler: loader, grammar, execution of candidates, by processor time on one core.

`python -m benchmarks.decompiler results/zoo/standard/manifest.json` prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Result, markdown

EPOCHS = 3


def resident_mb() -> float:
    """Resident memory of this process now, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def rate(batches: Iterable[int]) -> float:
    """Samples per processor second, of an iterable of batch sizes."""
    start, count = time.process_time(), 0
    for size in batches:
        count += size
    return count / (time.process_time() - start)


def row_by_row(shards: list[Path]) -> Iterator[int]:
    """What the loader is compared with: the reader of rows, and the same encoding."""
    from tracrlab.decompiler.parameter_tokens import encode_tokens
    from tracrlab.zoo.reading import read_rows

    for shard in shards:
        for row in read_rows(shard):
            if row["split"] == "train":
                encode_tokens(row.architecture, row["weights"])
                yield 1


def loader_rates(manifest: str) -> list[Result]:
    """Reading and encoding, with and without augmentation, and memory over epochs."""
    from tracrlab.decompiler.augmentation import FOR_CIRCUITS, FOR_COMPILED, FOR_DENSE
    from tracrlab.decompiler.batches import block_batches, circuit_batches, token_batches
    from tracrlab.decompiler.loading import Choice, ZooLoader
    from tracrlab.zoo import load_manifest

    def loader(encode: Callable, **options: Any) -> ZooLoader:
        return ZooLoader.of_zoo(manifest, Choice("train"), 64, encode, **options)

    def sizes(one: ZooLoader) -> Iterator[int]:
        yield from (len(batch.ids) for batch in one)

    plain = rate(row_by_row(load_manifest(manifest).shard_paths()))
    results = []
    for name, encode in (
        ("parameter tokens", token_batches()),
        ("512-weight blocks", block_batches()),
        ("parameter tokens, permuted afresh", token_batches(FOR_COMPILED)),
        ("parameter tokens, rotated afresh", token_batches(FOR_DENSE)),
        ("circuits, run on probes", circuit_batches()),
        ("circuits, skewed afresh", circuit_batches(FOR_CIRCUITS)),
    ):
        found = rate(sizes(loader(encode)))
        results.append(
            Result(
                f"loader: {name}",
                f"{found:,.0f} samples/core-s",
                f"row by row, tokens, unpadded: {plain:,.0f}",
                found / plain,
                "5,000 samples/core-s",
            )
        )
    one = loader(token_batches(), pool=1)
    peaks = []
    for _ in range(EPOCHS):
        peaks.append(max(resident_mb() for _ in one))
    text = ", ".join(f"{peak:,.0f}" for peak in peaks)
    results.append(
        Result(
            f"loader: largest memory in each of {EPOCHS} epochs",
            f"{text} MB",
            "the first epoch",
            peaks[-1] / peaks[0],
            "flat",
        )
    )
    return results


def grammar_rates() -> list[Result]:
    """Steps of the mask, one token for every beam."""
    from tracrlab.decompiler.grammar import Grammar

    grammar = Grammar.of_preset("default", 8)
    rng = np.random.default_rng(0)
    results = []
    for beams in (1, 8, 64):
        start, steps = time.process_time(), 0
        while steps < 1500:
            state = grammar.start(beams)
            while not state.done.all():
                mask = grammar.mask(state)
                rows, tokens = np.nonzero(mask)
                ends = np.cumsum(np.bincount(rows, minlength=beams))
                counts = np.diff(ends, prepend=0)
                picked = tokens[ends - 1 - (rng.random(beams) * counts).astype(np.int64)]
                grammar.advance(state, picked)
                steps += 1
        found = steps / (time.process_time() - start)
        results.append(
            Result(f"grammar: {beams} beams", f"{found:,.0f} steps/core-s", "", None, "thousands")
        )
    return results


def checking_rates(manifest: str, models: int) -> list[Result]:
    """Execution of candidates, against compiling each and running what comes out."""
    from itertools import islice

    from tracrlab.compiler import compile_table
    from tracrlab.compiler.verification import verify
    from tracrlab.decompiler.checking import Checker
    from tracrlab.rasp import evaluate
    from tracrlab.zoo import load_manifest
    from tracrlab.zoo.reading import read_rows

    rows = list(islice(read_rows(load_manifest(manifest).shard_paths()[0]), models))
    start = time.process_time()
    checkers = [Checker(row.model) for row in rows]
    prepared = (time.process_time() - start) / models
    candidates = [row.program for row in rows]
    start = time.process_time()
    for checker in checkers:
        for candidate in candidates[:10]:
            checker.check(candidate)
    each = (time.process_time() - start) / (10 * models)
    start = time.process_time()
    for candidate in candidates:
        table = evaluate(candidate, rows[0].domain)
        verify(compile_table(table), table, None)
    compiled = (time.process_time() - start) / models
    return [
        Result(
            "checking: one candidate on all inputs",
            f"{1000 * each:.1f} core-ms, and {1000 * prepared:.0f} once a model",
            f"compiled anew and run: {1000 * compiled:.1f} core-ms",
            compiled / each,
            "",
        )
    ]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", help="a zoo's manifest.json")
    parser.add_argument("--models", type=int, default=40, help="models that are executed")
    options = parser.parse_args()
    results = loader_rates(options.manifest)
    results += grammar_rates()
    results += checking_rates(options.manifest, options.models)
    command = f"python -m benchmarks.decompiler {options.manifest} --models {options.models}"
    print(markdown(results, command))


if __name__ == "__main__":
    main()
