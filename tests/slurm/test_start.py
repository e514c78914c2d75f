"""What a cluster cannot run, or would run wrong, ends before the first job, in one sentence."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slurm.conftest import PROFILE, ROOT, Submission, changed_profile
from tests.slurm.test_faults import FAULTS

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def refused(run: Submission, *arguments: str, **options) -> str:
    """Runs Snakemake, which must submit nothing, and gives the one sentence it ends in."""
    code, said = run.run(*arguments, **options)
    assert code != 0, said
    assert "Traceback" not in said
    assert "submitted" not in said.lower()
    (sentence,) = [line for line in said.splitlines() if line.startswith("error: ")]
    return sentence


def cluster_check(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tracrlab.cli", "cluster-check", *arguments]
    return subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **options
    )


def test_the_delivered_profile_fits_and_its_folder_is_seen(idle, tmp_path):
    check = cluster_check("--directory", str(tmp_path))
    assert check.returncode == 0, check.stderr
    assert check.stdout.splitlines() == [
        "a100: 1 hosts of up to 8 CPUs and 64,000 MB, 2 a100",
        "a40: 1 hosts of up to 8 CPUs and 64,000 MB, 2 a40",
        "cpu: 1 hosts of up to 4 CPUs and 16,000 MB, no GPU",
        f"{PROFILE.relative_to(ROOT)}/config.yaml fits this cluster; {tmp_path} is seen there",
    ]


@pytest.mark.parametrize(
    ("rule", "key", "value", "sentence"),
    [
        (
            "merge",
            "slurm_partition",
            "cpus",
            "set-resources.merge.slurm_partition names the partition 'cpus', but this cluster has",
        ),
        (
            "inject",
            "gpu_model",
            "h100",
            "set-resources.inject.gpu_model is 'h100', but no partition it may use (a100, ",
        ),
    ],
)
def test_a_partition_or_gpu_that_is_not_there(idle, tmp_path, rule, key, value, sentence):
    def change(values):
        values["set-resources"].setdefault(rule, {})[key] = value

    profile = changed_profile(tmp_path, change)
    said = refused(Submission(tmp_path / "run", FAULTS), profile=profile)
    assert said.startswith(f"error: the profile: {sentence}")
    check = cluster_check("--profile", str(profile))
    assert check.returncode == 2
    assert check.stderr.startswith(f"error: {profile}/config.yaml: {sentence}")
    assert len(check.stderr.splitlines()) == 1


def test_settings_that_drop_arrays_or_misread_them(idle, tmp_path):
    run = Submission(tmp_path / "run", FAULTS)
    said = refused(run, "--jobs", "2")
    assert "jobs is 2, but job arrays need it to be at least the 6 jobs of this run" in said
    said = refused(run, "--max-jobs-per-timespan", "3/1s")
    assert "max-jobs-per-timespan allows 3 jobs, but job arrays need it to allow the 6" in said
    said = refused(run, "--slurm-status-command", "sacct")
    assert "slurm-status-command is sacct, but this cluster keeps no accounting" in said
    said = refused(run, fast=("--slurm-init-seconds-before-status-checks", "300"))
    assert "a cluster that remembers ended jobs for 900 seconds, but its MinJobAge is 600" in said


def test_array_jobs_that_differ_in_what_they_need(idle, tmp_path):
    def by_shard(values):
        values["set-resources"]["build_shard"]["mem_mb"] = "100 * (1 + int(wildcards.shard))"

    run = Submission(tmp_path / "run", FAULTS)
    said = refused(run, profile=changed_profile(tmp_path, by_shard))
    assert "slurm-array-jobs names build_shard, but its jobs differ in mem_mb" in said


def test_a_machine_without_sbatch(idle, tmp_path):
    """Everything of this machine is there but SLURM's own programs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    listed = subprocess.run(
        ["dpkg", "-L", "slurm-client"], capture_output=True, text=True, check=True
    )
    slurms = {Path(line).name for line in listed.stdout.splitlines() if "/bin/" in line}
    for program in Path("/usr/bin").iterdir():
        if program.name not in slurms:
            (programs / program.name).symlink_to(program)
    environment = os.environ | {"PATH": str(programs)}
    sentence = "error: there is no sbatch on this machine, and executor: slurm needs it; start on"
    assert refused(Submission(tmp_path / "run", FAULTS), env=environment).startswith(sentence)
    check = cluster_check(env=environment)
    assert (check.returncode, check.stderr[: len(sentence)]) == (2, sentence)


def test_a_controller_that_does_not_answer(idle, tmp_path):
    idle.stop_controller()
    try:
        said = refused(Submission(tmp_path / "run", FAULTS))
        assert said.startswith("error: sinfo ")
    finally:
        idle.start_controller()


def test_a_work_folder_that_the_nodes_do_not_see(idle, tmp_path):
    """A file system of this process alone is mounted on the folder, as a local disk would be."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    folder = tmp_path / "local"
    folder.mkdir()
    inside = f'mount -t tmpfs none "{folder}" && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", inside, "sh", sys.executable, "-m", "tracrlab.cli"]
    check = subprocess.run(
        [*words, "cluster-check", "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert check.returncode == 2
    assert check.stderr.strip() == (
        f"error: the work folder {folder} is not there on the nodes of partition a100; start in a "
        "folder that login node and nodes share, or name one with --directory."
    )


def test_partitions_and_options_of_the_profile_reach_sbatch(idle, tmp_path):
    def change(values):
        values["default-resources"]["slurm_extra"] = "'--nice=7'"
        values["set-resources"]["build_shard"] = {"mem_mb": 50, "slurm_partition": "a40"}

    run = Submission(tmp_path / "run", FAULTS)
    code, said = run.run("work/00000.txt", profile=changed_profile(tmp_path, change))
    assert code == 0, said
    (job,) = idle.jobs()
    assert job["Comment"] == "rule_build_shard_wildcards_00000"
    assert (job["Partition"], job["Nice"], job["MinMemoryNode"]) == ("a40", "7", "50M")
