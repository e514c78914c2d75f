"""How well each variable can be read from the mapped streams: an alignment loss beside the cosine.

The cosine of Tracr-injection weighs every direction alike, so that among six one-hot variables the
one that matters is a sixth of it, and it is nearly flat where a variable of forty values is not yet
known. Here each variable counts the same, by how surprising its value is to the reader.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tracrlab.injection.alignment import Alignment, LinearMap, rows_of
from tracrlab.injection.compiled import CompiledProgram

#: A number's variance, and the entropy of a value in nats, below which these ones count.
SMALLEST_VARIANCE, SMALLEST_ENTROPY = 1e-4, 0.1
#: Logits are this many times the mapped stream of length 1, where a one-hot value is about 1.
SHARPNESS = 10.0


class VariableLoss(nn.Module):
    """The mean over variables, and over the aligned stages from which each is written on.

    Of a categorical variable: the cross-entropy of its value by a softmax over its aligned
    directions, in units of its entropy in training, which is what the best guess costs: a variable
    that is nearly always the same counts as much as one of many values. Of a numerical one: the
    squared error in units of its variance, the direction `one` being held at 1, against which
    numbers are read.

    Streams are taken at length 1, as in the cosine: those of late layers are many times longer.

    Args:
      program: the compiled program.
      alignment: what faces what.
      codes: values of the variables at the aligned positions of training, float32
        [positions, variables].
    """

    def __init__(self, program: CompiledProgram, alignment: Alignment, codes: np.ndarray):
        super().__init__()
        compiled = np.array(alignment.compiled_stages)
        self._one = rows_of(alignment, [program.constant])
        self._parts: list[tuple[int, int, list[int], float]] = []
        self._row_of: dict[int, list[int]] = {}
        for number, variable in enumerate(program.variables):
            rows = rows_of(alignment, variable.directions)
            first = int(np.searchsorted(compiled, variable.stage))
            if first == len(compiled) or len(rows) < (1 if variable.numerical else 2):
                continue
            if variable.numerical:
                if not self._one:
                    continue
                scale = max(float(codes[:, number].var()), SMALLEST_VARIANCE)
            else:
                found = (rows_of(alignment, [d]) for d in variable.directions)
                places = [rows.index(row[0]) if row else -1 for row in found]
                # The last entry is that of None and of values without a direction.
                self.register_buffer(
                    f"place_{number}", torch.tensor([*places, -1]), persistent=False
                )
                scale = max(self._entropy(codes, number), SMALLEST_ENTROPY)
            self._parts.append((number, first, rows, scale))

    def forward(
        self, linear_map: LinearMap, streams: Tensor, codes: Tensor, whole: Tensor | None = None
    ) -> Tensor:
        """The loss.

        Args:
          linear_map: the map.
          streams: of the model, [stages, positions, width].
          codes: values of all variables, float32 [positions, variables].
          whole: those of the whole batch, where these are a part of it. A variable without a value
            at some positions then counts by its share of the batch's values, so that the mean of
            the parts, each weighed by its positions, is the loss of the batch.
        """
        mapped = linear_map(functional.normalize(streams.float(), dim=-1))
        whole = codes if whole is None else whole
        terms = [self._term(mapped[first:], codes, whole, *part) for first, part in self._split()]
        if self._one:
            terms.append(((mapped[..., self._one[0]] - 1) ** 2).mean())
        found = [term for term in terms if term is not None]
        return torch.stack(found).mean() if found else mapped.sum() * 0

    def _split(self):
        return [(first, (number, rows, scale)) for number, first, rows, scale in self._parts]

    def _term(
        self,
        mapped: Tensor,
        codes: Tensor,
        whole: Tensor,
        number: int,
        rows: list[int],
        scale: float,
    ) -> Tensor | None:
        if not hasattr(self, f"place_{number}"):
            return ((mapped[..., rows[0]] - codes[:, number]) ** 2).mean() / scale
        in_batch = int((self._places(whole, number) >= 0).sum())
        if not in_batch:
            return None
        place = self._places(codes, number)
        known = place >= 0
        logits = SHARPNESS * mapped[:, known][..., rows].flatten(0, 1)
        targets = place[known].repeat(len(mapped))
        total = functional.cross_entropy(logits, targets, reduction="sum") / len(mapped)
        return total / in_batch * (len(whole) / len(codes)) / scale

    def _entropy(self, codes: np.ndarray, number: int) -> float:
        """Entropy in nats of the values of a categorical variable that have a direction."""
        places = self._places(torch.from_numpy(codes), number)
        shares = torch.bincount(places[places >= 0]).double()
        return float(torch.special.entr(shares / shares.sum()).sum())

    def _places(self, codes: Tensor, number: int) -> Tensor:
        """Which of its aligned directions each value of a categorical variable is; -1 for none."""
        places = getattr(self, f"place_{number}")
        code = codes[:, number].long()
        return places[torch.where(code < 0, len(places) - 1, code)]
