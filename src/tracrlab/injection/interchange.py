"""Does the answer follow a variable? Interchange interventions on a trained model (Geiger et al.).

At the last prompt token, at the layer where the program has just written a variable, its part of
the stream (the row space of the map's rows for it) is replaced by that of another example. The
compiled program says what must follow.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from tracrlab.injection.alignment import basis_of_rows, project, rows_of
from tracrlab.injection.batches import patchable, stage_index
from tracrlab.injection.compiled import CompiledProgram, Overrides
from tracrlab.injection.evaluation import wilson
from tracrlab.injection.model_folder import InjectedModel
from tracrlab.injection.prompts import Examples, answer_tokens


def interchange_table(
    injected: InjectedModel,
    program: CompiledProgram,
    examples: Examples,
    seed: int,
    batch: int = 64,
) -> pd.DataFrame:
    """Interchange accuracy of every variable.

    Args:
      injected: a model with a linear map.
      program: its program.
      examples: bases and sources.
      seed: root of the random pairing.
      batch: pairs at once.

    Returns:
      one line a variable: model_stage; of the pairs whose answer must change, how many (count), how
      often the model's answer follows (right, accuracy, low, high in percent), and how often it
      stays what it was (kept, percent). A variable that changes no answer has count 0.
    """
    generator = np.random.default_rng(seed)
    codes = program.codes(examples.symbols)
    target_of, _ = answer_tokens(program, examples, codes)
    sources = generator.permutation(len(examples))
    rows, last = np.arange(len(examples)), examples.prompts - 1
    lines = []
    for number in patchable(program, injected.alignment, injected.model.width):
        variable = program.variables[number]
        overrides = Overrides(np.full(len(rows), variable.ref), rows, last, sources, last[sources])
        after = program.counterfactual(examples.symbols, overrides)[rows, last]
        outputs = program.outputs(after)
        targets = np.where(outputs >= 0, target_of[outputs], -1)
        before = examples.targets[rows, last]
        chosen = np.flatnonzero((targets >= 0) & (targets != before))
        stage = injected.alignment.model_stages[stage_index(injected.alignment, variable.stage)]
        said = _answers(injected, examples, chosen, sources, number, stage, batch)
        right, count = int((said == targets[chosen]).sum()), len(chosen)
        low, high = wilson(right, count) if count else (np.nan, np.nan)
        lines.append(
            {
                "variable": variable.name,
                "model_stage": stage,
                "right": right,
                "count": count,
                "accuracy": 100 * right / count if count else np.nan,
                "low": low,
                "high": high,
                "kept": 100 * float((said == before[chosen]).mean()) if count else np.nan,
            }
        )
    columns = ["variable", "model_stage", "right", "count", "accuracy", "low", "high", "kept"]
    return pd.DataFrame(lines, columns=columns)


@torch.no_grad()
def _answers(
    injected: InjectedModel,
    examples: Examples,
    chosen: np.ndarray,
    sources: np.ndarray,
    variable: int,
    stage: int,
    batch: int,
) -> np.ndarray:
    """The model's first answer token with a variable's part of the stream replaced."""
    rows = rows_of(injected.alignment, injected.variables[variable].directions)
    basis = basis_of_rows(injected.linear_map.weight[rows])
    device = injected.model.model.device
    said = np.zeros(len(chosen), dtype=np.int64)
    for start in range(0, len(chosen), batch):
        bases = chosen[start : start + batch]
        part, other = examples.take(bases), examples.take(sources[bases])
        at = torch.from_numpy(part.prompts - 1).to(device)
        own = torch.arange(len(bases), device=device)
        from_ = torch.from_numpy(other.prompts - 1).to(device)
        run = injected.model(torch.from_numpy(other.tokens).to(device), keep=(stage,))
        source = run.streams[stage][own, from_]

        def replace(stream, at=at, own=own, source=source):
            change = project(source - stream[own, at], basis).to(stream.dtype)
            return stream.index_put((own, at), change, accumulate=True)

        tokens = torch.from_numpy(part.tokens).to(device)
        edited = injected.model(tokens, edits={stage: replace})
        logits = injected.model.logits_at(edited, own, at)
        said[start : start + batch] = logits.argmax(dim=-1).cpu().numpy()
    return said
