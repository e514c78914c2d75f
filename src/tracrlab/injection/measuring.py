"""Everything that is measured of one model: answers, perplexity, what it can still do."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tracrlab.injection.data import TaskData
from tracrlab.injection.evaluation import accuracy, perplexity
from tracrlab.injection.hub import load_data_set
from tracrlab.injection.prompts import Examples
from tracrlab.injection.result_tables import HELD_OUT
from tracrlab.injection.retention import retention
from tracrlab.injection.streams import StreamModel
from tracrlab.injection.text import load_text, part_documents, token_windows
from tracrlab.sections.injection import InjectionConfig

#: Windows that a perplexity is measured on, and their length in tokens.
WINDOWS, WINDOW = 100, 128
#: The text that stands in for Tiny-Shakespeare where that is not at hand: its held-out plays.
EMBEDDED = "shakespeare"


def measure(
    model: StreamModel,
    tokenizer,
    data: TaskData,
    config: InjectionConfig,
    method: str,
    seed: int,
) -> pd.DataFrame:
    """One line for the held-out examples and for each out-of-distribution set.

    Args:
      model: the model.
      tokenizer: its tokenizer.
      data: the task.
      config: base and data folder.
      method: how it was trained; "no_edit" for the model as it was.
      seed: of the run.

    Returns:
      columns task, base, method, seed, set, solved, right, count, accuracy, low, high (percent,
      Wilson 95 %), paper, and on every line perplexity, perplexity_text, lambada, sst2 and mrpc;
      what has no data is empty.
    """
    common = {"task": data.task.name, "base": config.base, "method": method, "seed": seed}
    rest = general(model, tokenizer, config.data)
    lines = [_line(common, HELD_OUT, True, None, model, data.held_out) | rest]
    for test_set, examples in data.sets:
        paper = test_set.paper.get(method)
        lines.append(_line(common, test_set.name, test_set.solved, paper, model, examples) | rest)
    return pd.DataFrame(lines)


def general(model: StreamModel, tokenizer, folder: str) -> dict:
    """Perplexity on Shakespeare and the accuracies of `retention`, None where there is no data."""
    windows, source = shakespeare_windows(tokenizer, folder)
    positions = model.model.config.max_position_embeddings
    found: dict = {"perplexity": perplexity(model, windows), "perplexity_text": source}
    for name in ("lambada", "sst2", "mrpc"):
        rows = load_data_set(name, folder)
        found[name] = (
            None if rows is None else retention(model, tokenizer, name, rows.rows, positions)
        )
    return found


def shakespeare_windows(tokenizer, folder: str) -> tuple[np.ndarray, str]:
    """Windows of Tiny-Shakespeare's test part, or of held-out plays where it is not at hand."""
    rows = load_data_set("tiny_shakespeare", folder)
    if rows is not None:
        documents, source = [row["text"] for row in rows.rows], rows.source
    else:
        _, documents = part_documents(load_text(EMBEDDED))
        source = f"{EMBEDDED} (held out)"
    return token_windows(tokenizer, documents, WINDOW, seed=0)[:WINDOWS], source


def _line(
    common: dict, name: str, solved: bool, paper, model: StreamModel, examples: Examples
) -> dict:
    share = accuracy(model, examples)
    low, high = share.interval
    return common | {
        "set": name,
        "solved": solved,
        "right": share.right,
        "count": share.count,
        "accuracy": share.percent,
        "low": low,
        "high": high,
        "paper": paper,
    }
