"""A task of a job array becomes its own job, and no other.

The SLURM plugin starts every task of an array as the array's first job and lets that process run
the task's own command. When it ends, it treats the first job's outputs as its own: it waits for
them, fails if they are late, deletes them if the task has failed, touches them, and marks them
incomplete or complete, all while the first task may still be at work. Here the process of a task
that is not the first is replaced by the task's command before Snakemake looks at any file.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence

from tracrlab.errors import TracrLabError

_OPTION = "--slurm-jobstep-array-execs"


def own_command(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The command of the array task that this process was started for.

    Args:
      arguments: the command line of this process.
      environment: its environment.

    Returns:
      a shell command, or None if this is no array task, the first one, or already the task itself.

    Raises:
      TracrLabError: if the plugin sent no command for this task.
    """
    index, first = (environment.get(f"SLURM_ARRAY_TASK_{name}") for name in ("ID", "MIN"))
    payload = _payload(arguments)
    if payload is None or index is None or index == first:
        return None
    from snakemake_executor_plugin_slurm_jobstep import parse_array_execs

    commands = parse_array_execs(payload)
    if index not in commands:
        raise TracrLabError(f"the job array has no command for its task {index}; submit it again.")
    return zlib.decompress(bytes.fromhex(commands[index])).decode("utf-8")


def become_own_task(arguments: Sequence[str]) -> None:
    """Replaces this process by the array task's own command, if it is one (see `own_command`)."""
    command = own_command(arguments, os.environ)
    if command is not None:
        os.execvp("bash", ["bash", "-c", command])


def _payload(arguments: Sequence[str]) -> str | None:
    for position, argument in enumerate(arguments):
        if argument.startswith(f"{_OPTION}="):
            return argument.partition("=")[2]
        if argument == _OPTION and position + 1 < len(arguments):
            return arguments[position + 1]
    return None
