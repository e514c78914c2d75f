"""What a model can still do: LAMBADA, SST-2 and MRPC by plain prompts (Table 3, appendix F).

The prompts of appendix F are pictures; these are ours. A class is chosen by the higher logit of its
word, as in the paper; no examples are shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tracrlab.errors import TracrLabError
from tracrlab.injection.evaluation import require_finite
from tracrlab.injection.streams import StreamModel

SST2_PROMPT = "Review: {sentence}\nSentiment (positive or negative):"
SST2_WORDS = (" negative", " positive")
MRPC_PROMPT = (
    "Sentence 1: {sentence1}\nSentence 2: {sentence2}\nDo both sentences mean the same (yes or no)?"
)
MRPC_WORDS = (" no", " yes")


def retention(
    model: StreamModel, tokenizer, name: str, rows: Sequence[dict], positions: int
) -> float:
    """Accuracy in percent on a data set's rows: "lambada", "sst2" or "mrpc"."""
    if name == "lambada":
        return lambada(model, tokenizer, [row["text"] for row in rows], positions)
    prompt, words = (SST2_PROMPT, SST2_WORDS) if name == "sst2" else (MRPC_PROMPT, MRPC_WORDS)
    texts = [
        prompt.format(**{key: str(value).strip() for key, value in row.items()}) for row in rows
    ]
    labels = [int(row["label"]) for row in rows]
    return classification(model, tokenizer, texts, words, labels, positions)


def classification(
    model: StreamModel,
    tokenizer,
    texts: Sequence[str],
    words: Sequence[str],
    labels: Sequence[int],
    positions: int,
) -> float:
    """How often the word of the right class has the highest logit behind a prompt, in percent.

    Args:
      model: the model.
      tokenizer: its tokenizer.
      texts: the prompts; cut on the left where they are longer than the model takes.
      words: one word a class; its first token stands for it.
      labels: the right class of each prompt.
      positions: how many tokens the model takes.
    """
    classes = [tokenizer.encode(word, add_special_tokens=False)[0] for word in words]
    if len(set(classes)) < len(classes):
        raise TracrLabError(f"the words {', '.join(words)} begin with the same token.")
    right = 0
    for tokens, chosen in _batches(tokenizer, texts, positions):
        last = require_finite(_logits_at_the_end(model, tokens), "prompts of classification")
        right += int((last[:, classes].argmax(dim=-1).numpy() == np.array(labels)[chosen]).sum())
    return 100 * right / len(texts)


def lambada(model: StreamModel, tokenizer, texts: Sequence[str], positions: int) -> float:
    """How often greedy decoding gives the last word of a passage, in percent.

    All tokens of the last word must be the most likely ones, given those before them.
    """
    right = 0
    for text in texts:
        front, _, word = text.strip().rpartition(" ")
        context = tokenizer.encode(front, add_special_tokens=False)
        wanted = tokenizer.encode(" " + word, add_special_tokens=False)
        tokens = (context + wanted)[-positions:]
        with torch.no_grad():
            hidden = model(torch.tensor([tokens], device=model.model.device)).hidden
            logits = model.logits(hidden[0, -len(wanted) - 1 : -1])
            said = require_finite(logits, "passages of LAMBADA").argmax(dim=-1).tolist()
        right += said == wanted
    return 100 * right / len(texts)


def _batches(tokenizer, texts: Sequence[str], positions: int, size: int = 16):
    encoded = [tokenizer.encode(text, add_special_tokens=False)[-positions:] for text in texts]
    order = sorted(range(len(texts)), key=lambda number: len(encoded[number]))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield [encoded[number] for number in chosen], chosen


@torch.no_grad()
def _logits_at_the_end(model: StreamModel, tokens: list[list[int]]) -> torch.Tensor:
    lengths = [len(row) for row in tokens]
    padded = torch.zeros((len(tokens), max(lengths)), dtype=torch.int64)
    for row, given in zip(padded, tokens, strict=True):
        row[: len(given)] = torch.tensor(given)
    run = model(padded.to(model.model.device))
    last = torch.tensor(lengths) - 1
    return model.logits_at(run, torch.arange(len(tokens)), last).float().cpu()
