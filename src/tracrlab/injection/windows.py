"""Windows of plain text on which a model stays close to the original; every run reads the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path
from tracrlab.injection.text import load_text, part_documents, token_windows
from tracrlab.sealing import BLANK_SEAL, check_seal, seal
from tracrlab.sections.injection import InjectionConfig

#: Characters of text for each token that is wanted; more than enough.
CHARACTERS = 8


def make_windows(tokenizer, config: InjectionConfig, seed: int) -> np.ndarray:
    """Windows of the training documents of the configured texts, equally many of each.

    Args:
      tokenizer: the model's.
      config: texts, length and number of windows.
      seed: of their order.

    Returns:
      int64 [windows, length]; fewer than wanted where the texts are short, none where no text is
      used.
    """
    length, count = config.text_length, config.text_windows
    if not config.text_batch or config.weights.text == 0:
        return np.zeros((0, length), dtype=np.int64)
    share = -(-count // len(config.text))
    parts = []
    for name in config.text:
        documents, _ = part_documents(load_text(name))
        order = np.random.default_rng(seed).permutation(len(documents))
        ends = np.cumsum([len(documents[number]) for number in order])
        enough = int(np.searchsorted(ends, share * length * CHARACTERS)) + 1
        chosen = [documents[number] for number in order[:enough]]
        parts.append(token_windows(tokenizer, chosen, length, seed)[:share])
    return np.concatenate(parts)[:count]


def save_windows(path: Path, windows: np.ndarray) -> None:
    """Writes windows as safetensors, atomically."""
    from safetensors.numpy import save_file

    with atomic_path(path) as temporary:
        save_file({"windows": windows}, temporary, metadata={"tracrlab": BLANK_SEAL})
        seal(temporary)


def load_windows(path: Path, config: InjectionConfig) -> np.ndarray:
    """Reads what `save_windows` wrote.

    Raises:
      TracrLabError: if the file is missing or damaged, or its windows have another length.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        check_seal(path)
        windows = load_file(path)["windows"]
    except (OSError, ValueError, SafetensorError, KeyError) as error:
        raise TracrLabError(f"the text windows {path} cannot be read ({error}).") from None
    if windows.shape[1] != config.text_length:
        raise TracrLabError(
            f"the windows of {path} have {windows.shape[1]} tokens and injection.text_length is "
            f"{config.text_length}; make them again."
        )
    return windows
