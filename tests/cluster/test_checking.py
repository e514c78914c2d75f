"""What does not fit a cluster, or is unsafe with arrays, is one sentence that names its key.

Faults are numbered as in docs/cluster.md.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from snakemake.common.tbdstring import TBDString

from tracrlab.cluster.checking import (
    check_alike,
    check_command_line,
    check_jobs,
    check_settings,
    check_versions,
)
from tracrlab.cluster.settings import DEFAULT_RULE, from_profile
from tracrlab.cluster.slurm import Cluster, parse_partitions
from tracrlab.errors import TracrLabError

PROFILE = Path(__file__).parents[2] / "profiles" / "slurm"
PARTITIONS = """\
cpu|(null)|1-00:00:00|8000|4|n1
a40|gpu:a40:2|1-00:00:00|64000|4|n2
a100|gpu:a100:2|1-00:00:00|64000|4|n3
"""


@pytest.fixture
def cluster():
    return Cluster(parse_partitions(PARTITIONS), 600, 1001, accounting=False)


@pytest.fixture
def settings():
    return from_profile(PROFILE)


def with_resource(settings, rule, **values):
    resources = dict(settings.resources)
    resources[rule] = {**resources.get(rule, {}), **values}
    return replace(settings, resources=resources)


def test_the_delivered_profile_fits(settings, cluster):
    check_settings(settings, cluster)
    check_jobs(settings, {"sample_programs": 300, "build_shard": 200, "zoo_manifest": 1})


@pytest.mark.parametrize(
    ("rule", "values", "message"),
    [
        (
            DEFAULT_RULE,
            {"slurm_partition": "cpus"},
            r"default-resources\.slurm_partition names the partition 'cpus', but this cluster has "
            r"a100, a40, cpu\.$",
        ),
        (
            "build_shard",
            {"slurm_partition": "cpu,long"},
            r"set-resources\.build_shard\.slurm_partition names the partition 'long'",
        ),
        (
            "inject",
            {"gpu_model": "h100"},
            r"set-resources\.inject\.gpu_model is 'h100', but no partition it may use .* has that "
            r"GPU; they have a100, a40\.$",
        ),
        (
            "inject",
            {"gpu_model": "a40", "slurm_partition": "a100"},
            r"gpu_model is 'a40', but no partition it may use \(a100\) has that GPU; they have ",
        ),
        (
            "train_decompiler",
            {"gpu_model": "'h200' if attempt > 1 else 'a40'"},
            r"set-resources\.train_decompiler\.gpu_model is 'h200'",
        ),
        (
            "build_shard",
            {"runtime": "600 * attempt"},
            r"set-resources\.build_shard\.runtime is 1,800 minutes in the last attempt, but no "
            r"partition it may use \(a100, a40, cpu\) has more than 1,440\.$",
        ),
        (
            "build_shard",
            {"mem_mb": "4000 * attempt", "slurm_partition": "cpu"},
            r"set-resources\.build_shard\.mem_mb is 12,000 MB in .* \(cpu\) has more than 8,000",
        ),
    ],
)
def test_what_the_cluster_lacks(settings, cluster, rule, values, message):
    with pytest.raises(TracrLabError, match=message):
        check_settings(with_resource(settings, rule, **values), cluster)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"batch": {}},
            r"own\.yaml: partitions\.batch names the partition 'batch', but this cluster has",
        ),
        (
            {"a40": {"max_gpu": 1, "available_gpu_models": ["h100"]}},
            r"own\.yaml: partitions\.a40\.available_gpu_models has 'h100', but the nodes of a40 "
            r"have a40",
        ),
        ({"cpu": {}, "a40": {"max_gpu": 1}}, r"gpu_model is 'a100', but no partition it may use"),
        ({"cpu": {}, "a100": {}, "a40": {"max_gpu": 1}}, r"gpu_model is 'a100', but no partition"),
    ],
)
def test_a_partition_file_that_does_not_fit(settings, cluster, tmp_path, limits, message):
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"partitions": limits}))
    with pytest.raises(TracrLabError, match=message):
        check_settings(replace(settings, partition_file=tmp_path / "own.yaml"), cluster)


@pytest.mark.parametrize(
    ("change", "of_the_cluster", "message"),
    [
        # Fault 7: without accounting, sacct never says that a job has ended.
        ({"status_command": "sacct"}, {}, r"slurm-status-command is sacct, but this cluster keeps"),
        # Faults 1 and 6: with it, sacct takes an array for its tasks, and misses scancel.
        (
            {"status_command": "sacct"},
            {"accounting": True},
            r"slurm-status-command is sacct, which takes the state of an array",
        ),
        # Fault 1: the plugin turns to sacct by itself where squeue forgets too soon.
        ({"first_check": 250}, {}, r"need a cluster that remembers ended jobs for 750 seconds"),
        ({}, {"min_job_age": 100}, r"for 200 seconds, but its MinJobAge is 100"),
        ({"array_limit": 1001}, {}, r"slurm-array-limit is 1001, but .* at most 1000 tasks"),
        ({"array_limit": 1}, {}, r"slurm-array-limit is 1, but an array has at least 2"),
    ],
)
def test_settings_that_arrays_are_not_safe_with(settings, cluster, change, of_the_cluster, message):
    with pytest.raises(TracrLabError, match=message):
        check_settings(replace(settings, **change), replace(cluster, **of_the_cluster))


def test_sacct_is_allowed_without_arrays(settings, cluster):
    single = replace(settings, status_command="sacct", array_rules=frozenset())
    check_settings(single, replace(cluster, accounting=True, min_job_age=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jobs": 300}, r"jobs is 300, but job arrays need it to be at least the 501 jobs of this"),
        ({"rate": 100}, r"max-jobs-per-timespan allows 100 jobs, but job arrays need it to allow"),
        ({"capped": frozenset({"mem_mb"})}, r"resources caps mem_mb, which rules in slurm-array"),
    ],
)
def test_limits_that_would_drop_an_array(settings, change, message):
    jobs = {"sample_programs": 300, "build_shard": 200, "zoo_manifest": 1}
    with pytest.raises(TracrLabError, match=message):
        check_jobs(replace(settings, **change), jobs)
    check_jobs(replace(settings, **change, array_rules=frozenset()), jobs)


def test_jobs_of_an_array_must_ask_for_the_same():
    same = {"mem_mb": 1500, "runtime": 60}
    check_alike("build_shard", [same, dict(same)])
    with pytest.raises(
        TracrLabError, match=r"names build_shard, but its jobs differ in mem_mb \(1500 and 1700\)"
    ):
        check_alike("build_shard", [same, {"mem_mb": 1700, "runtime": 60}])
    unknown = {"mem_mb": TBDString()}
    with pytest.raises(TracrLabError, match="its jobs differ in mem_mb by the size of their input"):
        check_alike("build_shard", [unknown, unknown])


def test_an_array_whose_commands_are_too_long(settings):
    import random

    text = "".join(random.Random(0).choices("0123456789abcdef", k=4000))
    check_command_line(settings, "build_shard", "x" * 5000)
    with pytest.raises(TracrLabError, match=r"slurm-array-limit is 32, but .* at most 2\d tasks"):
        check_command_line(settings, "build_shard", text)


def test_arrays_go_with_the_plugin_they_were_proved_with(settings):
    known = {
        "snakemake-executor-plugin-slurm": "2.8.0",
        "snakemake-executor-plugin-slurm-jobstep": "0.6.1",
    }
    check_versions(settings, known)
    newer = known | {"snakemake-executor-plugin-slurm": "2.10.1"}
    with pytest.raises(
        TracrLabError, match=r"slurm is 2\.10\.1, and job arrays were proved with 2"
    ):
        check_versions(settings, newer)
    check_versions(replace(settings, array_rules=frozenset()), newer)
