"""Reading RASP variables out of a language model's residual stream (Figures 2 and 6, appendix E).

A stream is mapped by the linear map; a variable is decoded as the value whose basis direction is
largest. A numerical variable has one direction: the cosine loss leaves the length of the mapped
stream free, so it is measured against the direction `one`, which is 1 in every compiled stream, and
the nearest value that the variable takes in training is given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from tracrlab.errors import TracrLabError
from tracrlab.injection.alignment import Alignment, rows_of
from tracrlab.injection.compiled import CompiledProgram, Variable
from tracrlab.injection.evaluation import batches_by_length, wilson
from tracrlab.injection.model_folder import InjectedModel
from tracrlab.injection.prompts import Examples


@torch.no_grad()
def mapped_streams(injected: InjectedModel, tokens: np.ndarray) -> np.ndarray:
    """The mapped stream at every aligned stage, float32 [stages, rows, positions, directions].

    Raises:
      TracrLabError: if the model has no linear map.
    """
    if injected.linear_map is None:
        raise TracrLabError(
            f"the model was trained by {injected.meta.get('method')}, which aligns nothing, so it "
            "has no variables to decode."
        )
    stages = injected.alignment.model_stages
    device = injected.model.model.device
    run = injected.model(torch.from_numpy(tokens).to(device), keep=stages)
    streams = torch.stack([run.streams[stage] for stage in stages])
    return injected.linear_map(streams).float().cpu().numpy()


def decode_variable(
    variable: Variable,
    alignment: Alignment,
    mapped: np.ndarray,
    one: int | None,
    numbers: Sequence[float] = (),
) -> np.ndarray:
    """A variable's value from mapped streams.

    Args:
      variable: which.
      alignment: which directions were aligned.
      mapped: float32 [..., directions].
      one: the row of the direction `one`, if it was aligned.
      numbers: the values of a numerical variable.

    Returns:
      the number of the value, int64 [...] (of `variable.values`, or of `numbers`); -1 where it
      cannot be read as none of its directions was aligned.
    """
    rows = rows_of(alignment, variable.directions)
    if not rows or (variable.numerical and (one is None or not len(numbers))):
        return np.full(mapped.shape[:-1], -1)
    if variable.numerical:
        unit = np.where(np.abs(mapped[..., one]) < 1e-6, 1e-6, mapped[..., one])
        value = mapped[..., rows[0]] / unit
        return np.abs(value[..., None] - np.array(numbers)).argmin(axis=-1)
    aligned = [
        number
        for number, direction in enumerate(variable.directions)
        if direction in set(alignment.directions)
    ]
    return np.array(aligned)[mapped[..., rows].argmax(axis=-1)]


def true_numbers(
    variable: Variable, codes: np.ndarray, numbers: Sequence[float] = ()
) -> np.ndarray:
    """The number of a variable's true value as `decode_variable` counts it, -1 of None."""
    if not variable.numerical:
        return codes.astype(np.int64)
    if not len(numbers):
        return np.full(codes.shape, -1)
    distance = np.abs(codes[..., None] - np.array(numbers))
    return np.where(distance.min(axis=-1) < 1e-4, distance.argmin(axis=-1), -1)


def variable_table(
    injected: InjectedModel,
    program: CompiledProgram,
    examples: Examples,
    positions: str = "supervised",
    batch: int = 64,
) -> pd.DataFrame:
    """How often each variable is decoded right, at each aligned stage from where it is written on.

    Args:
      injected: the model.
      program: its program, for the true values.
      examples: what is read.
      positions: "supervised" or "all" real positions.
      batch: examples at once.

    Returns:
      columns variable, compiled_stage, model_stage, positions, right, count, accuracy, low, high
      (percent, Wilson 95 %), and chance: the share of the most frequent value. Positions where the
      variable is None, or has a value that was not aligned, do not count.
    """
    alignment, one = injected.alignment, _row_of_one(injected)
    codes = program.codes(examples.symbols, strict=False)
    tallies: dict[tuple[int, int], np.ndarray] = {}
    seen: dict[int, list[np.ndarray]] = {}
    for chosen in batches_by_length(examples.lengths, batch):
        part = examples.take(chosen)
        where = part.supervised if positions == "supervised" else part.symbols >= 0
        mapped = mapped_streams(injected, part.tokens)[:, where]
        own = codes[chosen, : part.tokens.shape[1]][where]
        for number, variable in enumerate(injected.variables):
            numbers = injected.numbers.get(variable.name, ())
            truth = true_numbers(variable, own[:, number], numbers)
            known = truth >= 0
            if variable.numerical:
                known &= bool(rows_of(alignment, variable.directions))
            else:
                aligned = np.isin(variable.directions, alignment.directions)
                known &= np.append(aligned, False)[truth]
            seen.setdefault(number, []).append(truth[known])
            for index, stage in enumerate(alignment.compiled_stages):
                if stage < variable.stage:
                    continue
                decoded = decode_variable(variable, alignment, mapped[index], one, numbers)
                hit = (decoded == truth)[known]
                tally = tallies.setdefault((number, index), np.zeros(2, dtype=np.int64))
                tally += [hit.sum(), len(hit)]
    lines = []
    for (number, index), (right, count) in sorted(tallies.items()):
        if not count:
            continue
        values = np.concatenate(seen[number])
        low, high = wilson(int(right), int(count))
        lines.append(
            {
                "variable": injected.variables[number].name,
                "compiled_stage": alignment.compiled_stages[index],
                "model_stage": alignment.model_stages[index],
                "positions": positions,
                "right": int(right),
                "count": int(count),
                "accuracy": 100 * right / count,
                "low": low,
                "high": high,
                "chance": 100 * np.unique(values, return_counts=True)[1].max() / len(values),
            }
        )
    return pd.DataFrame(lines)


def decoded_table(
    injected: InjectedModel, tokens: list[int], texts: list[str], stage: int = -1
) -> pd.DataFrame:
    """Every variable's decoded value at every token of one prompt (Figure 6).

    Args:
      injected: the model.
      tokens: of the prompt.
      texts: the text of each.
      stage: number of the aligned stage, as a list index; a variable that is written later than
        that is empty.

    Returns:
      one line a token: its text, and a column a variable.
    """
    mapped = mapped_streams(injected, np.array([tokens]))[stage, 0]
    compiled_stage = injected.alignment.compiled_stages[stage]
    one = _row_of_one(injected)
    columns: dict[str, list[str]] = {"token": [repr(text)[1:-1] for text in texts]}
    for variable in injected.variables:
        numbers = injected.numbers.get(variable.name, ())
        codes = decode_variable(variable, injected.alignment, mapped, one, numbers)
        names = [f"{number:.3g}" for number in numbers] if variable.numerical else variable.values
        written = variable.stage <= compiled_stage
        columns[variable.name] = [
            repr(names[code])[1:-1] if written and code >= 0 else "" for code in codes
        ]
    return pd.DataFrame(columns)


def _row_of_one(injected: InjectedModel) -> int | None:
    rows = rows_of(injected.alignment, [injected.labels.index("one")])
    return rows[0] if rows else None
