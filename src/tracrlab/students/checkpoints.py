"""What a killed job has done, in one safetensors file: students given, lanes in training."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path
from tracrlab.stopping import Stop, StoppedError
from tracrlab.students.training import Trained

#: Seconds between two checkpoints.
INTERVAL = 60.0
_FORMAT = "tracrlab_students"


class Checkpoint:
    """The states of models, written now and then; a path of None keeps nothing.

    Attributes:
      given: states that were given already, by id, in the order of their snapshots.
      lanes: the states of models in training, by id.
      stop: whether the process has been asked to stop.
    """

    def __init__(self, path: str | Path | None, settings: str):
        """Reads what is there.

        Args:
          path: the file; it need not exist.
          settings: what the states depend on; a file of other settings is not used.

        Raises:
          TracrLabError: if the file is damaged.
        """
        self.path = Path(path) if path else None
        self.settings = settings
        self.given: dict[int, list[Trained]] = {}
        self.lanes: dict[int, Trained] = {}
        self.stop = Stop()
        self._left: set[int] = set()
        self._written = time.monotonic()
        if self.path and self.path.exists():
            self._read()

    def has_left(self, id_: int) -> bool:
        """Whether a model has left training."""
        return id_ in self._left

    def give(self, state: Trained, *, leaves: bool) -> None:
        """Notes a state that was given to the caller."""
        if self.path:
            self.given.setdefault(state.id, []).append(state)
        if leaves:
            self._left.add(state.id)

    def after_chunk(self, lanes: Iterable[Trained]) -> None:
        """Writes all states if it is time to.

        Raises:
          StoppedError: after that, if the process has been asked to stop.
        """
        due = self.stop.asked or time.monotonic() - self._written >= INTERVAL
        if self.path and due:
            self.write(lanes)
        if self.stop.asked:
            raise StoppedError(f"stopped; {self.path or 'nothing'} holds the students")

    def write(self, lanes: Iterable[Trained]) -> None:
        """Writes all states."""
        arrays: dict[str, np.ndarray] = {}
        entries = []
        given = [("given", state) for states in self.given.values() for state in states]
        for kind, state in [*given, *(("lane", state) for state in lanes)]:
            number = len(entries)
            entries.append([kind, state.id, state.loss, state.steps, state.accuracy])
            for name, value in state.parameters.items():
                arrays[f"{number}/parameters/{name}"] = np.ascontiguousarray(value)
            if kind == "lane":
                arrays[f"{number}/wrong"] = state.wrong
                for order, moment in enumerate(state.moments):
                    for name, value in moment.items():
                        arrays[f"{number}/moment_{order}/{name}"] = np.ascontiguousarray(value)
        text = json.dumps(
            {"settings": self.settings, "entries": entries, "left": sorted(self._left)}
        )
        with atomic_path(self.path) as temporary:
            save_file(arrays, temporary, metadata={_FORMAT: text})
        self._written = time.monotonic()

    def remove(self) -> None:
        """Deletes the file: the job is done."""
        if self.path:
            self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            with safe_open(self.path, framework="numpy") as file:
                meta = json.loads((file.metadata() or {})[_FORMAT])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if meta["settings"] != self.settings:
                return
            for number, (kind, id_, loss, steps, accuracy) in enumerate(meta["entries"]):
                moments = tuple(_named(arrays, f"{number}/moment_{order}/") for order in (0, 1))
                wrong = arrays.get(f"{number}/wrong", np.zeros(0, bool))
                parameters = _named(arrays, f"{number}/parameters/")
                state = Trained(id_, parameters, moments, loss, steps, accuracy, wrong)
                if kind == "lane":
                    self.lanes[id_] = state
                else:
                    self.given.setdefault(id_, []).append(state)
            self._left = set(meta["left"])
        except (SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
            raise TracrLabError(
                f"the checkpoint {self.path} is damaged ({error}); delete it to begin again."
            ) from None


def _named(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)}
