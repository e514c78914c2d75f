"""Target streams on the training device, from the values of variables."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tracrlab.injection.alignment import Alignment
from tracrlab.injection.compiled import CompiledProgram

_ONE_HOT, _NUMBER, _CONSTANT, _WIDTH, _ABSENT = range(5)


class TargetStreams(nn.Module):
    """Aligned compiled streams from variables' values: a comparison and a mask.

    Args:
      program: the compiled program.
      alignment: which directions and stages.
    """

    def __init__(self, program: CompiledProgram, alignment: Alignment):
        super().__init__()
        directions = list(alignment.directions)
        width = program.model.architecture.d_model
        kind, source, code = np.full(width, _ABSENT), np.zeros(width, int), np.zeros(width, int)
        for number, variable in enumerate(program.variables):
            at = list(variable.directions)
            kind[at] = _NUMBER if variable.numerical else _ONE_HOT
            source[at], code[at] = number, np.arange(len(at))
        kind[program.constant] = _CONSTANT
        for direction, number in program.auxiliary:
            kind[direction], source[direction] = _WIDTH, number
        self.register_buffer("kind", torch.from_numpy(kind[directions]), persistent=False)
        self.register_buffer("source", torch.from_numpy(source[directions]), persistent=False)
        self.register_buffer("code", torch.from_numpy(code[directions]), persistent=False)
        present = program.present(alignment.compiled_stages)[:, directions]
        self.register_buffer("present", torch.from_numpy(present).float(), persistent=False)
        self._plain = bool(np.isin(kind[directions], (_ONE_HOT, _ABSENT, _CONSTANT)).all())

    def forward(self, values: Tensor) -> Tensor:
        """Streams from values of all variables, float32 [positions, variables].

        Returns:
          float32 [stages, positions, directions].
        """
        own = values[:, self.source]
        final = ((own == self.code) & (self.kind == _ONE_HOT)).float()
        final = final + (self.kind == _CONSTANT)
        if not self._plain:
            final = torch.where(self.kind == _NUMBER, own, final)
            final = torch.where(self.kind == _WIDTH, 1 / (own.clamp(min=0) + 1), final)
        return final[None] * self.present[:, None]
