"""Every kind of file that is read back: how one is made, and how its whole content is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.trust.samples import sampled_row, student_state
from tracrlab.rasp.domain import Domain


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
      write: makes one at a path.
      read: everything that its reader gives, as values that compare.
    """

    write: Callable[[Path], None]
    read: Callable[[Path], Any]


def _arrays(arrays: dict[str, Any]) -> list:
    return sorted(
        (name, str(value.dtype), value.shape, np.asarray(value).tobytes())
        for name, value in arrays.items()
    )


def _write_shard(path: Path) -> None:
    from tracrlab.zoo.schema import FileInfo
    from tracrlab.zoo.writing import row_writer

    with row_writer(path, FileInfo.of("zoo", Domain((0, 1, 2), 4), 7, {"made": 1})) as writer:
        for index in range(6):
            writer.write(sampled_row(index))


def _read_shard(path: Path) -> Any:
    from tracrlab.zoo.reading import read_rows

    rows = list(read_rows(path))
    contents = [row.columns | {"weights": row["weights"].tobytes()} for row in rows]
    for row in rows:
        row.model  # noqa: B018
    return contents, rows[0].info if rows else None


def _write_manifest(path: Path) -> None:
    from tracrlab.zoo.manifest import write_content

    shard = path.parent / "shards" / "00000.parquet"
    if not shard.exists():
        _write_shard(shard)
    how = {"sampling": {"ops": 30, "rejected_ops": {"duplicate": 2}}}
    write_content(path, "standard", 7, {"programs": 6}, [shard], how)


def _read_manifest(path: Path) -> Any:
    from tracrlab.zoo.manifest import load_manifest

    manifest = load_manifest(path)
    return manifest.content, list(manifest.checked_shards())


def _write_model(path: Path) -> None:
    from tracrlab.compiler import compile as compile_program
    from tracrlab.rasp import paper_programs

    compile_program(paper_programs.frac_prevs("x"), ("a", "x"), 3).save(path)


def _read_model(path: Path) -> Any:
    from tracrlab.compiler import CompiledModel

    model = CompiledModel.load(path)
    parts = (model.architecture, model.labels, model.output_encoding, model.output_values)
    return parts, model.program, _arrays(model.weights)


def _write_students(path: Path) -> None:
    from tracrlab.students.checkpoints import Checkpoint

    checkpoint = Checkpoint(path, "settings")
    checkpoint.give(student_state(2), leaves=True)
    checkpoint.write([student_state(5)])


def _read_students(path: Path) -> Any:
    from tracrlab.students.checkpoints import Checkpoint

    checkpoint = Checkpoint(path, "settings")
    states = [
        *checkpoint.lanes.values(),
        *(s for given in checkpoint.given.values() for s in given),
    ]
    assert checkpoint.has_left(3)
    return [
        (
            s.id,
            s.steps,
            s.loss,
            s.accuracy,
            s.marks.tobytes(),
            s.walk.tobytes(),
            _arrays(s.parameters),
        )
        for s in states
    ]


def _module():
    import torch

    torch.manual_seed(1)
    module = torch.nn.Linear(9, 7)
    optimizer = torch.optim.AdamW(module.parameters())
    return module, optimizer


def _write_injection(path: Path) -> None:
    from tracrlab.injection.checkpoint import save_checkpoint

    module, optimizer = _module()
    module(module.weight.new_ones(2, 9)).sum().backward()
    optimizer.step()
    save_checkpoint(path, module, optimizer, {"run": 1}, {"step": 4, "lines": [{"loss": 0.5}]})


def _read_injection(path: Path) -> Any:
    from tracrlab.injection.checkpoint import load_checkpoint

    module, optimizer = _module()
    state = load_checkpoint(path, module, optimizer, {"run": 1})
    moments = optimizer.state_dict()["state"]
    weights = {name: value.detach() for name, value in module.named_parameters()}
    return state, _arrays(weights), [_arrays(moment) for moment in moments.values()]


def _write_windows(path: Path) -> None:
    from tracrlab.injection.windows import TextWindows, save_windows

    drawn = np.arange(560, dtype=np.int32).reshape(2, 70, 4)
    text = TextWindows(np.arange(140).reshape(2, 70), drawn, drawn.astype(np.float32))
    save_windows(path, text)


def _read_windows(path: Path) -> Any:
    from tracrlab.config import load_config
    from tracrlab.injection.windows import load_windows

    config = load_config({"injection": {"text_draws": 4}}).injection
    return _arrays(load_windows(path, config).arrays)


def _write_study(path: Path) -> None:
    from tracrlab.students.study_measures import save_arrays

    save_arrays(path, {"w": np.eye(5, dtype=np.float32), "v": np.arange(3)})


def _read_study(path: Path) -> Any:
    from tracrlab.students.study_measures import load_arrays

    return _arrays(load_arrays(path))


def _write_folder_file(path: Path) -> None:
    """One file of a model folder; the checksums of the folder are its other file."""
    from tracrlab.folders import atomic_folder

    with atomic_folder(path.parent) as folder:
        (folder / path.name).write_bytes(bytes(range(256)) * 4)


def _read_folder_file(path: Path) -> Any:
    from tracrlab.errors import TracrLabError
    from tracrlab.folders import check_folder, damaged_folder

    try:
        check_folder(path.parent)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise damaged_folder(path, error) from None
    except TracrLabError:
        raise
    return path.read_bytes()


def _read_folder_list(path: Path) -> Any:
    return _read_folder_file(path), json.loads(path.read_text())


def _write_folder_list(path: Path) -> None:
    _write_folder_file(path.with_name("weights"))


KINDS = {
    "shard.parquet": Kind(_write_shard, _read_shard),
    "manifest.json": Kind(_write_manifest, _read_manifest),
    "compiled.safetensors": Kind(_write_model, _read_model),
    "students.checkpoint": Kind(_write_students, _read_students),
    "injection.checkpoint": Kind(_write_injection, _read_injection),
    "windows.safetensors": Kind(_write_windows, _read_windows),
    "study.safetensors": Kind(_write_study, _read_study),
    "weights": Kind(_write_folder_file, _read_folder_file),
    "checksums.json": Kind(_write_folder_list, _read_folder_list),
}
