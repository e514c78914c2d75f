"""How well each variable can be read from the mapped streams: an alignment loss beside the cosine.

The cosine of Tracr-injection weighs every direction alike, so that among six one-hot variables the
one that matters is a sixth of it, and it is nearly flat where a variable of forty values is not yet
known. Here each variable counts the same, by how surprising its value is to the reader.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tracrlab.injection.alignment import Alignment, LinearMap, rows_of
from tracrlab.injection.compiled import CompiledProgram, Variable

#: The entropy of a value in nats below which this one counts.
SMALLEST_ENTROPY = 0.1
#: Logits of a one-hot value are this many times the mapped stream of length 1, where it is about 1.
SHARPNESS = 10.0
#: A number that is read exactly is so many nats more likely to the reader than one a gap away.
GAP = 4.0
#: Values of a number that are told apart; of more, so many spread over them.
MOST_VALUES = 512


class VariableLoss(nn.Module):
    """The mean over variables, and over the aligned stages from which each is written on.

    Of each variable: the cross-entropy of its value, in units of its entropy in training, which is
    what the best guess costs, so that a variable that is nearly always the same counts as much as
    one of many values. Its reader is what `tracrlab.injection.variables` decodes by, made soft: of
    a categorical one a softmax over its aligned directions, of a numerical one a softmax over its
    values in training, the nearer the likelier, and the direction `one`, against which numbers are
    read, is held at 1. (The squared error of a number all but vanishes long before neighbours are
    told apart.) A number that training does not have counts as the nearest one.

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
        self.readers = nn.ModuleDict()
        self._first: dict[str, int] = {}
        for number, variable in enumerate(program.variables):
            reader = _reader(variable, alignment, codes[:, number])
            first = int(np.searchsorted(compiled, variable.stage))
            if reader is None or first == len(compiled) or (variable.numerical and not self._one):
                continue
            self.readers[str(number)], self._first[str(number)] = reader, first

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
        # All rows at once: each gathering of its own costs a backward pass as large as all rows.
        readers = list(self.readers.values())
        rows = [row for reader in readers for row in reader.rows]
        parts = mapped[..., rows].split([len(reader.rows) for reader in readers], dim=-1)
        terms = []
        for number, reader, part in zip(self.readers, readers, parts, strict=True):
            column = int(number)
            places = reader.places(codes[:, column])
            all_places = places if whole is codes else reader.places(whole[:, column])
            in_batch = int((all_places >= 0).sum())
            if in_batch:
                surprise = reader(part[self._first[number] :], places)
                terms.append(surprise / in_batch * (len(whole) / len(codes)))
        if self._one:
            terms.append(((mapped[..., self._one[0]] - 1) ** 2).mean())
        return torch.stack(terms).mean() if terms else mapped.sum() * 0


class _Reader(nn.Module):
    """Reads one variable.

    Args:
      rows: of the map, those of its aligned directions.
    """

    def __init__(self, rows: list[int]):
        super().__init__()
        self.rows = rows
        self.entropy = 1.0

    def forward(self, mapped: Tensor, places: Tensor) -> Tensor:
        """The sum of its values' cross-entropies, a mean over stages, in units of its entropy.

        Args:
          mapped: its rows of the mapped streams, [stages, positions, rows].
          places: `places` of its values [positions].
        """
        known = places >= 0
        if not known.all():
            mapped, places = mapped[:, known], places[known]
        logits = self.logits(mapped).flatten(0, 1)
        targets = places.repeat(len(mapped))
        total = functional.cross_entropy(logits, targets, reduction="sum")
        return total / len(mapped) / self.entropy

    def logits(self, mapped: Tensor) -> Tensor:
        """Of each value that it can be read as, from [..., rows]."""
        raise NotImplementedError

    def places(self, codes: Tensor) -> Tensor:
        """Which of these each value is, int64 in the shape of `codes`; -1 for none of them."""
        raise NotImplementedError

    def measure(self, codes: np.ndarray) -> None:
        """Takes its entropy in nats from its values in training [positions]."""
        places = self.places(torch.from_numpy(codes))
        shares = torch.bincount(places[places >= 0]).double()
        entropy = float(torch.special.entr(shares / shares.sum()).sum())
        self.entropy = max(entropy, SMALLEST_ENTROPY)


class _Symbols(_Reader):
    """A categorical variable; `places` says which of the rows each of its values is."""

    def __init__(self, rows: list[int], places: list[int]):
        super().__init__(rows)
        # The last entry is that of None and of values without a direction.
        self.register_buffer("place", torch.tensor([*places, -1]), persistent=False)

    def logits(self, mapped: Tensor) -> Tensor:
        return SHARPNESS * mapped

    def places(self, codes: Tensor) -> Tensor:
        code = codes.long()
        return self.place[torch.where(code < 0, len(self.place) - 1, code)]


class _Numbers(_Reader):
    """A numerical variable that takes these values, ascending."""

    def __init__(self, rows: list[int], values: np.ndarray):
        super().__init__(rows)
        self.register_buffer("values", torch.from_numpy(values), persistent=False)
        middles = torch.from_numpy((values[1:] + values[:-1]) / 2)
        self.register_buffer("middles", middles, persistent=False)
        self.gap = 1.0

    def logits(self, mapped: Tensor) -> Tensor:
        return -GAP / self.gap * (mapped - self.values).abs()

    def places(self, codes: Tensor) -> Tensor:
        return torch.searchsorted(self.middles, codes.contiguous())

    def measure(self, codes: np.ndarray) -> None:
        """The gap is that of evenly spread values of this deviation and entropy."""
        super().measure(codes)
        self.gap = float(codes.std()) * math.sqrt(12) / math.exp(self.entropy)


def _reader(variable: Variable, alignment: Alignment, codes: np.ndarray) -> _Reader | None:
    """None for a variable that cannot be read, or has one value only."""
    rows = rows_of(alignment, variable.directions)
    reader: _Reader
    if variable.numerical:
        values = np.unique(codes)
        if not rows or len(values) < 2:
            return None
        if len(values) > MOST_VALUES:
            values = values[np.linspace(0, len(values) - 1, MOST_VALUES).round().astype(int)]
        reader = _Numbers(rows, values)
    else:
        if len(rows) < 2:
            return None
        found = (rows_of(alignment, [direction]) for direction in variable.directions)
        reader = _Symbols(rows, [rows.index(row[0]) if row else -1 for row in found])
    reader.measure(codes)
    return reader
