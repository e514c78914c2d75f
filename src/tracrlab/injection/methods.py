"""One training step's losses, for every method: which terms there are is configuration.

| method | answer | text | alignment | swap | interchange |
|---|---|---|---|---|---|
| finetune_kl | yes | yes | | | |
| tracr_injection | yes | yes | yes | yes | |
| interchange | yes | yes | yes | | prompts and variables |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tracrlab.injection.alignment import (
    Alignment,
    LinearMap,
    basis_of_rows,
    project,
    rows_of,
    swap_orthogonal,
)
from tracrlab.injection.batches import Batch, Patches, stage_index
from tracrlab.injection.compiled import CompiledProgram
from tracrlab.injection.losses import (
    alignment_loss,
    answer_loss,
    sampled_answer_loss,
    sampled_text_loss,
    text_loss,
)
from tracrlab.injection.streams import Run, StreamModel
from tracrlab.injection.targets import TargetStreams
from tracrlab.injection.variable_loss import VariableLoss

FINETUNE, INJECTION, INTERCHANGE = "finetune_kl", "tracr_injection", "interchange"


@dataclass(frozen=True)
class Terms:
    """What a step's loss is made of.

    Attributes:
      answer, alignment, text: weights of the losses; a term of weight 0 is not computed.
      divisor: what the sum over stages is divided by; None for their number.
      alignment_loss: "cosine", the paper's, or "variables".
      swap: "map", "answer" or "none"; swap_share: share of the rows that are swapped.
    """

    answer: float = 1.0
    alignment: float = 1.0
    text: float = 1.0
    divisor: int | None = None
    alignment_loss: str = "cosine"
    swap: str = "answer"
    swap_share: float = 1.0


@dataclass
class TextPart:
    """The text of a step on the device: tokens [windows, length] and what to compare.

    Attributes:
      tokens: the windows; positions: where logits are compared [windows, places].
      reference: the frozen original's logits there [windows * places, vocabulary or draws].
      drawn: the tokens that are compared at each [windows * places, draws]; None: all.
    """

    tokens: Tensor
    positions: Tensor
    reference: Tensor
    drawn: Tensor | None = None


class InjectionStep(nn.Module):
    """A language model, its linear map and the losses of one batch.

    Args:
      model: the language model.
      program: the compiled program.
      alignment: what faces what.
      terms: which losses, and their weights.
      linear_map: the map; None where nothing is aligned.
      answers: every token that answers are made of, ascending; read where the answer loss samples.
      codes: values of the variables in training, float32 [positions, variables]; read where the
        alignment loss is that of variables.
    """

    def __init__(
        self,
        model: StreamModel,
        program: CompiledProgram,
        alignment: Alignment,
        terms: Terms,
        linear_map: LinearMap | None,
        answers: np.ndarray | None = None,
        codes: np.ndarray | None = None,
    ):
        super().__init__()
        self.model = model
        self.linear_map = linear_map
        self.alignment = alignment
        self.terms = terms
        self.targets = TargetStreams(program, alignment) if linear_map is not None else None
        self.answers, self.variable_loss = answers, None
        if linear_map is not None and terms.alignment_loss == "variables":
            self.variable_loss = VariableLoss(program, alignment, codes)
        self._rows = [rows_of(alignment, variable.directions) for variable in program.variables]
        self._stages = [
            alignment.model_stages[
                min(stage_index(alignment, variable.stage), len(alignment.model_stages) - 1)
            ]
            for variable in program.variables
        ]

    def forward(self, batch: Batch, text: TextPart | None) -> dict[str, Tensor]:
        """The losses of a batch by name, and their weighted sum as ``loss``."""
        device = self.model.model.device
        rows, positions = _tensor(batch.rows, device), _tensor(batch.positions, device)
        aligned = self.linear_map is not None and self.terms.alignment > 0
        keep = self.alignment.model_stages if aligned else ()
        edits, patched = self._edits(batch, device)
        run = self.model(_tensor(batch.tokens, device), keep, edits)
        losses = {}
        if self.terms.answer > 0:
            losses["answer"] = self._answer(run, rows, positions, batch, device)
        if aligned:
            losses["alignment"] = self._alignment(run, batch, patched, device)
        if text is not None and self.terms.text > 0:
            losses["text"] = self.text(self.model, text)
        for name, weight in batch.weights.items():
            if name in losses:
                losses[name] = weight * losses[name]
        losses["loss"] = sum(getattr(self.terms, name) * loss for name, loss in losses.items())
        return losses

    @staticmethod
    def text(model: StreamModel, text: TextPart) -> Tensor:
        """How far a model is from the frozen original on text."""
        hidden = model(text.tokens).hidden
        windows = torch.arange(len(hidden), device=hidden.device)[:, None]
        hidden = hidden[windows, text.positions].flatten(0, 1)
        if text.drawn is None:
            return text_loss(model.logits(hidden), text.reference)
        return sampled_text_loss(model.logits_of(hidden, text.drawn), text.reference)

    def _answer(
        self, run: Run, rows: Tensor, positions: Tensor, batch: Batch, device: torch.device
    ) -> Tensor:
        if not len(batch.negatives):
            logits = self.model.logits_at(run, rows, positions)
            return answer_loss(logits, _tensor(batch.targets, device))
        return sampled_answer_loss(
            run.hidden[rows, positions],
            self.model.model.get_output_embeddings().weight,
            _tensor(np.searchsorted(self.answers, batch.targets), device),
            _tensor(self.answers, device),
            _tensor(batch.negatives, device),
        )

    def _alignment(
        self, run: Run, batch: Batch, patched: dict[int, Tensor], device: torch.device
    ) -> Tensor:
        rows = _tensor(batch.aligned_rows, device)
        positions = _tensor(batch.aligned_positions, device)
        patch_of = _tensor(batch.patched, device)
        streams = []
        for stage in self.alignment.model_stages:
            stream = run.streams[stage][rows, positions]
            if stage in patched:  # the patched stream is the one that holds the replaced value
                here = self._patched_at(batch.patches, stage, device)[patch_of] & (patch_of >= 0)
                stream = torch.where(here[:, None], patched[stage][rows, positions], stream)
            streams.append(stream)
        with torch.autocast(device.type, enabled=False):
            codes = _tensor(batch.codes, device)
            if self.variable_loss is not None:
                whole = None if batch.whole_codes is None else _tensor(batch.whole_codes, device)
                return self.variable_loss(self.linear_map, torch.stack(streams), codes, whole)
            mapped = self.linear_map(torch.stack(streams))
            compiled = self.targets(codes)
            return alignment_loss(mapped, compiled, self.terms.divisor)

    def _patched_at(self, patches: Patches, stage: int, device: torch.device) -> Tensor:
        at = [self._stages[variable] == stage for variable in patches.variables]
        return torch.tensor(at, device=device)

    def _edits(
        self, batch: Batch, device: torch.device
    ) -> tuple[dict[int, Callable[[Tensor], Tensor]], dict[int, Tensor]]:
        """Edits by stage, and where they will leave the patched streams."""
        patched: dict[int, Tensor] = {}
        edits: dict[int, Callable[[Tensor], Tensor]] = {}
        if self.linear_map is None:
            return edits, patched
        if batch.patches is not None:
            for stage in sorted({self._stages[v] for v in batch.patches.variables}):
                edits[stage] = self._patch(batch.patches, stage, patched, device)
        if self.terms.swap != "none":
            last = self.alignment.model_stages[-1]
            lengths = _tensor(batch.lengths, device)
            donors = None if batch.donors is None else _tensor(batch.donors, device)
            before = edits.get(last)

            def swap(stream: Tensor) -> Tensor:
                stream = stream if before is None else before(stream)
                with torch.autocast(device.type, enabled=False):
                    share = self.terms.swap_share
                    return swap_orthogonal(stream, self.kept_basis(), lengths, share, donors)

            edits[last] = swap
        return edits, patched

    def kept_basis(self) -> Tensor:
        """Basis of the subspace that the swap keeps, float32 [width, n]."""
        weight = self.linear_map.weight
        rows = self._rows[-1] if self.terms.swap == "answer" else range(len(weight))
        return basis_of_rows(weight[list(rows)])

    def _patch(
        self, patches: Patches, stage: int, patched: dict[int, Tensor], device: torch.device
    ) -> Callable[[Tensor], Tensor]:
        groups = {v: patches.variables == v for v in patches.variables if self._stages[v] == stage}

        def edit(stream: Tensor) -> Tensor:
            result = stream
            with torch.autocast(device.type, enabled=False):
                for variable, chosen in groups.items():
                    rows = _tensor(patches.rows[chosen], device)
                    at = _tensor(patches.positions[chosen], device)
                    source = stream[
                        _tensor(patches.sources[chosen], device),
                        _tensor(patches.source_positions[chosen], device),
                    ]
                    basis = basis_of_rows(self.linear_map.weight[self._rows[variable]])
                    change = project(source - stream[rows, at], basis).to(stream.dtype)
                    result = result.index_put((rows, at), change, accumulate=True)
            patched[stage] = result
            return result

        return edit


def _tensor(array, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)
