"""Which models of the standard zoo get students, and in which padded shape each is trained.

Teachers are taken in the order of the zoo. They are then ordered by shape, so that a job has few
shapes to compile. The choice and the shapes depend on the zoo and the configuration alone, not on
how many shards there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracrlab.config import Config
from tracrlab.errors import TracrLabError
from tracrlab.sections.students import StudentZoo
from tracrlab.students.compressing import Compression
from tracrlab.students.making import Making, Method
from tracrlab.students.natural import Natural
from tracrlab.students.shapes import Shape, plan
from tracrlab.students.training import TrainingSettings
from tracrlab.zoo.manifest import load_manifest
from tracrlab.zoo.reading import Row, read_rows
from tracrlab.zoo.schema import FileInfo
from tracrlab.zoo.statistics import DESCRIPTION
from tracrlab.zoo.writing import row_writer

KINDS = ("compressed", "natural")


def settings_of(config: Config, kind: str) -> StudentZoo:
    """The part of the configuration for a kind of students.

    Raises:
      TracrLabError: if there is no such kind.
    """
    if kind not in KINDS:
        raise TracrLabError(f"{kind!r} is not a kind of students; they are {', '.join(KINDS)}.")
    return getattr(config.students, kind)


def method_of(config: Config, kind: str) -> Method:
    """How students of a kind are made."""
    settings = settings_of(config, kind)
    if kind == "natural":
        return Natural(settings.ratio, config.seed)
    refined = settings.refinement.solve
    return Compression(settings.ratio, settings.start, settings.noise, config.seed, refined=refined)


def making_of(config: Config, kind: str) -> Making:
    """What is asked of them."""
    settings = settings_of(config, kind)
    training = TrainingSettings(seed=config.seed, **settings.training.model_dump())
    refinement = None
    if kind == "compressed" and settings.refinement.solve:
        own = settings.refinement.model_dump(exclude={"solve"})
        refinement = replace(training, samples="vocabulary", hopeful=0.0, **own)
    else:  # nothing comes after
        training = replace(training, hopeful=0.0)
    return Making(training, settings.target_loss, settings.snapshots, settings.rotate, refinement)


def select_teachers(
    config: Config, kind: str, manifest: str | Path, outputs: Sequence[str | Path]
) -> None:
    """Writes the teachers of each shard.

    Args:
      config: the configuration.
      kind: compressed or natural.
      manifest: that of the standard zoo.
      outputs: one file for each shard of students, in order; the first one carries the counts of
        those that were left out.

    Raises:
      TracrLabError: if the zoo has no model that the configuration lets through.
    """
    settings, method = settings_of(config, kind), method_of(config, kind)
    rows, left_out, info = _chosen(settings, manifest)
    if not rows:
        raise TracrLabError(
            f"no model of {manifest} has {settings.ops[0]} to {settings.ops[1]} ops and fits "
            f"students.{kind}.max_d_model = {settings.max_d_model}; widen students.{kind}."
        )
    smallest = [_shape(method, row) for row in rows]
    shapes = plan(smallest, settings.shape_teachers)
    order = sorted(range(len(rows)), key=lambda index: (shapes[index].numbers, rows[index]["id"]))
    for number, out in enumerate(outputs):
        counts = left_out if number == 0 else {}
        file_info = FileInfo.of("teachers", info.domain, info.seed, counts)
        with row_writer(out, file_info) as writer:
            for index in order[number * settings.shard_size : (number + 1) * settings.shard_size]:
                columns: dict[str, Any] = rows[index].columns
                writer.write({**columns, "shape": list(shapes[index].numbers)})


def _chosen(
    settings: StudentZoo, manifest: str | Path
) -> tuple[list[Row], dict[str, int], FileInfo]:
    """The teachers, how many were passed over by reason, and the description of their file."""
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    fewest, most = settings.ops
    loaded, info = load_manifest(manifest), None
    for path in loaded.checked_shards():
        for row in read_rows(path, (*DESCRIPTION, "behaviour"), batch_size=4096):
            info = row.info
            if len(rows) == settings.models:
                return rows, dict(left_out), info
            if not fewest <= row["n_ops"] <= most:
                left_out["ops"] += 1
            elif row["d_model"] > settings.max_d_model:
                left_out["d_model"] += 1
            elif max(row["mlp_hidden"], default=0) > settings.max_mlp_hidden:
                left_out["mlp_hidden"] += 1
            else:
                rows.append(row)
    return rows, dict(left_out), info


def _shape(method: Method, row: Row) -> Shape:
    architecture = row.architecture
    return Shape.of(architecture, method.student_architecture(architecture))
