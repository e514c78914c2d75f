"""Reads one hostile file in a process that may take little memory, and says how it ended.

Called as ``python -m tests.trust.hostile_reading KIND MEGABYTES PATH ...``. MEGABYTES may be taken
beyond what the process has when its libraries are loaded. Each path gives a line of JSON: what was
said, and how much memory the process had at its peak.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from benchmarks.measure import peak_mb
from tracrlab.errors import TracrLabError


def address_space() -> int:
    """Bytes of address space that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def reader(kind: str):
    """The reader of a kind of file, its libraries loaded."""
    if kind == "injected_model":
        from tracrlab.injection.model_folder import load_model

        return load_model
    if kind == "base_model":
        import torch
        import transformers  # noqa: F401

        from tracrlab.injection.base_models import load_folder

        return load_folder
    if kind == "verify":
        from tracrlab.zoo import verify_shard

        return verify_shard
    if kind == "injection.checkpoint":
        import torch  # noqa: F401

        import tracrlab.injection.checkpoint  # noqa: F401
    from tests.trust.kinds_of_files import KINDS

    return KINDS[kind].read


def main(kind: str, megabytes: int, paths: list[str]) -> None:
    """Reads the files one after the other."""
    read = reader(kind)
    limit = address_space() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for path in paths:
        try:
            found = read(Path(path))
            said = f"read: {type(found).__name__}"
        except TracrLabError as error:
            said = f"refused: {error}"
        print(json.dumps({"path": path, "said": said, "peak": peak_mb()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
