"""The frozen original on plain text, which the text loss keeps a model close to."""

from __future__ import annotations

import copy

import numpy as np
import torch

from tracrlab.injection.batch import Batch
from tracrlab.injection.methods import TextPart
from tracrlab.injection.streams import StreamModel

#: Bytes that the frozen model's hidden states on text may take.
CACHE_BYTES = 2**30


class Reference:
    """The frozen original on text: its final hidden states are kept, its head applied on demand."""

    def __init__(
        self,
        streams: StreamModel,
        windows: np.ndarray,
        device: torch.device,
        limit: int = CACHE_BYTES,
    ):
        self.windows = torch.from_numpy(windows)
        self.device = device
        self._model = (
            copy.deepcopy(streams).to(device).requires_grad_(False) if len(windows) else None
        )
        size = windows.size * streams.width * 4
        self._kept = torch.empty(*windows.shape, streams.width) if size <= limit else None
        self._known = np.zeros(len(windows), dtype=bool)

    @torch.no_grad()
    def part(self, batch: Batch) -> TextPart | None:
        """The text of a batch, with the frozen original's logits."""
        if not len(batch.text):
            return None
        tokens = self.windows[torch.from_numpy(batch.text)].to(self.device)
        positions = torch.from_numpy(batch.places).to(self.device)
        hidden = self._hidden(batch.text, tokens)
        windows = torch.arange(len(tokens), device=self.device)[:, None]
        logits = self._model.logits(hidden[windows, positions].flatten(0, 1))
        return TextPart(tokens, positions, logits)

    def _hidden(self, numbers: np.ndarray, tokens: torch.Tensor) -> torch.Tensor:
        if self._kept is None:
            return self._model(tokens).hidden
        if not self._known[numbers].all():
            self._kept[numbers] = self._model(tokens).hidden.float().cpu()
            self._known[numbers] = True
        return self._kept[numbers].to(self.device)
