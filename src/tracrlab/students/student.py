"""A student: a trained model, how good it is, and whether it is accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracrlab.compiler.forward import Trace, forward
from tracrlab.compiler.model import CompiledModel
from tracrlab.compiler.verification import TOLERANCE, Verification, verify
from tracrlab.rasp.program import CATEGORICAL
from tracrlab.rasp.truth_table import TruthTable
from tracrlab.students.losses import mean_square
from tracrlab.students.marks import Wanted
from tracrlab.students.training import Inputs
from tracrlab.students.transformer import Outputs

#: The thesis's gate (section 6.1): a student is accepted from this accuracy, up to this loss.
GATE_ACCURACY, GATE_LOSS = 0.9, 0.05
#: The rank of an accepted student that is exact.
EXACT = 2
#: Inputs that the loss of the gate is taken on.
LOSS_INPUTS = 256


@dataclass(frozen=True)
class Student:
    """A trained model and its verdicts.

    Attributes:
      id: that of its teacher.
      model: plain weights.
      readout: from its stream to the teacher's [d_model, the teacher's d_model].
      verification: on every input of the domain.
      loss: `losses.mean_square` on a fixed sample of inputs.
      steps: training steps; 0 where the start was exact.
      snapshot: 0 when it left training, 1 and more for the same model trained on.
      refined: whether every weight was trained on after W alone.
    """

    id: int
    model: CompiledModel
    readout: np.ndarray
    verification: Verification
    loss: float
    steps: int
    snapshot: int = 0
    refined: bool = False

    @property
    def accuracy(self) -> float:
        """Share of the positions of all inputs that are right."""
        return self.verification.accuracy

    @property
    def exact(self) -> bool:
        """Whether every input was right."""
        return self.verification.passed

    @property
    def refusal(self) -> str:
        """Why it is not accepted; empty if it is."""
        if not np.isfinite(self.loss):
            return "not_finite"
        if self.accuracy < GATE_ACCURACY:
            return "accuracy"
        return "loss" if self.loss > GATE_LOSS else ""

    @property
    def outcome(self) -> str:
        """The reason of its refusal, or how good it is and whether a refinement was needed."""
        kind = "exact" if self.exact else "accepted"
        return self.refusal or kind + "_refined" * self.refined

    @property
    def rank(self) -> int:
        """2 for an accepted exact student, 1 for one that is accepted, 0 for a refused one."""
        return 0 if self.refusal else 1 + self.exact


@dataclass(frozen=True)
class Teacher:
    """A compiled model with its program's table.

    Attributes:
      id: its number in the zoo.
      model: as compiled.
      table: the program on every input.
    """

    id: int
    model: CompiledModel
    table: TruthTable

    @property
    def tolerance(self) -> float:
        """Half the least distance of two output numbers, at most 1/2; 0 for categorical output.

        Numbers that verification does not tell apart are one: sums that are equal but for rounding.
        """
        if self.model.output_encoding == CATEGORICAL:
            return 0.0
        values = np.unique(np.array(self.table.output.values, dtype=np.float64))
        return float(np.diff(values)[_apart(values)].min(initial=1.0)) / 2

    @property
    def wanted(self) -> Wanted:
        """The right outputs on every input."""
        output = self.table.output
        if self.model.output_encoding == CATEGORICAL:
            column_of = {value: column for column, value in enumerate(self.model.output_values)}
            columns = np.array([*(column_of[value] for value in output.values), -1], np.float32)
            half = np.full(output.codes.shape, 0.5, np.float32)
            return Wanted(columns[output.codes], half, half)
        values = np.array(output.values, dtype=np.float64)
        # Between two numbers that are told apart lies where reading passes from one to the other.
        ordered = np.unique(values)
        apart = _apart(ordered)
        ends = np.concatenate([[-np.inf], (ordered[:-1] + ordered[1:])[apart] / 2, [np.inf]])
        place = np.searchsorted(ends, values)
        parts = values, values - ends[place - 1], ends[place] - values
        return Wanted(
            *(np.array([*part, np.nan]).astype(np.float32)[output.codes] for part in parts)
        )

    def read_as(self, model: CompiledModel) -> CompiledModel:
        """A student's model whose numbers are read as the nearest that the program gives."""
        if model.output_encoding == CATEGORICAL:
            return model
        return replace(model, output_values=tuple(sorted(set(self.table.output.values))))


def judge(
    teacher: Teacher,
    model: CompiledModel,
    readout: np.ndarray,
    inputs: Inputs,
    *,
    steps: int,
    snapshot: int = 0,
    error: float = np.nan,
) -> Student:
    """Runs a student on every input of the domain.

    Args:
      teacher: its teacher.
      model: its weights.
      readout: from its stream to the teacher's.
      inputs: all inputs of the domain.
      steps: training steps.
      snapshot: as in `Student`.
      error: the largest error of an output where every input has been run and was right, as
        `Trained` has it: they are not run once more.
    """
    model = teacher.read_as(model)
    if not all(np.isfinite(value).all() for value in model.weights.values()):
        failed = Verification(len(inputs.codes), len(inputs.codes), np.inf, "", 1, 1)
        return Student(teacher.id, model, readout, failed, np.inf, steps, snapshot)
    if np.isnan(error):
        result = verify(model, teacher.table, None)
    else:
        positions = int((inputs.lengths - 1).sum())
        result = Verification(len(inputs.codes), 0, error, positions=positions)
    rows = np.random.default_rng(0).permutation(len(inputs.codes))[:LOSS_INPUTS]
    own = teacher.model.architecture
    codes, lengths = inputs.codes[rows], inputs.lengths[rows]
    right, given = _outputs(teacher.model, codes, lengths), _outputs(model, codes, lengths)
    loss = mean_square(
        right,
        Outputs(given.logits, given.blocks @ readout),
        np.arange(codes.shape[1]) < lengths[:, None],
        max(own.half_layer_count, 1) * own.d_model,
        own.output_size,
    )
    return Student(teacher.id, model, readout, result, float(loss), steps, snapshot)


def _apart(values: np.ndarray) -> np.ndarray:
    """Which neighbours of ascending numbers verification tells apart."""
    return np.diff(values) > TOLERANCE * np.maximum(1, np.abs(values[1:]))


def _outputs(model: CompiledModel, codes: np.ndarray, lengths: np.ndarray) -> Outputs:
    """What a model gives, without padding, in numpy: nothing is compiled for a verdict."""
    trace = Trace()
    logits = forward(model.architecture, model.weights, codes, lengths, trace)
    return Outputs(logits, np.diff(np.stack(trace.residuals), axis=0))
