"""Whether the nodes of a cluster see the folder that the workflow runs in."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path

from tracrlab.cluster.slurm import Cluster
from tracrlab.errors import TracrLabError

#: File systems that no other machine can read.
LOCAL_FILE_SYSTEMS = frozenset(
    {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "rootfs", "tmpfs", "xfs", "zfs"}
)
#: Seconds that a probe waits for a free node before it is given up.
PROBE_SECONDS = 120


#: Where a machine that serves a local disk to others says so.
EXPORTS = (Path("/etc/exports"), Path("/var/lib/nfs/etab"))


def check_file_system(
    folder: Path, cluster: Cluster, mounts: str | None = None, exports: str | None = None
) -> None:
    """Refuses a folder on a file system of this machine alone, if the nodes are other machines.

    Costs nothing, and finds the usual case: a run that was started on a local disk.

    Args:
      folder: the working folder.
      cluster: the cluster.
      mounts: the text of `/proc/mounts`, if not that of this machine.
      exports: the text of the files in `EXPORTS`, if not those of this machine.

    Raises:
      TracrLabError: naming the folder and its file system.
    """
    here = {socket.gethostname(), socket.gethostname().split(".")[0], "localhost"}
    hosts = {host for partition in cluster.partitions.values() for host in partition.hosts}
    if hosts <= here:
        return
    mounts = Path("/proc/mounts").read_text(encoding="utf-8") if mounts is None else mounts
    kind = _file_system(folder.resolve(), mounts.splitlines())
    if kind in LOCAL_FILE_SYSTEMS and not _is_exported(folder.resolve(), exports):
        raise _not_shared(folder, f"lies on {kind}, a file system of {socket.gethostname()} alone")


def probe(folder: Path, partitions: Iterable[str]) -> None:
    """Runs a job of a second in each partition that looks for a file just made in the folder.

    Raises:
      TracrLabError: if a node does not see the file or the Python that runs this, or none is free.
    """
    marker = folder / f".tracrlab-probe-{uuid.uuid4().hex}"
    script = f"test -x {shlex.quote(sys.executable)} || exit 8; test -e {shlex.quote(str(marker))}"
    script += " || exit 9"
    marker.touch()
    try:
        for partition in partitions:
            _probe_partition(folder, partition, script)
    finally:
        marker.unlink(missing_ok=True)


def _probe_partition(folder: Path, partition: str, script: str) -> None:
    words = ["srun", "--partition", partition, "--ntasks=1", "--time=1", "--mem=50", "--quiet"]
    words += [f"--immediate={PROBE_SECONDS}", "--chdir=/", "sh", "-c", script]
    environment = {name: text for name, text in os.environ.items() if name[:6] != "SLURM_"}
    run = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if run.returncode == 9:
        raise _not_shared(folder, f"is not there on the nodes of partition {partition}")
    if run.returncode == 8:
        raise TracrLabError(
            f"the Python of this run, {sys.executable}, is not there on the nodes of partition "
            f"{partition}; set the project up in a folder that login node and nodes share."
        )
    if run.returncode != 0:
        said = " ".join(run.stderr.split())[:200] or f"exit code {run.returncode}"
        raise TracrLabError(f"no test job ran in partition {partition}: {said}.")


def _file_system(folder: Path, mounts: list[str]) -> str:
    """Type of the mount that a folder lies on: that with the longest matching path."""
    best, kind = -1, ""
    for line in mounts:
        _, point, found, *_ = line.split()
        path = Path(point.replace("\\040", " "))
        if folder.is_relative_to(path) and len(path.parts) >= best:
            best, kind = len(path.parts), found
    return kind


def _is_exported(folder: Path, exports: str | None) -> bool:
    """Whether this machine serves the folder to others, as head nodes of small clusters do."""
    if exports is None:
        readable = [path for path in EXPORTS if os.access(path, os.R_OK)]
        exports = "\n".join(path.read_text(encoding="utf-8") for path in readable)
    lines = [line for line in exports.splitlines() if line.startswith("/")]
    return any(folder.is_relative_to(line.split()[0]) for line in lines)


def _not_shared(folder: Path, why: str) -> TracrLabError:
    return TracrLabError(
        f"the work folder {folder} {why}; start in a folder that login node and nodes share, or "
        "name one with --directory."
    )
