"""A shard of students: its teachers compiled, students made, accepted ones written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from tracrlab.compiler.compiling import compile_table
from tracrlab.config import Config
from tracrlab.errors import TracrLabError
from tracrlab.files import sha256
from tracrlab.progress import progress
from tracrlab.rasp.program import Program
from tracrlab.rasp.truth_table import evaluate
from tracrlab.stopping import stopping
from tracrlab.students.checkpoints import Checkpoint
from tracrlab.students.making import make
from tracrlab.students.selecting import making_of, method_of, settings_of
from tracrlab.students.shapes import Shape
from tracrlab.students.student import Student, Teacher
from tracrlab.zoo.building import plain_rows, zoo_columns
from tracrlab.zoo.completeness import require_all
from tracrlab.zoo.manifest import write_content
from tracrlab.zoo.sampling import limits
from tracrlab.zoo.schema import FileInfo, open_parquet
from tracrlab.zoo.writing import row_writer

#: What is counted of each teacher: its length, the width of its student, and what became of it.
OUTCOME_COLUMNS = ("n_ops", "width", "outcome", "count")


def make_shard(config: Config, kind: str, teachers: str | Path, out: str | Path) -> None:
    """Makes the students of a file of teachers; accepted ones are written in order of their ids.

    What was done is kept beside the shard every minute and at SIGTERM, and a job that was killed
    goes on from there.

    Args:
      config: the configuration.
      kind: compressed or natural.
      teachers: the file of teachers.
      out: the shard to write.

    Raises:
      TracrLabError: if a file is missing or damaged, or a teacher is larger than its shape.
      StoppedError: after SIGTERM, at the end of the chunk of steps in hand.
    """
    file, teachers_info = open_parquet(teachers, "teachers")
    rows = list(plain_rows(file, teachers))
    info = FileInfo.of("zoo", teachers_info.domain, teachers_info.seed, {})
    teachers_sha256 = sha256(teachers)
    depends_on = {
        "configuration": settings_of(config, kind).model_dump(mode="json"),
        "teachers": teachers_sha256,
        "kind": kind,
    }
    checkpoint = Checkpoint(f"{out}.checkpoint", json.dumps(depends_on, sort_keys=True))
    students: list[Student] = []
    accepted = 0
    made = _made(config, kind, rows, teachers_info, checkpoint)

    def note() -> str:
        return f", {accepted / max(len(students), 1):.0%} accepted"

    with stopping() as checkpoint.stop:
        for student in progress(made, len(rows), f"{kind} students", note):
            students.append(student)
            accepted += not student.refusal
    students.sort(key=lambda student: (student.id, student.snapshot))
    by_id = {row["id"]: row for row in rows}
    info.counts.update(
        _counts(by_id, students), left_out=teachers_info.counts, teachers_sha256=teachers_sha256
    )
    with row_writer(out, info) as writer:
        for student in students:
            if not student.refusal:
                writer.write(by_id[student.id] | _columns(student, teachers_info))
    checkpoint.remove()


def _made(
    config: Config, kind: str, rows: Sequence[dict], info: FileInfo, checkpoint: Checkpoint
) -> Iterator[Student]:
    """All students, shape by shape."""
    domain, bounds = info.domain, limits(config)
    method, making = method_of(config, kind), making_of(config, kind)
    for numbers, group in groupby(rows, key=lambda row: row["shape"]):
        shape = Shape.from_numbers(numbers, domain.causal)
        teachers = []
        for row in group:
            table = evaluate(Program.from_tokens(row["tokens"]), domain)
            teacher = Teacher(row["id"], compile_table(table, bounds), table)
            own = teacher.model.architecture
            if Shape.of(own, method.student_architecture(own)).union(shape) != shape:
                raise TracrLabError(
                    f"teacher {row['id']} is larger than the shape it is listed with; select the "
                    "teachers again."
                )
            teachers.append(teacher)
        yield from make(teachers, shape, method, making, checkpoint)


def _counts(rows: dict[int, dict], students: Sequence[Student]) -> dict[str, Any]:
    """What became of each teacher; snapshots are counted apart."""
    outcomes: Counter[tuple] = Counter()
    for student in students:
        if student.snapshot == 0:
            width = student.model.architecture.d_model
            outcomes[rows[student.id]["n_ops"], width, student.outcome] += 1
    return {
        "outcomes": [[*key, count] for key, count in sorted(outcomes.items())],
        "snapshots": sum(student.snapshot > 0 and not student.refusal for student in students),
    }


def _columns(student: Student, info: FileInfo) -> dict[str, Any]:
    program = student.model.program
    table = evaluate(program, info.domain)
    return zoo_columns(student.model, table, student.verification) | {
        "accuracy": student.accuracy,
        "exact": student.exact,
        "loss": student.loss,
        "steps": student.steps,
        "snapshot": student.snapshot,
        "refined": student.refined,
        "teacher_d_model": student.readout.shape[1],
        "readout": student.readout.ravel(),
    }


def write_student_manifest(
    config: Config,
    kind: str,
    standard: str | Path,
    teachers: Sequence[str | Path],
    shards: Sequence[str | Path],
    out: str | Path,
) -> None:
    """Writes the manifest of a zoo of students, after each shard is proved whole.

    Args:
      config: the configuration.
      kind: compressed or natural.
      standard: the manifest of the teachers' zoo, whose checksum is noted.
      teachers: the files of teachers in order.
      shards: the shards in order, one for each file of teachers.
      out: the manifest to write.

    Raises:
      TracrLabError: naming the first shard that is missing, damaged, or not of its teachers.
    """
    outcomes: Counter[tuple] = Counter()
    left_out: Counter[str] = Counter()
    snapshots = 0
    require_all([*teachers, *shards], "file of students")
    for listed, path in zip(teachers, shards, strict=True):
        _, info = open_parquet(path, "zoo")
        if info.counts.get("teachers_sha256") != sha256(listed):
            raise TracrLabError(
                f"the shard {path} was not made from {listed} as it is; make the shard again."
            )
        for *key, count in info.counts["outcomes"]:
            outcomes[tuple(key)] += count
        left_out.update(info.counts["left_out"])
        snapshots += info.counts["snapshots"]
    by_outcome: Counter[str] = Counter()
    for (_, _, outcome), count in outcomes.items():
        by_outcome[outcome] += count
    how = {
        "teachers": {
            "manifest_sha256": sha256(standard),
            "left_out": dict(sorted(left_out.items())),
        },
        "students": {
            "attempted": sum(outcomes.values()),
            "by_outcome": dict(sorted(by_outcome.items())),
            "snapshots": snapshots,
            "columns": list(OUTCOME_COLUMNS),
            "outcomes": [[*key, count] for key, count in sorted(outcomes.items())],
        },
    }
    configuration = settings_of(config, kind).model_dump(mode="json")
    write_content(out, kind, config.seed, configuration, shards, how)
