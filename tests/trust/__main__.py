"""Runs the tests of trust and writes their counts into `docs/reliability.md`.

``python -m tests.trust`` runs the full counts, ``python -m tests.trust quick`` those of every run
of the tests. Further words choose tests, as pytest's ``-k`` does; what they count replaces what was
counted before by the same tests, and the rest is kept (`docs/reliability.json`).
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
COUNTS = ROOT / "docs" / "reliability.json"
BEGIN, END = "<!-- counts: begin -->", "<!-- counts: end -->"
PROMISES = {
    1: "killed runs lose nothing",
    2: "reruns are exact",
    3: "the same seed gives the same bytes",
    4: "damage is refused or harmless",
    5: "hostile files do no harm",
    6: "a wrong configuration is one sentence",
    7: "no input crashes a parser",
    8: "load and limits",
    9: "no silent numbers",
    10: "no leaks",
}


class Counter:
    """A plugin of pytest that collects tallies, outcomes and processor time by test."""

    def __init__(self):
        self.found: dict[str, dict] = {}

    def pytest_runtest_logreport(self, report) -> None:
        if report.when == "call" or report.failed:
            tallies = [value for name, value in report.user_properties if name == "tally"]
            self.found[report.nodeid] = {"outcome": report.outcome, "tallies": tallies}
        if report.when == "teardown" and report.nodeid in self.found:
            self.found[report.nodeid]["seconds"] = dict(report.user_properties)["seconds"]


def table(found: dict[str, dict]) -> str:
    """The counts by promise, as Markdown."""
    cases: dict[tuple[int, str], int] = defaultdict(int)
    failures: dict[int, int] = defaultdict(int)
    for test in found.values():
        for promise, what, count in test["tallies"]:
            cases[promise, what] += count
    failed = sum(test["outcome"] == "failed" for test in found.values())
    lines = ["| promise | what was counted | cases |", "|---|---|---:|"]
    lines += [
        f"| {promise}. {PROMISES[promise]} | {what} | {count:,} |"
        for (promise, what), count in sorted(cases.items())
        if not failures[promise]
    ]
    seconds = sum(test.get("seconds", 0) for test in found.values())
    lines.append("")
    lines.append(
        f"{len(found):,} tests, {failed} of them failed, in {seconds:,.0f} seconds of processor "
        f"time ({platform.python_implementation()} {platform.python_version()}, "
        f"{os.cpu_count()} cores)."
    )
    return "\n".join(lines)


def write_page(found: dict[str, dict]) -> None:
    """Puts the counts between the two markers of the page."""
    COUNTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}", encoding="utf-8")


def main(words: list[str]) -> int:
    """Runs the tests; gives pytest's exit code."""
    quick = words[:1] == ["quick"]
    chosen = " or ".join(words[1:] if quick else words)
    arguments = [str(ROOT / "tests" / "trust"), "-q", "-n", "auto", "--maxprocesses", "8"]
    arguments += ["--dist", "worksteal", "-m", "not trust" if quick else "not quick"]
    arguments += ["-k", chosen] if chosen else []
    counter, started = Counter(), time.monotonic()
    code = pytest.main(arguments, plugins=[counter])
    print(f"{(time.monotonic() - started) / 60:.1f} minutes on {os.cpu_count()} cores")
    kept = json.loads(COUNTS.read_text()) if chosen and COUNTS.is_file() else {}
    found = kept | counter.found
    scaled = {name.replace("full", "quick") for name in found if "full" in name}
    write_page({name: test for name, test in found.items() if name not in scaled})
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
