"""What a SLURM cluster says about itself: partitions, GPUs, limits, and jobs in its queue."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from tracrlab.errors import TracrLabError

#: Seconds after which a SLURM command counts as unanswered; they retry for about 9 by themselves.
ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Partition:
    """A partition as its nodes are.

    Attributes:
      name: its name.
      gpus: most GPUs of a node, by model; "" is the model where the cluster names none.
      minutes: longest job, in minutes; None where there is no limit.
      node_mb: memory of its largest node, in megabytes.
      node_cpus: CPUs of its largest node.
      hosts: the host names of its nodes.
    """

    name: str
    gpus: dict[str, int]
    minutes: float | None
    node_mb: int
    node_cpus: int
    hosts: frozenset[str]


@dataclass(frozen=True)
class Cluster:
    """A cluster: its partitions by name, and the settings that matter to job arrays.

    Attributes:
      partitions: by name.
      min_job_age: seconds for which SLURM remembers a job that has ended.
      max_array_size: the largest index of an array, plus one.
      accounting: whether there is a database that `sacct` can ask.
    """

    partitions: dict[str, Partition]
    min_job_age: int
    max_array_size: int
    accounting: bool


def command(*words: str) -> str:
    """Runs a SLURM command and gives its output.

    Raises:
      TracrLabError: if it is not installed, or the controller does not answer or refuses.
    """
    if shutil.which(words[0]) is None:
        raise TracrLabError(
            f"there is no {words[0]} on this machine, and executor: slurm needs it; start on a "
            "login node of the cluster, or use --profile profiles/local."
        )
    try:
        run = subprocess.run(
            words, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise TracrLabError(
            f"{words[0]} has no answer after {ANSWER_SECONDS} seconds; is the SLURM controller up?"
        ) from None
    if run.returncode != 0:
        said = " ".join(run.stderr.split())[:200]
        raise TracrLabError(f"{' '.join(words)} fails: {said or 'no message'}.")
    return run.stdout


def read_cluster() -> Cluster:
    """Asks the controller for the cluster.

    Raises:
      TracrLabError: see `command`.
    """
    command("sbatch", "--version")
    partitions = parse_partitions(command("sinfo", "-h", "-N", "-o", "%R|%G|%l|%m|%c|%n"))
    return parse_config(command("scontrol", "show", "config"), partitions)


def parse_partitions(text: str) -> dict[str, Partition]:
    """Reads `sinfo -h -N -o "%R|%G|%l|%m|%c|%n"`: a line for each node of each partition."""
    found: dict[str, Partition] = {}
    for line in filter(None, text.splitlines()):
        name, gres, limit, megabytes, cpus, host = (word.strip() for word in line.split("|"))
        known = found.get(name) or Partition(name, {}, _minutes(limit), 0, 0, frozenset())
        gpus = dict(known.gpus)
        for model, count in _gpus(gres).items():
            gpus[model] = max(count, gpus.get(model, 0))
        found[name] = Partition(
            name,
            gpus,
            known.minutes,
            max(known.node_mb, _number(megabytes)),
            max(known.node_cpus, _number(cpus)),
            known.hosts | {host},
        )
    return found


def parse_config(text: str, partitions: dict[str, Partition]) -> Cluster:
    """Reads `scontrol show config`; what it does not say has SLURM's own default."""
    values = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", text, re.MULTILINE))
    return Cluster(
        partitions,
        _number(values.get("MinJobAge", "300")),
        _number(values.get("MaxArraySize", "1001")),
        values.get("AccountingStorageType", "").endswith("slurmdbd"),
    )


def queued_jobs(name: str) -> list[str]:
    """Ids of this user's jobs of the given name that wait or run, arrays by the id they share."""
    listed = command("squeue", "--me", "-h", "--name", name, "-o", "%F")
    return sorted(set(listed.split()), key=int)


def _gpus(gres: str) -> dict[str, int]:
    """GPUs of a node by model, from a list such as `gpu:a40:2(S:0-1),lustre:1`."""
    gpus: dict[str, int] = {}
    for part in re.sub(r"\([^)]*\)", "", gres).split(","):
        words = part.split(":")
        if words[0] == "gpu":
            model = words[1] if len(words) == 3 else ""
            gpus[model] = gpus.get(model, 0) + (_number(words[-1]) if len(words) > 1 else 1)
    return gpus


def _minutes(limit: str) -> float | None:
    """Minutes of a limit such as `1-00:00:00` or `30:00`; None for `infinite` and `n/a`."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if not match:
        return None
    days, hours, minutes, seconds = (int(word or 0) for word in match.groups())
    return days * 1440 + hours * 60 + minutes + seconds / 60


def _number(text: str) -> int:
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0
