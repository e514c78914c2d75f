"""One student of one model, outside of any zoo."""

from __future__ import annotations

from dataclasses import replace

from tracrlab.compiler.model import BOS, PAD, CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.truth_table import evaluate
from tracrlab.students.making import Making, Method, make
from tracrlab.students.shapes import Shape
from tracrlab.students.student import Student, Teacher
from tracrlab.students.training import TrainingSettings


def student_of(
    model: CompiledModel, method: Method, steps: int, seed: int, refine: bool = False
) -> Student:
    """Makes one student of a model, whatever its accuracy.

    Args:
      model: the teacher; its program must be known, and its residual directions named.
      method: `compressing.Compression` or `natural.Natural`.
      steps: most training steps.
      seed: root of the random numbers of training.
      refine: whether all weights of a compression that W alone leaves inexact are solved for.

    Raises:
      TracrLabError: if the program is not known, there is no step, or the training leaves finite
        numbers.
    """
    if steps < 1:
        raise TracrLabError(f"steps is {steps}; it takes a number above 0.")
    if model.program is None:
        raise TracrLabError("the model does not say which program it computes.")
    sizes = model.architecture
    symbols = tuple(symbol for symbol in sizes.input_symbols if symbol not in (BOS, PAD))
    table = evaluate(model.program, Domain(symbols, sizes.max_seq_len, sizes.causal))
    training = TrainingSettings(steps=steps, lanes=1, seed=seed)
    making = Making(training, refinement=replace(training, steps=0) if refine else None)
    shape = Shape.of(sizes, method.student_architecture(sizes))
    (student,) = make([Teacher(0, model, table)], shape, method, making)
    if student.refusal == "not_finite":
        raise TracrLabError("the student has weights that are not finite; try another seed.")
    return student
