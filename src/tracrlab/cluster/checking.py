"""Whether a cluster can run what a profile asks for, and whether job arrays are safe on it.

Each check ends in one sentence that names the key to change. `docs/cluster.md` says why job arrays
need what is checked here.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from tracrlab.cluster.settings import DEFAULT_RULE, ClusterSettings, read_partition_file
from tracrlab.cluster.slurm import Cluster, Partition
from tracrlab.errors import TracrLabError

#: Versions of the plugin with which job arrays were proved, by its two distributions.
PROVED_WITH = {
    "snakemake-executor-plugin-slurm": "2.8",
    "snakemake-executor-plugin-slurm-jobstep": "0.6",
}
#: The plugin asks for the status of its jobs at least this often, in seconds.
LONGEST_POLL = 180
#: What Snakemake gives for a resource that depends on a file that is not there yet.
UNKNOWN = "<TBD>"
#: Bytes that Linux allows for one word of a command line, and what is left of it beside the tasks.
LONGEST_WORD = 131_072
FOR_THE_CALL_ITSELF = 8_192


def check_settings(settings: ClusterSettings, cluster: Cluster) -> None:
    """Checks the settings of a run against the cluster.

    Raises:
      TracrLabError: one sentence that names the key, the value found and what can stand there.
    """
    _check_status_command(settings, cluster)
    _check_arrays(settings, cluster)
    limits = read_partition_file(settings.partition_file) if settings.partition_file else {}
    _check_partition_file(settings, limits, cluster)
    for rule in settings.resources:
        _check_partitions_of(rule, settings, cluster)
        _check_gpus_of(rule, settings, limits, cluster)
        _check_sizes_of(rule, settings, limits, cluster)


def check_jobs(settings: ClusterSettings, jobs: Mapping[str, int]) -> None:
    """Checks that every job of a run can be submitted as soon as it is ready.

    The plugin drops a part of an array rule's jobs, for ever, when Snakemake hands it some of those
    that are ready and keeps others back; nothing keeps any back if these limits hold.

    Args:
      settings: the settings.
      jobs: how many jobs each rule has in this run.

    Raises:
      TracrLabError: naming the limit to raise.
    """
    arrays = {rule: count for rule, count in jobs.items() if settings.is_array(rule)}
    if not arrays:
        return
    total = sum(jobs.values())
    widest = (
        f"{total:,} jobs of this run ({max(arrays.values()):,} of {max(arrays, key=arrays.get)})"
    )
    if settings.jobs < total:
        raise TracrLabError(
            f"{settings.source}: jobs is {settings.jobs:,}, but job arrays need it to be at least "
            f"the {widest}; raise jobs, or zoo.shard_size."
        )
    if settings.rate < total:
        raise TracrLabError(
            f"{settings.source}: max-jobs-per-timespan allows {settings.rate:,} jobs, but job "
            f"arrays need it to allow the {widest}; raise it."
        )
    used = {name for rule in arrays for name in settings.resources.get(rule, {})}
    if capped := sorted(settings.capped & used):
        raise TracrLabError(
            f"{settings.source}: resources caps {capped[0]}, which rules in slurm-array-jobs use; "
            "job arrays cannot be submitted in part, so drop the cap or the arrays."
        )


def check_versions(settings: ClusterSettings, installed: Mapping[str, str]) -> None:
    """Checks that arrays are submitted by a plugin whose faults in array mode are known.

    Raises:
      TracrLabError: naming the distribution and its version.
    """
    for name, version in PROVED_WITH.items():
        if settings.array_rules and ".".join(installed[name].split(".")[:2]) != version:
            raise TracrLabError(
                f"{name} is {installed[name]}, and job arrays were proved with {version}; install "
                f"'{name}=={version}.*', or leave out slurm-array-jobs."
            )


def check_command_line(settings: ClusterSettings, rule: str, command: str) -> None:
    """Checks that the commands of an array fit the command line that carries them all.

    The plugin sends the commands of all tasks but the first as one word, each compressed.

    Args:
      settings: the settings.
      rule: an array rule.
      command: what runs one of its jobs.

    Raises:
      TracrLabError: naming the most tasks that an array can have.
    """
    task = math.ceil((2 * len(zlib.compress(command.encode(), 9)) + 10) * 4 / 3)
    most = 1 + (LONGEST_WORD - FOR_THE_CALL_ITSELF) // task
    if settings.array_limit > most:
        raise TracrLabError(
            f"{settings.source}: slurm-array-limit is {settings.array_limit}, but the commands of "
            f"{rule} fit a command line for at most {most} tasks; lower it."
        )


def check_alike(rule: str, resources: Iterable[Mapping[str, Any]]) -> None:
    """Checks that all jobs of an array rule ask for the same: SLURM is told the first one's needs.

    Args:
      rule: the rule.
      resources: what each of its jobs asks for; `UNKNOWN` where that depends on a file that is not
        there yet.

    Raises:
      TracrLabError: naming the rule and the resource.
    """
    first: Mapping[str, Any] | None = None
    for found in resources:
        first = found if first is None else first
        for name in sorted(found.keys() | first.keys()):
            here, there = first.get(name), found.get(name)
            if here != there or here == UNKNOWN:
                how = f"({here} and {there})" if here != there else "by the size of their input"
                raise TracrLabError(
                    f"slurm-array-jobs names {rule}, but its jobs differ in {name} {how}; make "
                    f"set-resources of {rule} a number or a formula of attempt, or take the rule "
                    "out of slurm-array-jobs."
                )


def _check_status_command(settings: ClusterSettings, cluster: Cluster) -> None:
    if settings.status_command == "sacct" and not cluster.accounting:
        raise TracrLabError(
            f"{settings.source}: slurm-status-command is sacct, but this cluster keeps no "
            "accounting; use squeue."
        )
    if settings.status_command != "sacct":
        needed = max(3 * settings.first_check, LONGEST_POLL + 20)
        if cluster.min_job_age < needed:
            raise TracrLabError(
                f"{settings.source}: slurm-status-command is squeue and "
                f"slurm-init-seconds-before-status-checks is {settings.first_check}, which need a "
                f"cluster that remembers ended jobs for {needed} seconds, but its MinJobAge is "
                f"{cluster.min_job_age}; see 'A short MinJobAge' in docs/cluster.md."
            )


def _check_arrays(settings: ClusterSettings, cluster: Cluster) -> None:
    if not settings.array_rules:
        return
    if settings.status_command != "squeue":
        raise TracrLabError(
            f"{settings.source}: slurm-status-command is {settings.status_command}, which takes "
            "the state of an array for that of its tasks; use squeue, or leave out "
            "slurm-array-jobs."
        )
    if not 2 <= settings.array_limit < cluster.max_array_size:
        raise TracrLabError(
            f"{settings.source}: slurm-array-limit is {settings.array_limit}, but an array has at "
            f"least 2 and on this cluster at most {cluster.max_array_size - 1} tasks."
        )


def _check_partition_file(
    settings: ClusterSettings, limits: Mapping[str, Mapping[str, Any]], cluster: Cluster
) -> None:
    for name, limit in limits.items():
        partition = _existing(f"{settings.partition_file}: partitions.{name}", name, cluster)
        for model in limit.get("available_gpu_models") or ():
            if model not in partition.gpus:
                raise TracrLabError(
                    f"{settings.partition_file}: partitions.{name}.available_gpu_models has "
                    f"{model!r}, but the nodes of {name} have {_models(partition)}."
                )


def _check_partitions_of(rule: str, settings: ClusterSettings, cluster: Cluster) -> None:
    for value in sorted(map(str, settings.values(rule, "slurm_partition"))):
        for name in filter(None, value.split(",")):
            _existing(_key(settings, rule, "slurm_partition"), name, cluster)


def _check_gpus_of(
    rule: str,
    settings: ClusterSettings,
    limits: Mapping[str, Mapping[str, Any]],
    cluster: Cluster,
) -> None:
    """Checks that each GPU model a rule may ask for is in a partition that it may be sent to."""
    named, allowed = _partitions_of(rule, settings, limits, cluster)
    for model in sorted(map(str, settings.values(rule, "gpu_model") - {"", None})):
        usable = [
            name
            for name in allowed & set(cluster.partitions)
            if model in cluster.partitions[name].gpus and (named or _offers(limits, name, model))
        ]
        if not usable:
            every = sorted({m for name in allowed for m in cluster.partitions[name].gpus if m})
            raise TracrLabError(
                f"{_key(settings, rule, 'gpu_model')} is {model!r}, but no partition it may use "
                f"({', '.join(sorted(allowed))}) has that GPU; they have "
                f"{', '.join(every) or 'no GPU that names its model'}."
            )


def _check_sizes_of(
    rule: str,
    settings: ClusterSettings,
    limits: Mapping[str, Mapping[str, Any]],
    cluster: Cluster,
) -> None:
    """Checks that some partition takes the longest and largest attempt of a rule's jobs."""
    _, allowed = _partitions_of(rule, settings, limits, cluster)
    allowed = allowed & set(cluster.partitions)
    for resource, unit in (("runtime", "minutes"), ("mem_mb", "MB")):
        sizes = [size for size in settings.values(rule, resource) if isinstance(size, int | float)]
        most = max(
            (_most(cluster.partitions[name], resource) for name in allowed), default=math.inf
        )
        if sizes and max(sizes) > most:
            raise TracrLabError(
                f"{_key(settings, rule, resource)} is {max(sizes):,} {unit} in the last attempt, "
                f"but no partition it may use ({', '.join(sorted(allowed))}) has more than "
                f"{most:,.0f}."
            )


def _partitions_of(
    rule: str,
    settings: ClusterSettings,
    limits: Mapping[str, Mapping[str, Any]],
    cluster: Cluster,
) -> tuple[set[str], set[str]]:
    """The partitions that a rule names, and those that its jobs may be sent to."""
    named = {str(name) for name in settings.values(rule, "slurm_partition")}
    return named, named or set(limits) or set(cluster.partitions)


def _most(partition: Partition, resource: str) -> float:
    if resource == "mem_mb":
        return partition.node_mb
    return math.inf if partition.minutes is None else partition.minutes


def _offers(limits: Mapping[str, Mapping[str, Any]], name: str, model: str) -> bool:
    """Whether the plugin would send a job for that model to the partition."""
    if not limits:
        return True
    models = limits[name].get("available_gpu_models")
    return limits[name].get("max_gpu", 0) > 0 and (not models or model in models)


def _existing(key: str, name: str, cluster: Cluster) -> Partition:
    if name not in cluster.partitions:
        raise TracrLabError(
            f"{key} names the partition {name!r}, but this cluster has "
            f"{', '.join(sorted(cluster.partitions)) or 'none'}."
        )
    return cluster.partitions[name]


def _models(partition: Partition) -> str:
    return ", ".join(sorted(model or "GPUs without a model" for model in partition.gpus)) or "none"


def _key(settings: ClusterSettings, rule: str, resource: str) -> str:
    group = DEFAULT_RULE if rule == DEFAULT_RULE else f"set-resources.{rule}"
    return f"{settings.source}: {group}.{resource}"
