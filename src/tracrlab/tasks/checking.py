"""A table of tasks: what their programs compile to, and what these solve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracrlab.tasks.encoding import check_mark, compile_task, encode, splits
from tracrlab.tasks.protocol import Example, Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tracrlab.compiler import CompiledModel

#: Examples of a set on which a mark is checked: some differ from the program once in 300.
CHECKED = 2000


def task_table(
    tasks: Sequence[Task], tokenizer: PreTrainedTokenizerBase, seed: int, count: int = CHECKED
) -> pd.DataFrame:
    """Runs every task's compiled program on its training range and on each set outside it.

    Args:
      tasks: the tasks.
      tokenizer: of the model they are to be injected into.
      seed: of the examples.
      count: most examples of a set.

    Returns:
      one row a set, `held_out` first: an example, whether the program is said to solve it, the
      share that it solves in percent, and the sizes of the compiled model.

    Raises:
      TracrLabError: if a program does not solve its task, or a mark is wrong.
    """
    rows = []
    for task in tasks:
        compiled = compile_task(task)
        _, held = splits(task, 0, min(count, 500), seed)
        sets = [("held_out", True, {}, held)]
        for test_set in task.test_sets:
            examples = test_set.examples(count, np.random.default_rng(seed))
            sets.append((test_set.name, test_set.solved, test_set.paper, examples))
        for name, solved, paper, examples in sets:
            encoded = encode(task, tokenizer, examples)
            share = check_mark(task, compiled, name, solved, encoded)
            rows.append(
                {
                    "task": task.name,
                    "set": name,
                    "example": _shortest(examples),
                    "longest": int(encoded.lengths.max()),
                    "solved": solved,
                    "examples": len(examples),
                    "program": 100 * share,
                    "paper_tracr_injection": paper.get("tracr_injection"),
                    "paper_finetune_kl": paper.get("finetune_kl"),
                    **_sizes(compiled),
                }
            )
    return pd.DataFrame(rows)


def _shortest(examples: Sequence[Example]) -> str:
    """One of the shorter examples; not the shortest of all, which says least."""
    ordered = sorted(examples, key=lambda example: len(example.prompt))
    chosen = ordered[len(ordered) // 8]
    return f"{chosen.prompt.rstrip(' ')} {chosen.answer}"


def _sizes(compiled: CompiledModel) -> dict[str, int]:
    architecture = compiled.architecture
    return {
        "layers": len(architecture.layers),
        "width": architecture.d_model,
        "neurons": max(layer.mlp_hidden for layer in architecture.layers),
        "max_seq_len": architecture.max_seq_len,
    }
