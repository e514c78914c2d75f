"""One run at a time in a folder, by a lock that dies with its process.

Snakemake's own lock is a file that a killed run leaves behind, so the next one is refused until
`--unlock`. The kernel gives this one back, whatever ends the process. It holds on one machine: on a
cluster, whose nodes share the folder, Snakemake's is used.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any, TextIO

from tracrlab.errors import TracrLabError

LOCK_FILE = Path(".snakemake/tracrlab.lock")

_held: list[TextIO] = []


def hold_folder(workflow: Any) -> None:
    """Locks the working folder until the process ends, where Snakemake itself does not.

    Args:
      workflow: Snakemake's workflow.

    Raises:
      TracrLabError: if another run works in the folder.
    """
    if workflow.execution_settings.lock:
        return
    LOCK_FILE.parent.mkdir(exist_ok=True)
    file = LOCK_FILE.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise TracrLabError(
            f"another run works in {Path.cwd()}; wait for its end, or stop it."
        ) from None
    _held.append(file)
