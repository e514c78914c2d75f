"""One student of one model, outside of any zoo."""

from __future__ import annotations

from dataclasses import replace

from tracrlab.compiler.model import BOS, PAD, CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.truth_table import evaluate
from tracrlab.sections.students import NaturalTraining
from tracrlab.students.compressing import Compression
from tracrlab.students.making import Making, Method, make
from tracrlab.students.natural import Natural
from tracrlab.students.shapes import Shape
from tracrlab.students.student import Student, Teacher
from tracrlab.students.training import TrainingSettings


def compressed(
    model: CompiledModel, ratio: float, *, steps: int, seed: int, refine: bool
) -> Student:
    """A compression, whatever its accuracy.

    Args:
      model: the teacher; its program must be known, and its residual directions named.
      ratio: width of the student's stream over the teacher's.
      steps: most training steps.
      seed: root of the random numbers.
      refine: whether all weights are solved for where W alone is not exact.

    Raises:
      TracrLabError: if the ratio leaves no direction, the program is not known, there is no step,
        or the training leaves finite numbers.
    """
    training = TrainingSettings(steps=steps, lanes=1, seed=seed)
    making = Making(training, refinement=replace(training, steps=0) if refine else None)
    return _student_of(model, Compression(ratio, seed=seed, refined=refine), making)


def distilled(model: CompiledModel, ratio: float, *, steps: int, seed: int) -> Student:
    """A natural student, whatever its accuracy, trained as those of a zoo are by default.

    Arguments and errors are those of `compressed`.
    """
    own = NaturalTraining().model_dump() | {"steps": steps, "lanes": 1, "seed": seed}
    return _student_of(model, Natural(ratio, seed), Making(TrainingSettings(**own)))


def _student_of(model: CompiledModel, method: Method, making: Making) -> Student:
    if making.training.steps < 1:
        raise TracrLabError(f"steps is {making.training.steps}; it takes a number above 0.")
    if model.program is None:
        raise TracrLabError("the model does not say which program it computes.")
    sizes = model.architecture
    symbols = tuple(symbol for symbol in sizes.input_symbols if symbol not in (BOS, PAD))
    table = evaluate(model.program, Domain(symbols, sizes.max_seq_len, sizes.causal))
    shape = Shape.of(sizes, method.student_architecture(sizes))
    (student,) = make([Teacher(0, model, table)], shape, method, making)
    if student.refusal == "not_finite":
        raise TracrLabError("the student has weights that are not finite; try another seed.")
    return student
