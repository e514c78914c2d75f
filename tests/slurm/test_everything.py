"""The whole workflow on a cluster gives the results of a local run: every rule, every arm."""

import pytest

from tests.slurm.conftest import ROOT, Submission
from tests.trust.comparing import contents

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.everything]

SMOKE = ("all", "--configfile", "config/smoke.yaml")


def test_the_whole_workflow_gives_the_results_of_a_local_run(idle, tmp_path):
    """Trainings go to nodes with stand-ins for GPUs, which torch does not see: all is arithmetic
    of one processor, and every file is the same but for its run times."""
    local = Submission(tmp_path / "local")
    code, said = local.run(*SMOKE, profile=ROOT / "profiles" / "local", fast=(), timeout=2_400)
    assert code == 0, said
    run = Submission(tmp_path / "cluster")
    code, said = run.run(*SMOKE, timeout=2_400)
    assert code == 0, said
    assert contents(run.folder) == contents(local.folder)
    jobs = idle.jobs()
    assert {job["Partition"] for job in jobs} == {"cpu", "a40"}
    arrays = {job["Comment"].split("_wildcards_")[0] for job in jobs if "ArrayJobId" in job}
    print(len(jobs), "jobs;", "arrays:", sorted(arrays))
    assert "Nothing to be done" in run.run(*SMOKE)[1]
