"""What goes wrong on a cluster ends in the right results or in a clear failure."""

import pytest

from tests.slurm.conftest import FAST, Submission, changed_profile, wait_until
from tests.slurm.sandbox import TEMPLATES

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

FAULTS = TEMPLATES.parent / "faults.smk"


def merged(shards: int) -> str:
    """What the last rule must write: ten lines of every shard, in order."""
    return "".join(f"{shard:05d} {line}\n" for shard in range(shards) for line in range(1, 11))


def of_rule(jobs: list[dict[str, str]], rule: str) -> list[dict[str, str]]:
    return [job for job in jobs if job.get("Comment", "").startswith(f"rule_{rule}")]


def test_slow_failing_cancelled_and_late_tasks_and_gpu_rules(idle, tmp_path):
    """Four faults in one array, beside rules that the profile routes, one an array on GPUs."""

    def short(values):
        values["set-resources"]["build_shard"] = {
            "mem_mb": "300 * attempt",
            "runtime": "attempt",
        }
        values["set-resources"]["compress_shard"] |= {"gpu": 1, "gpu_model": "a40"}

    run = Submission(tmp_path / "run", FAULTS)
    for name, megabytes in (("small.bin", 1), ("large.bin", 2001)):
        with open(run.folder / name, "wb") as file:
            file.truncate(megabytes * 1024 * 1024 + 1)
    config = ("--config", "scenario=mixed", "rest=yes")
    fast = (*FAST, "--latency-wait", "5")
    child = run.start(*config, profile=changed_profile(tmp_path, short), fast=fast)
    wait_until((run.folder / "waiting").exists, what="the task that is to be cancelled")
    array = next(job for job in of_rule(idle.jobs(), "build_shard"))["ArrayJobId"]
    idle.ask("scancel", f"{array}_3")
    code, said = run.finish(child)
    assert code == 0, said
    assert (run.folder / "merged.txt").read_text() == merged(5)

    jobs = of_rule(idle.jobs(), "build_shard")
    first = {job["ArrayTaskId"]: job for job in jobs if job.get("ArrayJobId") == array}
    assert sorted(first) == ["1", "2", "3", "4", "5"]
    states = {task: job["JobState"] for task, job in first.items()}
    ended = {"1": "COMPLETED", "2": "FAILED", "3": "CANCELLED", "4": "TIMEOUT", "5": "COMPLETED"}
    assert states == ended
    # The slow first task and the quick last one ran once; the others a second time.
    attempts = {path.name: path.read_text().split() for path in (run.folder / "attempts").iterdir()}
    assert {tasks[0]: len(tasks) for tasks in attempts.values()} == {
        "1": 1, "2": 2, "3": 2, "4": 2, "5": 1,
    }  # fmt: skip
    # The second attempt has twice the memory, and two minutes; SLURM counts no less than one. An
    # array has a megabyte for its commands.
    again = [job for job in jobs if job.get("ArrayJobId") != array]
    assert {job["TimeLimit"] for job in first.values()} == {"00:01:00"}
    assert {job["MinMemoryNode"] for job in first.values()} == {"301M"}
    assert {job["TimeLimit"] for job in again} == {"00:02:00"}
    assert {job["MinMemoryNode"] for job in again} <= {"600M", "601M"}

    # Messages name log files that are there.
    named = [word for line in said.splitlines() for word in line.split() if f"{array}_" in word]
    paths = {word.strip("(),") for word in named if word.strip("(),").endswith(".log")}
    assert paths
    for path in paths:
        assert (run.folder / path).is_file(), path

    seen = {path.name: path.read_text().split() for path in (run.folder / "seen").iterdir()}
    assert "SLURM_JOB_PARTITION=a40" in seen["train_decompiler"]
    assert "SLURM_JOB_PARTITION=a100" in seen["inject"]
    assert "SLURM_JOB_PARTITION=cpu" in seen["pretrain_tiny"]
    for rule in ("train_decompiler", "inject"):
        assert "CUDA_VISIBLE_DEVICES=0" in seen[rule]
        model = "a40" if rule == "train_decompiler" else "a100"
        (job,) = of_rule(idle.jobs(), rule)
        assert f"gpu:{model}:1" in job["TresPerJob"]
        assert job["Partition"] == model
    on_gpus = of_rule(idle.jobs(), "compress_shard")
    assert [job["Partition"] for job in on_gpus] == ["a40", "a40"]
    assert len({job["ArrayJobId"] for job in on_gpus}) == 1
    for shard in range(2):
        assert any(word.startswith("CUDA_VISIBLE_D") for word in seen[f"compress_{shard:05d}"])
    assert not any(word.startswith("CUDA") for word in seen["pretrain_tiny"])

    assert run.run(*config)[1].count("Nothing to be done") == 1


def test_a_controller_that_goes_away_and_comes_back(idle, tmp_path):
    """No status answers for longer than five attempts take: the plugin's default gives up then."""
    run = Submission(tmp_path / "run", FAULTS)
    config = ("--config", "scenario=slow", "shards=3")
    child = run.start(*config)
    wait_until(lambda: len([*run.folder.glob("started.*")]) == 3, what="three running tasks")
    idle.stop_controller()
    wait_until(lambda: len([*run.folder.glob("work/*.txt")]) == 3, what="three finished tasks")
    with pytest.raises(AssertionError):  # five attempts of nine seconds each find no answer
        wait_until(lambda: child.poll() is not None, seconds=45)
    idle.start_controller()
    code, said = run.finish(child)
    assert code == 0, said
    assert "Falling back to 'sacct'" not in said
    assert (run.folder / "merged.txt").read_text() == merged(3)
    assert {len(path.read_text().split()) for path in run.folder.glob("attempts/*")} == {1}


def test_a_task_that_always_fails_ends_the_run_and_leaves_its_siblings_whole(idle, tmp_path):
    def once(values):
        values["retries"] = 1

    run = Submission(tmp_path / "run", FAULTS)
    profile = changed_profile(tmp_path, once)
    code, said = run.run("--config", "scenario=broken", "shards=3", profile=profile)
    assert code != 0
    assert "Error in rule build_shard" in said
    assert not (run.folder / "merged.txt").exists()
    assert len([*run.folder.glob("work/*.txt")]) == 2
