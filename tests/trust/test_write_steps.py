"""A writer that is killed at any step leaves the older file or the newer one, whole."""

import json
import subprocess
import sys

import pytest

from tests.trust.dying_writers import WRITERS
from tests.workflow.conftest import ROOT

SIZES = {"quick": 12, "full": 300}


@pytest.mark.parametrize("name", WRITERS)
def test_killed_at_each_step(name, scale, tmp_path, tally):
    run = subprocess.run(
        [sys.executable, "-m", "tests.trust.dying_writers", name, tmp_path, str(SIZES[scale])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    counts = json.loads(run.stdout.splitlines()[-1])
    assert counts["steps"] >= 4
    assert counts["old"] > 0
    assert counts["new"] > 0
    tally(1, f"kills at a step of the writer of a {name}", counts["steps"])
    tally(1, f"kills in the middle of a write of a {name}", counts["sizes"])
