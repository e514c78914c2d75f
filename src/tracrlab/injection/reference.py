"""The frozen original on plain text, which the text loss keeps a model close to."""

from __future__ import annotations

import copy

import numpy as np
import torch

from tracrlab.injection.batch import Batch
from tracrlab.injection.methods import TextPart
from tracrlab.injection.streams import StreamModel
from tracrlab.injection.windows import TextWindows

#: Bytes that the frozen model's hidden states on text may take.
CACHE_BYTES = 2**30


class Reference:
    """What the frozen original says on text: as it was drawn beforehand, or its whole prediction.

    For whole predictions its final hidden states are kept and its head is applied on demand.
    """

    def __init__(
        self,
        streams: StreamModel,
        text: TextWindows,
        device: torch.device,
        limit: int = CACHE_BYTES,
    ):
        self.text, self.device = text, device
        self._model = self._kept = None
        if len(text.tokens) and text.drawn is None:
            self._model = copy.deepcopy(streams).to(device).requires_grad_(False)
            size = text.tokens.size * streams.width * 4
            if size <= limit:
                self._kept = torch.empty(*text.tokens.shape, streams.width)
        self._known = np.zeros(len(text.tokens), dtype=bool)

    @torch.no_grad()
    def part(self, batch: Batch) -> TextPart | None:
        """The text of a batch, with the frozen original's logits."""
        if not len(batch.text):
            return None
        tokens = torch.from_numpy(self.text.tokens[batch.text]).to(self.device)
        positions = torch.from_numpy(batch.places).to(self.device)
        if self._model is None:
            chosen = (batch.text[:, None], batch.places)
            drawn = torch.from_numpy(self.text.drawn[chosen]).to(self.device).flatten(0, 1)
            logits = torch.from_numpy(self.text.logits[chosen]).to(self.device).flatten(0, 1)
            return TextPart(tokens, positions, logits, drawn.long())
        hidden = self._hidden(batch.text, tokens)
        windows = torch.arange(len(tokens), device=self.device)[:, None]
        return TextPart(
            tokens, positions, self._model.logits(hidden[windows, positions].flatten(0, 1))
        )

    def _hidden(self, numbers: np.ndarray, tokens: torch.Tensor) -> torch.Tensor:
        if self._kept is None:
            return self._model(tokens).hidden
        if not self._known[numbers].all():
            self._kept[numbers] = self._model(tokens).hidden.float().cpu()
            self._known[numbers] = True
        return self._kept[numbers].to(self.device)
