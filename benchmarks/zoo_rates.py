"""The zoo's jobs: verified programs a second and core, bytes a program, memory of a job."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import ROOT, Result, in_subprocess, peak_mb

CASES = {
    "default": (
        {"ops": [4, 8]},
        1500,
        "sample + compile + verify + write, 4 to 8 ops",
        "at least 100/s",
    ),
    "thesis": (
        {
            "ops": [3, 15],
            "preset": "thesis",
            "limits": {"d_model": 1024, "mlp_hidden": 8192, "weights": 20_000_000},
        },
        600,
        "the same, 3 to 15 ops, thesis preset",
        "at least 25/s (thesis: 4.6/s, 40 % failed)",
    ),
}
RATES_FILE = ROOT / "src" / "tracrlab" / "measured_rates.json"


def pipeline_rates(tracr_rate: float) -> tuple[list[Result], dict]:
    """Runs the three steps of each case as jobs of their own, one thread each.

    Args:
      tracr_rate: programs a second and core that Tracr compiles (without sampling or checking).

    Returns:
      lines of the table, and the rates that `tracrlab plan` uses.
    """
    results, rates = [], {}
    peak = 0.0
    for case, (zoo, count, name, target) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            config = {"zoo": zoo | {"programs": count, "shard_size": count, "oversample": 1.0}}
            steps = {
                step: in_subprocess("benchmarks.zoo_rates", step, json.dumps(config), folder)
                for step in ("sample", "build")
            }
        peak = max(peak, *(step["peak_mb"] for step in steps.values()))
        rows = steps["build"]["rows"]
        seconds = sum(step["cpu_seconds"] for step in steps.values())
        rates[case] = {
            "sampled_per_core_second": steps["sample"]["rows"] / steps["sample"]["cpu_seconds"],
            "built_per_core_second": rows / steps["build"]["cpu_seconds"],
            "bytes_per_program": steps["build"]["bytes"] / rows,
        }
        results.append(
            Result(
                name,
                f"{rows / seconds:,.0f} programs/s ({rows:,} verified)",
                f"Tracr, compiling only: {tracr_rate:.2f} programs/s",
                rows / seconds / tracr_rate,
                target,
            )
        )
    results.append(
        Result("peak memory of a shard job", f"{peak:,.0f} MB", "", None, "under 1,500 MB")
    )
    return results, rates


def _step(step: str, config_text: str, folder: Path) -> dict:
    from tracrlab.config import load_config
    from tracrlab.zoo.building import build_shard
    from tracrlab.zoo.sampling import sample_shard
    from tracrlab.zoo.schema import open_parquet
    from tracrlab.zoo.selecting import select_programs

    config = load_config(config_text)
    programs, selected, out = (folder / f"{name}.parquet" for name in ("p", "s", "z"))
    if step == "sample":
        sample_shard(config, 0, programs)
        return {"rows": open_parquet(programs, "programs")[0].metadata.num_rows}
    # Duplicates make a sample smaller than what was asked for; take what there is.
    from tracrlab.errors import TracrLabError

    try:
        select_programs(config, [programs], [selected])
    except TracrLabError as error:
        distinct = int(str(error).split()[0].replace(",", ""))
        fewer = config.model_dump() | {"zoo": config.zoo.model_dump() | {"programs": distinct}}
        select_programs(load_config(fewer), [programs], [selected])
    build_shard(config, selected, out)
    return {"rows": open_parquet(out, "zoo")[0].metadata.num_rows, "bytes": out.stat().st_size}


if __name__ == "__main__":
    print(json.dumps(_step(sys.argv[1], sys.argv[2], Path(sys.argv[3])) | {"peak_mb": peak_mb()}))
