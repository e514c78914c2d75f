"""The tables of results: ours and the paper's side by side (Tables 1 to 3)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from tracrlab.injection.evaluation import wilson

#: The set that holds the held-out examples of the training range.
HELD_OUT = "held_out"
#: What is measured of a model besides its answers; a column with no data is empty.
MEASURES = ("perplexity", "lambada", "sst2", "mrpc")

#: Tables 1 and 3 of the paper: accuracy, Tiny-Shakespeare perplexity, SST-2, MRPC, LAMBADA.
PAPER = {
    ("shuffle_dyck", "no_edit"): (0.0, 569.7, 67.4, 63.7, 58.8),
    ("shuffle_dyck", "finetune_kl"): (100.0, 569.3, 65.1, 58.8, 58.8),
    ("shuffle_dyck", "tracr_injection"): (99.9, 569.9, 75.2, 66.7, 58.8),
    ("addition", "no_edit"): (0.1, 569.7, 67.4, 63.7, 58.8),
    ("addition", "finetune_kl"): (99.7, 570.1, 67.2, 66.2, 58.7),
    ("addition", "tracr_injection"): (95.0, 572.4, 65.0, 65.9, 58.9),
    ("count", "no_edit"): (0.0, 569.7, 67.4, 63.7, 58.8),
    ("count", "finetune_kl"): (99.8, 571.2, 71.0, 61.8, 58.7),
    ("count", "tracr_injection"): (99.2, 571.4, 64.0, 65.7, 58.8),
}
#: Behind the name of a task whose program is the paper's own, line by line.
_BY_PAPER = "_paper"
_PAPER_COLUMNS = ("accuracy", "perplexity", "sst2", "mrpc", "lambada")
_ORDER = ("no_edit", "finetune_kl", "tracr_injection", "interchange")


def merged(evaluations: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Evaluations of single models as one table; methods in the paper's order within each task."""
    table = pd.concat(list(evaluations), ignore_index=True)
    tasks = {name: number for number, name in enumerate(dict.fromkeys(table["task"]))}
    methods = {name: number for number, name in enumerate(_ORDER)}
    keys = [table["seed"], table["method"].map(methods), table["task"].map(tasks)]
    return table.iloc[np.lexsort(keys)].reset_index(drop=True)


def task_table(evaluations: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on the training range, and what else a model can (Tables 1 and 3).

    Args:
      evaluations: one line for each model and set, as `evaluation_lines` gives them.

    Returns:
      one line a task and method: accuracies in percent over all seeds with the Wilson 95 %
      interval, the mean of each measure over seeds, and the paper's figures.
    """
    held_out = evaluations[evaluations["set"] == HELD_OUT]
    lines = []
    for (task, method), rows in held_out.groupby(["task", "method"], sort=False):
        figures = PAPER.get((task.removesuffix(_BY_PAPER), method), ())
        paper = dict(zip(_PAPER_COLUMNS, figures, strict=False))
        lines.append(
            {"task": task, "method": method, "base": rows["base"].iloc[0]}
            | _pooled(rows)
            | {name: _mean(rows[name]) for name in MEASURES}
            | {f"paper_{name}": paper.get(name) for name in _PAPER_COLUMNS}
        )
    return pd.DataFrame(lines)


def ood_table(evaluations: pd.DataFrame) -> pd.DataFrame:
    """Accuracy outside the training range (Table 2).

    Returns:
      one line a task, set and method: whether the compiled program solves the set, accuracies in
      percent over all seeds with the Wilson 95 % interval, and the paper's figure.
    """
    outside = evaluations[evaluations["set"] != HELD_OUT]
    lines = []
    for (task, name, method), rows in outside.groupby(["task", "set", "method"], sort=False):
        lines.append(
            {
                "task": task,
                "set": name,
                "program_solves_it": bool(rows["solved"].iloc[0]),
                "method": method,
                "base": rows["base"].iloc[0],
            }
            | _pooled(rows)
            | {"paper_accuracy": _mean(rows["paper"])}
        )
    order = {(task, name): n for n, (task, name) in enumerate(_first_seen(outside))}
    table = pd.DataFrame(lines)
    keys = [order[pair] for pair in zip(table["task"], table["set"], strict=True)]
    return table.iloc[np.argsort(keys, kind="stable")].reset_index(drop=True)


def _first_seen(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(table["task"], table["set"], strict=True)))


def _pooled(rows: pd.DataFrame) -> dict[str, float]:
    """Right answers of all seeds together; the spread of the seeds beside the interval.

    The same examples are answered by each seed's model. Pooling them is the paper's single number
    for several seeds; `lowest` and `highest` show how far the seeds lie apart.
    """
    right, count = int(rows["right"].sum()), int(rows["count"].sum())
    low, high = wilson(right, count)
    shares = 100 * rows["right"] / rows["count"]
    return {
        "seeds": len(rows),
        "examples": int(rows["count"].iloc[0]),
        "accuracy": round(100 * right / count, 2),
        "low": round(low, 2),
        "high": round(high, 2),
        "lowest_seed": round(float(shares.min()), 2),
        "highest_seed": round(float(shares.max()), 2),
    }


def _mean(values: pd.Series) -> float | None:
    known = pd.to_numeric(values).dropna()
    return round(float(known.mean()), 3) if len(known) else None
