"""Are our reference weights Tracr's own, bit for bit? Compiles many programs both ways.

Tracr takes seconds a program, so this is a script beside the tests:

    python -m tests.compiler.reference_sweep --sampled 200

It takes sampled programs until Tracr has compiled so many of them, prints two lines, and exits with
1 if any program differs.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count

import numpy as np
from tracr.compiler import compiling, test_cases

from tracrlab import TracrLabError, compile
from tracrlab.rasp.library import LIBRARY
from tracrlab.rasp.sampler import SamplerSettings, sample

#: A program: its name, a tracr.rasp SOp, vocabulary, longest input, causality.
Case = tuple[str, object, set, int, bool]

SAME, REFUSED = "same", "refused by both"


def tracr_cases() -> Iterator[Case]:
    """The test cases of Tracr's own library."""
    seen = set()
    for causal, cases in (
        (False, test_cases.TEST_CASES),
        (True, test_cases.CAUSAL_TEST_CASES),
        (False, test_cases.UNSUPPORTED_TEST_CASES),
    ):
        for case in cases:
            name, sop = case["testcase_name"], case["program"]
            key = (sop.label, frozenset(case["vocab"]), case["max_seq_len"], causal)
            if key not in seen:
                seen.add(key)
                yield name, sop, case["vocab"], case["max_seq_len"], causal


def library_cases() -> Iterator[Case]:
    """Our library."""
    for entry in LIBRARY.values():
        sop = entry.program.to_tracr()
        yield entry.name, sop, set(entry.vocab), entry.max_seq_len, entry.causal


def sampled_cases() -> Iterator[Case]:
    """Sampled programs without end, causal and not, of 3 to 8 ops."""
    for index in count():
        causal = index % 2 == 1
        settings = SamplerSettings((0, 1, 2, 3), 4, causal, min_ops=3, max_ops=8)
        sop = sample(settings, 20, index).program.to_tracr()
        yield f"sampled {index}", sop, set(settings.vocab), settings.max_seq_len, causal


def compare(case: Case) -> str:
    """`SAME`, `REFUSED`, or what differs."""
    _, sop, vocab, max_seq_len, causal = case
    try:
        tracr = compiling.compile_rasp_to_model(sop, vocab, max_seq_len, causal=causal)
    except Exception:
        tracr = None
    try:
        ours = compile(sop, vocab, max_seq_len, causal, reference=True)
    except TracrLabError:
        ours = None
    if tracr is None or ours is None:
        return REFUSED if tracr is ours else f"only {'Tracr' if ours is None else 'ours'} compiles"
    return difference(ours, tracr)


def difference(ours, tracr) -> str:
    """What differs between a reference model and Tracr's, `SAME` if nothing does."""
    if list(ours.labels) != tracr.residual_labels:
        return "the residual labels differ"
    weights = dict(ours.weights)
    weights.pop("unembed")  # not a parameter of Tracr's; compared by what the models give
    for module, parameters in tracr.params.items():
        name = module.removeprefix("transformer/")
        if np.any(parameters.get("b", 0)):
            return f"Tracr's {name} has a bias"
        theirs = np.asarray(parameters["embeddings"] if "embed" in name else parameters["w"])
        own = weights.pop(name, None)
        if own is None or own.dtype != theirs.dtype or not np.array_equal(own, theirs):
            return f"{name} differs"
    return f"only ours has {', '.join(weights)}" if weights else SAME


def main(arguments: list[str] | None = None) -> int:
    """Compares, prints one line, and gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampled", type=int, default=200, help="sampled programs to compile")
    parser.add_argument("--every", type=int, default=1, help="take one in so many library programs")
    options = parser.parse_args(arguments)
    library = [*tracr_cases(), *library_cases()][:: options.every]
    passed = [
        report("library", library, None),
        report("sampled", sampled_cases(), options.sampled),
    ]
    return 0 if all(passed) else 1


def report(name: str, cases: Iterable[Case], wanted: int | None) -> bool:
    """Compares until `wanted` programs are the same, prints a line; whether none differs."""
    results: Counter[str] = Counter()
    for case in cases if wanted != 0 else ():
        result = compare(case)
        results[result if result in (SAME, REFUSED) else f"{case[0]}: {result}"] += 1
        if results[SAME] == wanted:
            break
    counts = ", ".join(f"{number} {result}" for result, number in results.most_common())
    print(f"{name}: {results.total()} programs, {counts or 'none compared'}", flush=True)
    return set(results) <= {SAME, REFUSED}


if __name__ == "__main__":
    sys.exit(main())
