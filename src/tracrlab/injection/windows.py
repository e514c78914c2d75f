"""Windows of plain text on which a model stays close to the original; every run reads the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path
from tracrlab.injection.text import load_text, part_documents, token_windows
from tracrlab.sealing import BLANK_SEAL, check_seal, seal
from tracrlab.sections.injection import InjectionConfig

#: Characters of text for each token that is wanted; more than enough.
CHARACTERS = 8
#: Positions whose predictions are drawn from at once.
POSITIONS = 128


@dataclass(frozen=True)
class TextWindows:
    """Windows of text, and what the frozen original says behind each of their tokens.

    Attributes:
      tokens: int64 [windows, length].
      drawn: tokens drawn from the original's prediction, int32 [windows, length, draws]; None where
        whole predictions are compared.
      logits: the original's logits of these, float32, the same shape.
    """

    tokens: np.ndarray
    drawn: np.ndarray | None = None
    logits: np.ndarray | None = None

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Those that there are, by name."""
        return {name: array for name, array in vars(self).items() if array is not None}


def make_windows(model, tokenizer, config: InjectionConfig, seed: int) -> TextWindows:
    """Windows of the training documents of the configured texts, equally many of each.

    Args:
      model: the frozen original, a ``PreTrainedModel``.
      tokenizer: its tokenizer.
      config: texts, length and number of windows, and how many tokens are drawn.
      seed: of their order and of the draws.

    Returns:
      fewer windows than wanted where the texts are short, none where no text is used.
    """
    length, count = config.text_length, config.text_windows
    if not config.text_batch or config.weights.text == 0:
        return TextWindows(np.zeros((0, length), dtype=np.int64))
    share = -(-count // len(config.text))
    parts = []
    for name in config.text:
        documents, _ = part_documents(load_text(name))
        order = np.random.default_rng(seed).permutation(len(documents))
        ends = np.cumsum([len(documents[number]) for number in order])
        enough = int(np.searchsorted(ends, share * length * CHARACTERS)) + 1
        chosen = [documents[number] for number in order[:enough]]
        parts.append(token_windows(tokenizer, chosen, length, seed)[:share])
    tokens = np.concatenate(parts)[:count]
    if not config.text_draws:
        return TextWindows(tokens)
    return TextWindows(tokens, *draw_predictions(model, tokens, config.text_draws, seed))


def draw_predictions(
    model, tokens: np.ndarray, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens drawn, with replacement, from what a model predicts behind every token.

    Args:
      model: a ``PreTrainedModel``; it runs on the fastest device and stays where it was.
      tokens: int64 [windows, length].
      draws: tokens for each position.
      seed: of the draws.

    Returns:
      int32 tokens and their float32 logits [windows, length, draws].
    """
    import torch

    from tracrlab.injection.streams import StreamModel, fastest_device
    from tracrlab.progress import progress

    device, before = fastest_device(), model.device
    streams = StreamModel(model.eval()).to(device)
    generator = torch.Generator(device).manual_seed(seed)
    drawn = np.zeros((*tokens.shape, draws), dtype=np.int32)
    logits = np.zeros(drawn.shape, dtype=np.float32)
    size = max(1, POSITIONS // tokens.shape[1])
    starts = range(0, len(tokens), size)
    with torch.no_grad():
        for start in progress(starts, len(starts), "drawing from predictions"):
            chosen = slice(start, start + size)
            hidden = streams(torch.from_numpy(tokens[chosen]).to(device)).hidden
            found = streams.logits(hidden.flatten(0, 1)).float()
            draw = torch.multinomial(found.softmax(-1), draws, True, generator=generator)
            shape = drawn[chosen].shape
            drawn[chosen] = draw.cpu().numpy().reshape(shape)
            logits[chosen] = found.gather(1, draw).cpu().numpy().reshape(shape)
    model.to(before)
    return drawn, logits


def save_windows(path: Path, text: TextWindows) -> None:
    """Writes windows as safetensors, atomically."""
    from safetensors.numpy import save_file

    with atomic_path(path) as temporary:
        save_file(text.arrays, temporary, metadata={"tracrlab": BLANK_SEAL})
        seal(temporary)


def load_windows(path: Path, config: InjectionConfig) -> TextWindows:
    """Reads what `save_windows` wrote.

    Raises:
      TracrLabError: if the file is missing or damaged, or was made by another configuration.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        check_seal(path)
        arrays = load_file(path)
        text = TextWindows(arrays["tokens"], arrays.get("drawn"), arrays.get("logits"))
    except (OSError, ValueError, SafetensorError, KeyError) as error:
        raise TracrLabError(f"the text windows {path} cannot be read ({error}).") from None
    draws = 0 if text.drawn is None else text.drawn.shape[2]
    for key, found in (("text_length", text.tokens.shape[1]), ("text_draws", draws)):
        if len(text.tokens) and found != getattr(config, key):
            raise TracrLabError(
                f"the windows of {path} were made with injection.{key} {found} and it is "
                f"{getattr(config, key)}; make them again."
            )
    return text
