"""`tracrlab cluster-check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def cluster_check(
    profile: Annotated[Path, typer.Option(help="Folder of the SLURM profile.")] = Path(
        "profiles/slurm"
    ),
    directory: Annotated[Path, typer.Option(help="The folder the workflow will run in.")] = Path(
        "."
    ),
    probe: Annotated[
        bool, typer.Option(help="Run a job of a second in each partition that rules may use.")
    ] = True,
) -> None:
    """Check a SLURM profile against the cluster: partitions, GPU models, limits, shared folder.

    Example: tracrlab cluster-check --profile profiles/slurm
    """
    from tracrlab.cluster.checking import check_settings
    from tracrlab.cluster.settings import from_profile, read_partition_file
    from tracrlab.cluster.shared_folder import check_file_system
    from tracrlab.cluster.shared_folder import probe as probe_folder
    from tracrlab.cluster.slurm import read_cluster

    settings, cluster = from_profile(profile), read_cluster()
    check_settings(settings, cluster)
    check_file_system(directory, cluster)
    used = {
        str(name)
        for rule in settings.resources
        for name in settings.values(rule, "slurm_partition")
    }
    if settings.partition_file:
        used |= set(read_partition_file(settings.partition_file))
    if probe:
        probe_folder(directory.resolve(), sorted(used))
    for name in sorted(used):
        found = cluster.partitions[name]
        gpus = ", ".join(f"{count} {model or 'GPU'}" for model, count in sorted(found.gpus.items()))
        print(
            f"{name}: {len(found.hosts)} hosts of up to {found.node_cpus} CPUs and "
            f"{found.node_mb:,} MB, {gpus or 'no GPU'}"
        )
    seen = f"{directory.resolve()} is seen there" if probe else "no test job was run"
    print(f"{settings.source} fits this cluster; {seen}")
