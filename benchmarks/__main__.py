"""`python -m benchmarks`: all of them, into benchmarks/results.md."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import compiling, correctness, zoo_rates
from benchmarks.measure import machine, markdown


def main() -> None:
    """Runs the benchmarks and writes the table and the rates that `tracrlab plan` uses."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=5_000, help="stored rows to verify again")
    parser.add_argument("--programs", type=int, default=300, help="programs of 10 ops")
    arguments = parser.parse_args()

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    say("compiling ...")
    rate = compiling.compile_rate()
    results = [rate, *compiling.shuffle_dyck()]
    tracr_rate = float(rate.baseline.split(": ")[1].split()[0])
    say("zoo jobs ...")
    lines, rates = zoo_rates.pipeline_rates(tracr_rate)
    results += lines
    say("programs of 10 ops ...")
    results += correctness.ten_ops(arguments.programs)
    results.append(correctness.sampled_ten_ops(arguments.programs))
    say(f"{arguments.rows:,} stored rows ...")
    results.append(correctness.stored_rows(arguments.rows, 256))

    command = f"python -m benchmarks --rows {arguments.rows} --programs {arguments.programs}"
    text = markdown(results, command)
    (Path(__file__).parent / "results.md").write_text(text, encoding="utf-8")
    # Rates of trainings stand there too, each with the page that says how it was measured.
    kept = json.loads(zoo_rates.RATES_FILE.read_text(encoding="utf-8"))
    kept |= {"machine": machine(), "command": command, "zoo": rates}
    zoo_rates.RATES_FILE.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
