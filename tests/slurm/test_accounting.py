"""A cluster with a job database, where `sacct` works and its answers about arrays are wrong."""

import pytest

from tests.slurm.conftest import Submission, changed_profile, wait_until
from tests.slurm.test_faults import FAULTS, merged, of_rule

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.accounting]


def test_tasks_of_unlike_length_are_waited_for_and_charged_to_the_account(
    idle_with_accounting, tmp_path
):
    """The plugin's default, sacct, calls all tasks finished with the first; squeue does not."""

    def account(values):
        values["default-resources"]["slurm_account"] = "lab"
        values["set-resources"]["build_shard"]["mem_mb"] = "300 * attempt"

    run = Submission(tmp_path / "run", FAULTS)
    profile = changed_profile(tmp_path, account)
    child = run.start("--config", "scenario=uneven", "shards=4", profile=profile)
    wait_until(lambda: [*run.folder.glob("work/*.txt")], what="a first finished task")
    code, said = run.finish(child)
    assert code == 0, said
    assert (run.folder / "merged.txt").read_text() == merged(4)
    jobs = of_rule(idle_with_accounting.jobs(), "build_shard")
    assert {job["Account"] for job in jobs} == {"lab"}
    assert {len(path.read_text().split()) for path in run.folder.glob("attempts/*")} == {1}


def test_sacct_is_refused_for_arrays(idle_with_accounting, tmp_path):
    run = Submission(tmp_path / "run", FAULTS)
    code, said = run.run("--slurm-status-command", "sacct")
    assert code != 0
    assert "slurm-status-command is sacct, which takes the state of an array" in said


def test_the_controller_goes_away_while_the_database_answers(idle_with_accounting, tmp_path):
    """The plugin turns to sacct by itself then, but for what a run does at its start."""
    run = Submission(tmp_path / "run", FAULTS)
    child = run.start("--config", "scenario=slow", "shards=3")
    wait_until(lambda: len([*run.folder.glob("started.*")]) == 3, what="three running tasks")
    idle_with_accounting.stop_controller()
    wait_until(lambda: len([*run.folder.glob("work/*.txt")]) == 3, what="three finished tasks")
    idle_with_accounting.start_controller()
    code, said = run.finish(child)
    assert code == 0, said
    assert "Falling back to 'sacct'" not in said
    assert (run.folder / "merged.txt").read_text() == merged(3)


def test_group_jobs_where_the_cluster_forgets_jobs_too_soon(idle_with_accounting, tmp_path):
    """The other way to batch, of docs/cluster.md: sacct is right about jobs that are no arrays."""

    def grouped(values):
        del values["slurm-array-jobs"]
        values |= {"slurm-status-command": "sacct"}
        values |= {"groups": {"build_shard": "building"}, "group-components": {"building": 2}}
        values["set-resources"]["build_shard"]["mem_mb"] = "300 * attempt"

    run = Submission(tmp_path / "run", FAULTS)
    profile = changed_profile(tmp_path, grouped)
    code, said = run.run("--config", "shards=4", profile=profile)
    assert code == 0, said
    assert (run.folder / "merged.txt").read_text() == merged(4)
    comments = [job["Comment"] for job in idle_with_accounting.jobs()]
    assert len(comments) == 3
    assert not any("ArrayJobId" in job for job in idle_with_accounting.jobs())
