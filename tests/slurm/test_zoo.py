"""The zoo's rules on a cluster: one array a rule, the results of a local run, and after a crash."""

import json
import time
from pathlib import Path

import pytest

from tests.slurm.conftest import ROOT, Submission, wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

CONFIG = {"programs": 50, "shard_size": 25, "oversample": 1.5, "ops": [3, 4]} | {
    "vocab": 3,
    "max_seq_len": 3,
}
TARGET = "results/zoo/standard/manifest.json"


def configured(folder: Path) -> tuple[str, ...]:
    path = folder / "own.yaml"
    path.write_text(json.dumps({"zoo": CONFIG}))
    return (TARGET, "--configfile", str(path))


def contents(folder: Path) -> dict[str, bytes]:
    """Every result by its path."""
    results = folder / "results"
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in results.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def local_results(tmp_path_factory) -> dict[str, bytes]:
    """The results of the same configuration on this machine, without SLURM."""
    run = Submission(tmp_path_factory.mktemp("local"))
    arguments = configured(run.folder)
    code, said = run.run(*arguments, profile=ROOT / "profiles" / "local", fast=())
    assert code == 0, said
    return contents(run.folder)


def test_arrays_give_the_results_of_a_local_run(idle, tmp_path, local_results):
    run = Submission(tmp_path)
    arguments = configured(tmp_path)
    code, said = run.run(*arguments)
    assert code == 0, said
    assert contents(tmp_path) == local_results
    for rule, tasks in (("sample_programs", 3), ("build_shard", 2)):
        jobs = [job for job in idle.jobs() if job["Comment"].startswith(f"rule_{rule}")]
        assert len(jobs) == tasks
        assert len({job["ArrayJobId"] for job in jobs}) == 1
        assert {job["Partition"] for job in jobs} == {"cpu"}
        for shard in range(tasks):  # the rule's own log, where its message says
            assert (tmp_path / f"logs/zoo/{rule}/{shard:05d}.log").is_file()
    assert "Nothing to be done" in run.run(*arguments)[1]


def test_a_killed_submission_ends_with_the_same_results(idle, tmp_path, local_results):
    run = Submission(tmp_path)
    arguments = configured(tmp_path)
    child = run.start(*arguments)
    wait_until(lambda: idle.ask("squeue", "-h", "-t", "running"), what="a running job")
    time.sleep(1)
    run.kill(child)
    assert idle.ask("squeue", "-h").strip(), "the jobs run on without Snakemake"
    # Snakemake's own lock comes first; then the jobs of the killed run are in the way.
    code, said = run.run(*arguments)
    assert code != 0
    assert "--unlock" in said
    assert run.run(*arguments, "--unlock")[0] == 0
    code, said = run.run(*arguments)
    assert code != 0
    assert "error: jobs of an earlier run in this folder are still in the queue; wait" in said
    wait_until(lambda: not idle.ask("squeue", "-h").strip(), seconds=120, what="an empty queue")
    code, said = run.run(*arguments)
    assert code == 0, said
    assert contents(tmp_path) == local_results
