"""`tracrlab compress`: one model file, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracrlab.errors import TracrLabError


def compress(
    model: Annotated[Path, typer.Argument(help="A .safetensors model that says its program.")],
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    ratio: Annotated[
        float, typer.Option(help="Width of the student over that of the model.")
    ] = 0.5,
    steps: Annotated[int, typer.Option(help="Most training steps.")] = 2000,
    seed: Annotated[int, typer.Option(help="Root of the random numbers.")] = 0,
) -> None:
    """Compress a model's residual stream and write the student as a model of its own.

    The student is written whatever its accuracy; the line that is printed says what it is.

    Example: tracrlab compress sort.safetensors --ratio 0.6 --out small.safetensors
    """
    import time

    from tracrlab.compiler import BOS, PAD, CompiledModel
    from tracrlab.rasp import Domain, evaluate
    from tracrlab.students.compressing import CompressionSettings
    from tracrlab.students.compressing import compress as compress_models
    from tracrlab.students.training import TrainingSettings

    if steps < 1:
        raise TracrLabError(f"--steps is {steps}; it takes a number above 0.")
    teacher = CompiledModel.load(model)
    if teacher.program is None:
        raise TracrLabError(f"{model} does not say which program it computes.")
    sizes = teacher.architecture
    symbols = tuple(symbol for symbol in sizes.input_symbols if symbol not in (BOS, PAD))
    table = evaluate(teacher.program, Domain(symbols, sizes.max_seq_len, sizes.causal))
    training = TrainingSettings(steps=steps, learning_rate=1e-2, lanes=1, seed=seed)
    start = time.perf_counter()
    (student,) = compress_models([(0, teacher, table)], CompressionSettings(ratio, training))
    seconds = time.perf_counter() - start
    student.model.save(out)
    verdict = "exact" if student.exact else f"right on {student.accuracy:.1%} of the inputs"
    print(
        f"{out}: {sizes.d_model} directions in {student.model.architecture.d_model}, {verdict}, "
        f"loss {student.loss:.2g}, {student.steps} steps, {seconds:.1f} s"
    )
