"""Which loss compresses best? The thesis's Tables 6.1 to 6.3, on programs of the standard zoo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tracrlab.compiler.compiling import compile_table
from tracrlab.config import Config
from tracrlab.progress import progress
from tracrlab.rasp.truth_table import evaluate
from tracrlab.students.compressing import Compression
from tracrlab.students.making import Making, make
from tracrlab.students.shapes import Shape
from tracrlab.students.student import Student, Teacher
from tracrlab.students.training import TrainingSettings
from tracrlab.zoo.manifest import load_manifest
from tracrlab.zoo.reading import read_rows
from tracrlab.zoo.sampling import limits


@dataclass(frozen=True)
class Loss:
    """A row of the table: a loss, and what the thesis reports for it, mean and (deviation).

    Attributes:
      table: where the thesis has it.
      layer, output, combine, samples: as in `training.TrainingSettings`.
      accuracy, loss: the thesis's mean and standard deviation; accuracy in per cent.
    """

    table: str
    layer: str
    output: str
    combine: str
    samples: str
    accuracy: tuple[float, float]
    loss: tuple[float, float]


#: "L2, vocabulary" stands in both Table 6.1 and Table 6.2. The combined loss is in the text after
#: Figure 6.4.
LOSSES = (
    Loss("6.1, 6.2", "l2", "none", "sum", "vocabulary", (70.5, 45.2), (0.00065, 0.0011)),
    Loss("6.1", "l1", "none", "sum", "vocabulary", (67.8, 43.4), (0.0034, 0.0044)),
    Loss("6.1", "cross_entropy", "none", "sum", "vocabulary", (71.7, 43.0), (-14.6, 28.5)),
    Loss("6.2", "l2", "none", "sum", "random", (61.1, 43.1), (0.032, 0.094)),
    Loss("6.3", "l2", "cross_entropy", "sum", "vocabulary", (97.8, 4.4), (0.00178, 0.0026)),
    Loss("6.3", "l2", "cross_entropy", "product", "vocabulary", (93.5, 14.5), (0.000172, 0.00051)),
    Loss("6.3", "l2", "cross_entropy", "sum", "random", (63.9, 38.1), (0.057, 0.13)),
    Loss("6.3", "l2", "cross_entropy", "product", "random", (56.3, 48.3), (0.0081, 0.015)),
    Loss("text", "l2", "cross_entropy", "sum", "combined", (87.0, 20.0), (0.31, 0.59)),
)


def loss_table(
    config: Config, manifest: str | Path, losses: Sequence[Loss] = LOSSES
) -> pd.DataFrame:
    """Compresses the same programs with every loss from the same random starts.

    All else is the same for every loss and as in the thesis: W alone, the configured ratio, and no
    inputs drawn for being wrong.

    Args:
      config: the configuration.
      manifest: that of the standard zoo.
      losses: the rows; all by default.

    Returns:
      one row a loss: accuracy (share of positions right, in per cent) and loss (`Student.loss`),
      mean and standard deviation over programs, beside the thesis's.
    """
    settings = config.students.loss_table
    teachers = _teachers(config, manifest)
    records = []
    for loss in progress(losses, len(losses), "losses"):
        students = compressed_with(loss, teachers, config)
        accuracy = np.array([100 * student.accuracy for student in students])
        error = np.array([student.loss for student in students])
        records.append(
            {
                "thesis_table": loss.table,
                "layer_loss": loss.layer,
                "output_loss": loss.output,
                "combine": loss.combine if loss.output != "none" else "",
                "samples": loss.samples,
                "accuracy_mean": round(float(accuracy.mean()), 1),
                "accuracy_sd": round(float(accuracy.std(ddof=1)), 1) if len(students) > 1 else None,
                "exact_percent": round(100 * np.mean([one.exact for one in students]), 1),
                "loss_mean": float(f"{error.mean():.3g}"),
                "loss_sd": float(f"{error.std(ddof=1):.3g}") if len(students) > 1 else None,
                "programs": len(students),
                "steps": settings.steps,
                "thesis_accuracy_mean": loss.accuracy[0],
                "thesis_accuracy_sd": loss.accuracy[1],
                "thesis_loss_mean": loss.loss[0],
                "thesis_loss_sd": loss.loss[1],
            }
        )
    return pd.DataFrame(records)


def compressed_with(loss: Loss, teachers: list[Teacher], config: Config) -> list[Student]:
    """Students of all teachers, trained with one loss to the last step."""
    settings = config.students.loss_table
    method = Compression(config.students.compressed.ratio, "random", seed=config.seed)
    shapes = [
        Shape.of(one.model.architecture, method.student_architecture(one.model.architecture))
        for one in teachers
    ]
    shape = shapes[0]
    for other in shapes[1:]:
        shape = shape.union(other)
    training = TrainingSettings(
        steps=settings.steps,
        chunk=settings.steps,
        mined=0.0,
        layer_loss=loss.layer,
        layer_weight=1.0,
        output_loss=loss.output,
        combine=loss.combine,
        samples=loss.samples,
        seed=config.seed,
    )
    return list(make(teachers, shape, method, Making(training)))


def _teachers(config: Config, manifest: str | Path) -> list[Teacher]:
    settings, bounds = config.students.loss_table, limits(config)
    teachers: list[Teacher] = []
    fewest, most = settings.ops
    for path in load_manifest(manifest).checked_shards():
        for row in read_rows(path, ("id", "n_ops", "tokens", "d_model")):
            if len(teachers) == settings.programs:
                return teachers
            fits = row["d_model"] <= config.students.compressed.max_d_model
            if fits and fewest <= row["n_ops"] <= most:
                table = evaluate(row.program, row.domain)
                teachers.append(Teacher(row["id"], compile_table(table, bounds), table))
    return teachers
