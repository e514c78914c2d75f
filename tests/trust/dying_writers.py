"""Writers that are killed at each of their steps, in processes of their own.

Called as ``python -m tests.trust.dying_writers WRITER FOLDER SIZES``. The writer replaces a file by
a newer one and dies, once before every system call that opens, renames, removes or syncs a file,
and once at each of SIZES lengths of what is written (a limit on the size of files ends the process
in the middle of a write, whatever library is writing). After each death the project's own reader
must find the older or the newer file, whole. The answer is one line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Audit events that change files; `open` is one where it is for writing.
EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link")
OLD, NEW = 1, 2


@dataclass(frozen=True)
class Writer:
    """What is written, and how it is read.

    Attributes:
      write: writes the version of a number to a path.
      read: gives the number of the version at a path.
    """

    write: Callable[[Path, int], None]
    read: Callable[[Path], int]


def shard_writer() -> Writer:
    from tests.trust.samples import zoo_row
    from tracrlab.rasp.domain import Domain
    from tracrlab.zoo.reading import read_rows
    from tracrlab.zoo.schema import FileInfo
    from tracrlab.zoo.writing import row_writer

    row = zoo_row(weights=30_000)

    def write(path: Path, version: int) -> None:
        info = FileInfo.of("zoo", Domain((0, 1, 2), 4), version, {})
        with row_writer(path, info) as writer:
            for number in range(5):
                writer.write(row | {"id": number, "steps": version})

    def read(path: Path) -> int:
        rows = list(read_rows(path))
        assert [found["id"] for found in rows] == list(range(5))
        assert all(np.array_equal(found["weights"], row["weights"]) for found in rows)
        (version,) = {found["steps"] for found in rows} | {found.info.seed for found in rows}
        return version

    return Writer(write, read)


def manifest_writer() -> Writer:
    from tracrlab.zoo.manifest import load_manifest, write_content

    def write(path: Path, version: int) -> None:
        write_content(path, "standard", version, {}, [], {"sampling": {"ops": version}})

    def read(path: Path) -> int:
        content = load_manifest(path).content
        assert content["sampling"] == {"ops": content["seed"]}
        return content["seed"]

    return Writer(write, read)


def model_writer() -> Writer:
    from tracrlab.compiler import CompiledModel
    from tracrlab.compiler import compile as compile_program
    from tracrlab.rasp import paper_programs

    models = {
        version: compile_program(paper_programs.hist(), ("a", "b", "c"), 2 + version)
        for version in (OLD, NEW)
    }

    def read(path: Path) -> int:
        found = CompiledModel.load(path)
        version = found.architecture.max_seq_len - 2
        for name, weight in models[version].weights.items():
            assert np.array_equal(found.weights[name], weight)
        return version

    return Writer(lambda path, version: models[version].save(path), read)


def student_checkpoint_writer() -> Writer:
    from tests.trust.samples import student_state
    from tracrlab.students.checkpoints import Checkpoint

    def write(path: Path, version: int) -> None:
        Checkpoint(path, "settings").write([student_state(version)])

    def read(path: Path) -> int:
        (state,) = Checkpoint(path, "settings").lanes.values()
        expected = student_state(state.steps)
        assert np.array_equal(state.parameters["w"], expected.parameters["w"])
        return state.steps

    return Writer(write, read)


def injection_checkpoint_writer() -> Writer:
    import torch

    from tracrlab.injection.checkpoint import load_checkpoint, save_checkpoint

    torch.set_num_threads(1)

    def module(version: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(version)
        made = torch.nn.Linear(60, 60)
        return made, torch.optim.AdamW(made.parameters())

    def write(path: Path, version: int) -> None:
        save_checkpoint(path, *module(version), {"run": 0}, {"step": version, "lines": []})

    def read(path: Path) -> int:
        found, optimizer = module(0)
        state = load_checkpoint(path, found, optimizer, {"run": 0})
        assert torch.equal(found.weight, module(state["step"])[0].weight)
        return state["step"]

    return Writer(write, read)


def folder_writer() -> Writer:
    from tracrlab.folders import atomic_folder, check_folder

    def write(path: Path, version: int) -> None:
        with atomic_folder(path) as folder:
            (folder / "weights").write_bytes(bytes([version]) * 5000)
            (folder / "config.json").write_text(json.dumps({"version": version}))

    def read(path: Path) -> int:
        check_folder(path)
        version = json.loads((path / "config.json").read_text())["version"]
        assert (path / "weights").read_bytes() == bytes([version]) * 5000
        return version

    return Writer(write, read)


def table_writer() -> Writer:
    import pandas as pd

    from tracrlab.tables import write_tables

    def write(path: Path, version: int) -> None:
        write_tables(pd.DataFrame({"version": [version] * 500}), [path.with_suffix(".csv")])

    def read(path: Path) -> int:
        table = pd.read_csv(path.with_suffix(".csv"))
        assert len(table) == 500
        (version,) = set(table["version"])
        return version

    return Writer(write, read)


WRITERS = {
    "shard": shard_writer,
    "manifest": manifest_writer,
    "compiled_model": model_writer,
    "student_checkpoint": student_checkpoint_writer,
    "injection_checkpoint": injection_checkpoint_writer,
    "model_folder": folder_writer,
    "table": table_writer,
}


def in_child(work: Callable[[], None]) -> int:
    """Runs work in a child; gives the signal that ended it, 0 for a good end.

    Raises:
      RuntimeError: if it ended with an error of its own.
    """
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    if os.WEXITSTATUS(status):
        raise RuntimeError("the writer ended with an error of its own")
    return 0


def die_at_step(step: int) -> None:
    """From now on, dies before the step of a number (from 0)."""
    left = step

    def count() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def hook(event: str, arguments: tuple) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        if writes or event in EVENTS:
            count()

    fsync = os.fsync

    def counted_fsync(handle: int) -> None:
        count()
        fsync(handle)

    os.fsync = counted_fsync
    sys.addaudithook(hook)


def die_at_size(size: int) -> None:
    """From now on, dies where a file would grow beyond a size."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def deaths(sizes: int, largest: int) -> Iterator[Callable[[], None]]:
    """Ways to die, from the first step on; the caller stops at one that is survived."""
    generator = random.Random(0)
    for size in sorted(generator.sample(range(largest), min(sizes, largest))):
        yield lambda size=size: die_at_size(size)


def main(name: str, folder: Path, sizes: int) -> dict[str, int]:
    """Kills a writer at all steps; gives how many, and how often the newer file was found."""
    writer, path = WRITERS[name](), folder / "file"
    counts = {"steps": 0, "sizes": 0, "old": 0, "new": 0}

    def killed(kind: str, die: Callable[[], None]) -> bool:
        for left in folder.iterdir():
            if left.is_file():
                left.unlink()
        writer.write(path, OLD)

        def work() -> None:
            die()
            writer.write(path, NEW)

        ended = in_child(work)
        if not ended:
            return False
        assert ended in (signal.SIGKILL, signal.SIGXFSZ), ended
        counts[kind] += 1
        counts["new" if writer.read(path) == NEW else "old"] += 1
        writer.write(path, NEW)
        assert writer.read(path) == NEW
        hidden = [path.name for path in folder.rglob(".*")]
        assert not hidden, f"a killed writer's files are left: {hidden}"
        return True

    while killed("steps", lambda: die_at_step(counts["steps"])):
        pass
    files = path.rglob("*") if path.is_dir() else folder.glob("file*")
    largest = max(file.stat().st_size for file in files if file.is_file())
    for die in deaths(sizes, largest):
        assert killed("sizes", die)
    return counts


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
