"""What a killed job has done, in one safetensors file: students given, lanes in training."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tracrlab.checkpoint_files import (
    DAMAGE,
    previous_of,
    read_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)
from tracrlab.errors import TracrLabError
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
          TracrLabError: if there are checkpoints and none is whole.
        """
        self.path = Path(path) if path else None
        self.settings = settings
        self.given: dict[int, list[Trained]] = {}
        self.lanes: dict[int, Trained] = {}
        self.stop = Stop()
        self._left: set[int] = set()
        self._written = time.monotonic()
        self._refinement: Checkpoint | None = None
        if self.path and (self.path.exists() or previous_of(self.path).exists()):
            self._read()

    def of_refinement(self) -> Checkpoint:
        """The checkpoint of the second training of the same models, in a file beside this one."""
        if self._refinement is None:
            self._refinement = Checkpoint(self._refinement_path, self.settings)
        self._refinement.stop = self.stop
        return self._refinement

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

    def write_if_kept(self) -> None:
        """Writes all states at the end of a training, so that the next begins from its results."""
        if self.path:
            self.write(())

    def write(self, lanes: Iterable[Trained]) -> None:
        """Writes all states."""
        arrays: dict[str, np.ndarray] = {}
        entries = []
        given = [("given", state) for states in self.given.values() for state in states]
        for kind, state in [*given, *(("lane", state) for state in lanes)]:
            number = len(entries)
            entries.append([kind, state.id, state.loss, state.steps, state.accuracy, state.error])
            for name, value in state.parameters.items():
                arrays[f"{number}/parameters/{name}"] = np.ascontiguousarray(value)
            if kind == "lane":
                arrays[f"{number}/marks"] = state.marks
                arrays[f"{number}/walk"] = np.ascontiguousarray(state.walk)
        header = {"settings": self.settings, "entries": entries, "left": sorted(self._left)}
        write_checkpoint(self.path, save_file, arrays, _FORMAT, header)
        self._written = time.monotonic()

    def remove(self) -> None:
        """Deletes the files: the job is done."""
        for path in (self.path, self._refinement_path):
            if path:
                remove_checkpoint(path)

    @property
    def _refinement_path(self) -> Path | None:
        return self.path and self.path.with_name(f"{self.path.name}.refinement")

    def _read(self) -> None:
        found = read_checkpoint(
            self.path, "numpy", _FORMAT, lambda header: header["settings"] == self.settings
        )
        if found is None:
            return
        header, arrays = found
        try:
            for number, (kind, id_, *numbers) in enumerate(header["entries"]):
                loss, steps, accuracy, error = numbers
                walk, marks = np.zeros((3, 0), np.float32), np.zeros(0, np.int8)
                if kind == "lane":
                    walk, marks = arrays[f"{number}/walk"], arrays[f"{number}/marks"]
                parameters = _named(arrays, f"{number}/parameters/")
                state = Trained(id_, parameters, walk, loss, steps, accuracy, marks, error)
                if kind == "lane":
                    self.lanes[id_] = state
                else:
                    self.given.setdefault(id_, []).append(state)
            self._left = set(header["left"])
        except DAMAGE as error:
            raise TracrLabError(
                f"the checkpoint {self.path} is damaged ({error}); delete it to begin again."
            ) from None


def _named(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)}
