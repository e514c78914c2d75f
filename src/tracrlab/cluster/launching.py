"""One process a GPU: how a training that can share its work is started.

A command is the same whatever its job was given. What the job has is read from its environment:
`CUDA_VISIBLE_DEVICES`, which SLURM sets for each job, or `SLURM_GPUS_ON_NODE`. The processes are
started and watched by torch's elastic launcher, the one behind `torchrun` and `accelerate launch`;
`accelerate.Accelerator` finds its rank in the environment that it gives them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tracrlab.errors import TracrLabError
from tracrlab.stopping import STOPPED_EXIT_CODE, StoppedError

#: Seconds that processes have for their checkpoint; SLURM's own limit is shorter.
GRACE_SECONDS = 900


def processes_of_job(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes a training should have: one for each GPU of the job, at least one.

    Args:
      environment: of the job.

    Raises:
      TracrLabError: if SLURM_GPUS_ON_NODE is no number.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        listed = [name.strip() for name in visible.split(",")]
        # As CUDA reads it: what follows a number below zero is not visible.
        hidden = next((i for i, name in enumerate(listed) if name.startswith("-")), len(listed))
        return max(1, len([name for name in listed[:hidden] if name]))
    given = environment.get("SLURM_GPUS_ON_NODE", "1")
    if not given.isdigit():
        raise TracrLabError(f"SLURM_GPUS_ON_NODE is {given!r}, but it takes a whole number.")
    return max(1, int(given))


def launch(function: Callable[..., None], processes: int, *arguments: Any) -> None:
    """Calls a function in several processes that train together, and waits for all of them.

    With one process, or inside a process that was launched, the function is called right here.

    Args:
      function: a function of a module; it uses `accelerate.Accelerator`, and lets the main process
        alone write.
      processes: how many, for instance `processes_of_job()`.
      arguments: what it is called with; numbers, texts and paths.

    Raises:
      TracrLabError: the sentence of the first process that failed with one.
      StoppedError: after SIGTERM, once every process has ended.
    """
    if processes <= 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        function(*arguments)
        return
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    folder = Path(tempfile.mkdtemp(prefix="tracrlab-processes-"))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
        shutdown_timeout=GRACE_SECONDS,
    )
    print(f"training in {processes} processes", file=sys.stderr, flush=True)
    try:
        elastic_launch(config, _in_process)(function, str(folder), *arguments)
    except SignalException as signalled:
        raise StoppedError(_said(folder) or f"{signalled}; every process has ended") from None
    except ChildFailedError as failed:
        _, first = failed.get_first_failure()
        if first.exitcode == STOPPED_EXIT_CODE:
            raise StoppedError(_said(folder)) from None
        if sentence := _said(folder):
            raise TracrLabError(sentence) from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_process(function: Callable[..., None], folder: str, *arguments: Any) -> None:
    """Runs in every launched process; what a person should read goes to a file for the launcher."""
    import torch

    if not torch.cuda.is_available():  # accelerate would not let processors train together
        os.environ["ACCELERATE_USE_CPU"] = "true"
    try:
        function(*arguments)
    except (StoppedError, TracrLabError) as error:
        path = Path(folder) / f"said.{os.environ['RANK']}"
        path.write_text(str(error), encoding="utf-8")
        sys.exit(STOPPED_EXIT_CODE if isinstance(error, StoppedError) else 2)


def _said(folder: Path) -> str:
    """The sentence of the lowest rank that left one."""
    written = sorted(folder.glob("said.*"), key=lambda path: int(path.suffix[1:]))
    return written[0].read_text(encoding="utf-8") if written else ""
