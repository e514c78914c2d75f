"""What happens once, before the first job of a run on SLURM is submitted."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tracrlab.cluster.checking import (
    PROVED_WITH,
    check_alike,
    check_command_line,
    check_jobs,
    check_settings,
    check_versions,
)
from tracrlab.cluster.settings import ClusterSettings, from_workflow
from tracrlab.cluster.shared_folder import check_file_system
from tracrlab.cluster.slurm import Cluster, queued_jobs, read_cluster
from tracrlab.errors import TracrLabError
from tracrlab.files import write_text

#: Name of this run's jobs on the cluster, kept for the next run in the same folder.
RUN_NAME_FILE = Path(".snakemake/slurm_run_name")
#: Resources that the plugin hands to sbatch, once for a whole array.
_SUBMITTED = frozenset(
    {"mem_mb", "mem_mb_per_cpu", "runtime", "slurm_partition", "slurm_account", "slurm_extra"}
    | {"gpu", "gpu_model", "gres", "cpus_per_task", "cpus_per_gpu", "constraint", "qos", "nodes"}
    | {"tasks", "_cores"}
)


def start_on_slurm(workflow: Any) -> None:
    """Checks a run whose executor is SLURM, and mends what its plugin gets wrong; others pass.

    Args:
      workflow: Snakemake's workflow, with its DAG built and no job submitted.

    Raises:
      TracrLabError: one sentence that names what must change.
    """
    plugin = workflow.executor_plugin
    if plugin is None or plugin.name != "slurm":
        return
    cluster, settings = read_cluster(), from_workflow(workflow)
    check_versions(settings, {name: version(name) for name in PROVED_WITH})
    check_settings(settings, cluster)
    check_file_system(Path.cwd(), cluster)
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local and not job.is_group()]
    check_jobs(settings, Counter(job.rule.name for job in jobs))
    arrays: dict[str, list[Any]] = {}
    for job in jobs:
        if settings.is_array(job.rule.name):
            arrays.setdefault(job.rule.name, []).append(job)
    executor = workflow.scheduler._executor
    _wait_at_termination(executor)
    for rule, alike in arrays.items():
        check_command_line(settings, rule, executor.format_job_exec(alike[0]))
        check_alike(rule, (_submitted(job) for job in alike))
    _refuse_second_run()
    write_text(RUN_NAME_FILE, executor.run_uuid + "\n")
    _link_logs(workflow, arrays)
    _pin_min_job_age(cluster, settings)


def _wait_at_termination(executor: Any) -> None:
    """Lets the shell of a job wait at SIGTERM until what it runs has ended.

    SLURM signals every process of a job, its shell too, and kills the others when that one has
    ended: a command that writes its checkpoint then would not come to the end of it.
    """
    format_job_exec = executor.format_job_exec
    executor.format_job_exec = lambda job: f"trap : TERM; {format_job_exec(job)}"


def _submitted(job: Any) -> dict[str, Any]:
    return {name: job.resources.get(name) for name in _SUBMITTED if hasattr(job.resources, name)}


def _refuse_second_run() -> None:
    """Refuses to start beside the jobs of a run whose Snakemake was killed.

    They would write the same files: whole ones, but a job that starts removes what is there, while
    a job of this run may be reading it.
    """
    if not RUN_NAME_FILE.is_file():
        return
    if jobs := queued_jobs(RUN_NAME_FILE.read_text(encoding="utf-8").strip()):
        raise TracrLabError(
            f"jobs of an earlier run in this folder are still in the queue; wait until they have "
            f"ended, or cancel them: scancel {' '.join(jobs)}"
        )


def _link_logs(workflow: Any, arrays: dict[str, list[Any]]) -> None:
    """Makes the log files of array tasks be where messages say that they are.

    The plugin writes `rule_x/<array>_<task>.log` and says `rule_x/<wildcards>/<array>_<task>.log`.
    """
    from snakemake_executor_plugin_slurm import _select_logdir
    from snakemake_executor_plugin_slurm.utils import get_job_wildcards

    for rule, jobs in arrays.items():
        folder = Path(_select_logdir(workflow)) / f"rule_{rule}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in filter(None, map(get_job_wildcards, jobs)):
            if not (folder / name).exists():
                (folder / name).symlink_to(".", target_is_directory=True)


def _pin_min_job_age(cluster: Cluster, settings: ClusterSettings) -> None:
    """Keeps the plugin with squeue while the controller is away.

    It reads MinJobAge before each status check and, without an answer, asks sacct instead, which
    takes the state of a whole array for that of its tasks, or never answers at all. MinJobAge is a
    constant of the cluster and has been checked against the settings.
    """
    if settings.status_command == "squeue":
        import snakemake_executor_plugin_slurm as plugin

        plugin.get_min_job_age = lambda: cluster.min_job_age
