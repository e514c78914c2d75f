"""Compiling: our compiler against Tracr's, on architectures that neither has seen."""

from __future__ import annotations

import json
import sys
import time

from benchmarks.measure import Result, cpu_seconds, in_subprocess, peak_mb

TRACR_PROGRAMS = 8
OUR_PROGRAMS = 200


def compile_rate() -> Result:
    """Sampled programs of 5 to 8 ops, from a tracr.rasp object to weights, one by one."""
    from tracr.compiler.compiling import compile_rasp_to_model

    import tracrlab
    from tracrlab.rasp.sampler import SamplerSettings, sample

    settings = SamplerSettings((0, 1, 2, 3, 4), 5, min_ops=5, max_ops=8)
    sops = [sample(settings, 1, i).program.to_tracr() for i in range(OUR_PROGRAMS + 1)]
    tracrlab.compile(sops.pop(), settings.vocab, 5)  # imports and caches of the domain
    ours, _ = cpu_seconds(lambda: [tracrlab.compile(sop, settings.vocab, 5) for sop in sops])
    compiled = 0

    def with_tracr() -> None:
        nonlocal compiled
        for sop in sops:
            try:
                compile_rasp_to_model(sop, set(settings.vocab), 5)
                compiled += 1
            except (NotImplementedError, ValueError, AssertionError):
                continue  # Tracr refuses or crashes; the time counts, the program does not
            if compiled == TRACR_PROGRAMS:
                return

    theirs, _ = cpu_seconds(with_tracr)
    our_rate, their_rate = len(sops) / ours, compiled / theirs
    return Result(
        "compile, unseen architectures of 5 to 8 ops",
        f"{our_rate:,.0f} programs/s",
        f"Tracr `compile_rasp_to_model`: {their_rate:.2f} programs/s",
        our_rate / their_rate,
        "at least 300 times",
    )


def shuffle_dyck() -> list[Result]:
    """Shuffle-dyck-3 at length 45 with ours, at length 15 with both, each in its own process."""
    ours = in_subprocess("benchmarks.compiling", "ours", "45")
    short = in_subprocess("benchmarks.compiling", "ours", "15")
    tracr = in_subprocess("benchmarks.compiling", "tracr", "15")
    return [
        Result(
            "shuffle_dyck3 at length 45: compile",
            f"{ours['seconds']:.2f} s, {ours['peak_mb']:,.0f} MB, {ours['weights']:,} weights",
            "",
            None,
            "under 2 s and 2 GB (Tracr: over 120 s)",
        ),
        Result(
            "shuffle_dyck3 at length 15: compile",
            f"{short['seconds']:.2f} s, {short['weights']:,} weights",
            f"Tracr's compiler steps, numpy assembly: {tracr['seconds']:.2f} s, "
            f"{tracr['weights']:,} weights",
            tracr["seconds"] / short["seconds"],
            "",
        ),
    ]


def _compile_dyck(which: str, length: int) -> dict:
    from tracr.compiler import lib

    import tracrlab

    sop = lib.make_shuffle_dyck(pairs=["()", "{}", "[]"])
    start = time.perf_counter()
    model = tracrlab.compile(sop, set("(){}[]"), length, reference=which == "tracr")
    seconds = time.perf_counter() - start
    weights = model.architecture.weight_count
    return {"seconds": seconds, "weights": weights, "peak_mb": peak_mb()}


if __name__ == "__main__":
    print(json.dumps(_compile_dyck(sys.argv[1], int(sys.argv[2]))))
