"""The calls of the Python interface beside `compile`: what the commands do, with objects for files.

Each is a name of `tracrlab` itself; docs/python.md has them in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

    from tracrlab.compiler import CompiledModel
    from tracrlab.decompiler.decompiling import Answer
    from tracrlab.rasp import Program
    from tracrlab.rasp.values import Value
    from tracrlab.students.student import Student


def sample(
    count: int = 1,
    *,
    vocab: Sequence[Value] = tuple(range(5)),
    max_seq_len: int = 5,
    causal: bool = False,
    ops: tuple[int, int] = (3, 8),
    seed: int = 0,
    start: int = 0,
    preset: Literal["default", "thesis"] = "default",
) -> list[Program]:
    """Samples random programs; the same for the same arguments, wherever it is run.

    Example::

        first, second = tracrlab.sample(2, vocab="abc", max_seq_len=4, ops=(5, 5))
        print(first)
        model = tracrlab.compile(first, vocab="abc", max_seq_len=4)

    Args:
      count: how many.
      vocab: the input symbols.
      max_seq_len: the longest input; every program is defined on all inputs of 1 to so many
        symbols.
      causal: whether a position sees only itself and earlier ones.
      ops: fewest and most ops; the lengths between go in turn.
      seed: root of the random numbers.
      start: index of the first program; program i of a seed is always the same.
      preset: distribution of ops and functions; ``thesis`` is that of Inverse Tracr.

    Raises:
      TracrLabError: if an argument is none that a zoo can have.
    """
    from tracrlab.config import load_config
    from tracrlab.rasp.sampler import sample as sample_one
    from tracrlab.zoo.sampling import sampler_settings

    zoo = {
        "vocab": list(vocab),
        "max_seq_len": max_seq_len,
        "causal": causal,
        "ops": list(ops),
        "preset": preset,
    }
    settings = sampler_settings(load_config({"zoo": zoo}))
    return [sample_one(settings, seed, index).program for index in range(start, start + count)]


def compress(
    model: CompiledModel,
    ratio: float = 0.5,
    *,
    steps: int = 2000,
    seed: int = 0,
    refine: bool = False,
) -> Student:
    """Compresses a model's residual stream: only a linear map is trained, and then folded in.

    Example::

        model = tracrlab.compile(program, vocab="abc", max_seq_len=4)
        student = tracrlab.compress(model, 0.6)
        student.exact, student.accuracy, student.model.apply("abca")

    Args:
      model: a compiled model that says its program.
      ratio: width of the student's residual stream over the model's.
      steps: most training steps; a student that is exact needs none.
      seed: root of the random numbers.
      refine: solve for all weights, in a stream of that width, where the map alone is not exact.

    Returns:
      the student, whatever its accuracy: ``model`` is an ordinary model, ``exact`` and ``accuracy``
      say how right it is on every input, ``readout`` maps its stream to the model's.

    Raises:
      TracrLabError: if the ratio leaves no direction, or the model does not say its program.
    """
    from tracrlab.students.single import compressed

    return compressed(model, ratio, steps=steps, seed=seed, refine=refine)


def distil(
    model: CompiledModel, ratio: float = 0.5, *, steps: int = 2000, seed: int = 0
) -> Student:
    """Trains a transformer from scratch to compute what a model computes, half-layer by half-layer.

    Example::

        student = tracrlab.distil(model)
        student.accuracy, student.model.save("natural.safetensors")

    Arguments (but for ``refine``), result and errors are those of `compress`.
    """
    from tracrlab.students.single import distilled

    return distilled(model, ratio, steps=steps, seed=seed)


def decompile(
    model: CompiledModel | str | Path,
    decompiler: str | Path | None = None,
    *,
    beams: int = 8,
    most_beams: int = 128,
    repairs: int = 3,
    endings: int = 256,
    device: str = "cpu",
) -> Answer:
    """Writes the program of a model from its weights, and runs it beside the model.

    Example::

        answer = tracrlab.decompile("hist.safetensors")
        answer.verdict, answer.confidence
        print(answer.program)

    Args:
      model: a model, or its file; a program that it may know is not looked at.
      decompiler: folder of a trained decompiler; the one that is shipped by default.
      beams: candidates that are run at first.
      most_beams: most candidates, where none of fewer is verified.
      repairs: rounds in which, where none is verified still, tokens of those that came closest are
        exchanged.
      endings: programs that are run, where none is verified still, of those that end in what the
        candidates compute.
      device: where the meta-model runs: cpu or cuda.

    Returns:
      the answer: ``program`` (None where nothing is a program), ``verdict`` (verified: right at
      every position of every input that was run; plausible: at nine of ten; none: less),
      ``confidence``, and ``check`` with what execution says.

    Raises:
      TracrLabError: if there is no such model or decompiler, or the model is larger than it reads.
    """
    from tracrlab.compiler import CompiledModel
    from tracrlab.decompiler.decompiling import SHIPPED, Decompiler, Search

    if not isinstance(model, CompiledModel):
        model = CompiledModel.load(model)
    search = Search(beams, max(beams, most_beams), repairs, endings)
    (answer,) = Decompiler.load(decompiler or SHIPPED, device).decompile([model], search)
    return answer


def decode(model: str | Path, prompt: str, *, layer: int | None = None) -> pd.DataFrame:
    """Reads every RASP variable at every token of a prompt from an injected language model.

    Example::

        table = tracrlab.decode("results/injection/count/tracr_injection/0/model", prompt)
        table[["token", "hist"]]

    Args:
      model: folder of an injected model.
      prompt: a prompt of its task, up to the answer.
      layer: layer of the model to read; the last that the program was aligned with by default.

    Returns:
      a row a token, with its text under ``token``, and a column for each variable; empty where a
      variable is written later, or has no value.

    Raises:
      TracrLabError: if it is no injected model, it has no linear map, or the prompt is none of its
        task.
    """
    from tracrlab.injection.model_folder import load_model, read_prompt
    from tracrlab.injection.variables import decoded_table

    injected = load_model(model)
    tokens, texts, _ = read_prompt(injected, prompt)
    return decoded_table(injected, tokens, texts, injected.alignment.stage_of_layer(layer))
