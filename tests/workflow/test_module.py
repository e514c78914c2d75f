"""Another workflow uses this one: its rules under a prefix, with a configuration of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT

pytestmark = pytest.mark.workflow

SNAKEFILE = f"""
module tracrlab:
    snakefile: {str(ROOT / "workflow" / "Snakefile")!r}
    prefix: "lab"
    config: config["lab"]

use rule * from tracrlab as tracrlab_*

rule first_program:
    input: "lab/results/library.csv"
    output: "first.txt"
    shell: "sed -n 2p {{input}} > {{output}}; echo ${{{{NPROC-unset}}}} > nproc.txt"
"""
CONFIGURATION = """
lab:
  seed: 7
  zoo: {programs: 40, ops: [3, 4], shard_size: 20}
  study: {programs: [frac_prevs]}
  injection: {tasks: [count]}
  figures: {residuals: [frac_prevs]}
"""


@pytest.fixture
def foreign(tmp_path) -> Path:
    """A folder with a workflow of someone else's, as the catalogue lays it out."""
    for path, text in (("workflow/Snakefile", SNAKEFILE), ("config/config.yaml", CONFIGURATION)):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(text)
    return tmp_path


def snakemake(folder: Path, *arguments: str) -> str:
    """Run Snakemake in a folder, `tracrlab` on the path as in an environment that is active."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-c1", "--configfile=config/config.yaml", *arguments],
        cwd=folder,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_target_of_ours_is_made_for_a_rule_of_theirs(foreign):
    snakemake(foreign, "--", "first_program")
    assert (foreign / "first.txt").read_text().startswith("frac_prevs,")
    assert (foreign / "lab" / "logs" / "figures" / "library_table.log").exists()
    # The shell of the other workflow's jobs is left alone.
    assert (foreign / "nproc.txt").read_text() == os.environ.get("NPROC", "unset") + "\n"


def test_every_result_is_planned_under_the_prefix_from_their_configuration(foreign):
    plan = snakemake(foreign, "--dry-run", "--printshellcmds", "--", "tracrlab_all")
    commands = [line for line in plan.splitlines() if line.startswith("Shell command: tracrlab")]
    assert len(commands) > 50
    for command in commands:
        for path in command.split():
            if path.startswith(("results/", "logs/")):
                pytest.fail(f"{path} has no prefix in {command}")
    sampled = next(command for command in commands if "tracrlab sample" in command)
    assert '"seed":7' in sampled
    assert '"ops":[3,4]' in sampled
