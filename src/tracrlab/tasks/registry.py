"""Tasks by name, and a user's own from a Python file."""

from __future__ import annotations

import re
import runpy
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tracrlab.errors import TracrLabError
from tracrlab.tasks.protocol import END, Task

#: The tasks that come with the package, one module each.
BUILT_IN = (
    "count",
    "addition",
    "shuffle_dyck",
    "shuffle_dyck_paper",
    "reverse",
    "most_frequent",
    "parity",
)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ATTRIBUTES = ("name", "description", "vocabulary", "answers", "max_seq_len", "test_sets")
_METHODS = ("program", "sample", "inputs")


def task_names(references: Sequence[str]) -> dict[str, str]:
    """The reference of each task by its name; a file's task is called like the file.

    Raises:
      ValueError: if a reference is neither, or two have the same name.
    """
    names: dict[str, str] = {}
    for reference in references:
        path = Path(reference)
        if reference not in BUILT_IN and path.suffix != ".py":
            raise ValueError(f"{reference!r} is none of {', '.join(BUILT_IN)}, and no .py file")
        if not _NAME.fullmatch(path.stem):
            raise ValueError(
                f"{reference!r} has no name of small letters, digits and _, as results are called"
            )
        if path.stem in names:
            raise ValueError(f"two tasks are called {path.stem!r}")
        names[path.stem] = reference
    return names


def load_task(reference: str) -> Task:
    """The task of a name, or the object `task` of a Python file.

    Args:
      reference: one of `BUILT_IN`, or a path that ends in `.py`.

    Raises:
      TracrLabError: if there is no such task or file, the file fails, or what it holds is no task.
    """
    if reference in BUILT_IN:
        return import_module(f"tracrlab.tasks.{reference}").task
    path = Path(reference)
    if path.suffix != ".py":
        raise TracrLabError(
            f"{reference!r} is no task; give one of {', '.join(BUILT_IN)}, or the path of a Python "
            "file that holds a `task`."
        )
    if not path.is_file():
        raise TracrLabError(f"there is no task file {reference}; give its path from here.")
    try:
        found = runpy.run_path(str(path)).get("task")
    except Exception as error:
        raise TracrLabError(
            f"the task file {reference} fails with {type(error).__name__}: {error}."
        ) from error
    _check(found, reference)
    return found


def _check(task: object, reference: str) -> None:
    """Raises TracrLabError where an object is no task."""
    if task is None:
        raise TracrLabError(f"the task file {reference} has no object named `task`; add one.")
    missing = [name for name in (*_ATTRIBUTES, *_METHODS) if not hasattr(task, name)]
    if missing:
        raise TracrLabError(
            f"the `task` of {reference} has no {missing[0]!r}; a task has {', '.join(_ATTRIBUTES)} "
            f"and the methods {', '.join(_METHODS)}."
        )
    if task.name != Path(reference).stem or not _NAME.fullmatch(task.name):
        raise TracrLabError(
            f"the task of {reference} is named {task.name!r}; give the task and its file the same "
            "name, of small letters, digits and _."
        )
    if task.name in BUILT_IN:
        raise TracrLabError(
            f"the task of {reference} has the name of a task of the package, {task.name}; "
            "give it another."
        )
    if END not in task.answers:
        raise TracrLabError(
            f"the task of {reference} lacks the end {END!r} among its answers; add it."
        )
