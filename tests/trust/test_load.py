"""A million rows in bounded memory."""

import json
import subprocess
import sys

from tests.workflow.conftest import ROOT

ROWS = {"quick": 4_000, "full": 1_000_000}
MEGABYTES = 4_096


def test_a_large_zoo(scale, tmp_path, tally):
    """Written, described, streamed, split, cleared of duplicates, and verified by sample."""
    rows = ROWS[scale]
    run = subprocess.run(
        [sys.executable, "-m", "tests.trust.large_zoo", str(tmp_path), str(rows)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3_600,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    measured = json.loads(run.stdout.splitlines()[-1])
    print(measured)
    assert measured["rows"] == rows
    assert measured["distinct"] <= rows - rows // 200
    assert measured["verified"] >= 20
    assert measured["peak_megabytes"] < MEGABYTES
    tally(8, "rows written, split, streamed and deduplicated", rows)
    tally(8, "megabytes of memory at the peak of it", round(measured["peak_megabytes"]))
    tally(8, "megabytes of files of it", max(1, round(measured["bytes"] / 1e6)))
