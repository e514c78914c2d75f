"""What one training step reads: examples, the program's values on them, interchanges, and text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Patches:
    """Interchange interventions on variables, one entry each.

    At the last prompt token of a row a variable takes the value it has at that of another row.

    Attributes:
      variables: numbers of the variables, int64 [patches].
      rows, positions: where; sources, source_positions: from where.
      targets: the next token that the program gives then.
      codes: values of all variables there and then, float32 [patches, variables].
    """

    variables: np.ndarray
    rows: np.ndarray
    positions: np.ndarray
    sources: np.ndarray
    source_positions: np.ndarray
    targets: np.ndarray
    codes: np.ndarray

    def take(self, chosen: np.ndarray, number: np.ndarray) -> Patches:
        """Some of the patches, as patches of a part of the rows.

        Args:
          chosen: numbers of the patches.
          number: of each row, what it is in the part, int64 [rows].
        """
        return Patches(
            self.variables[chosen],
            number[self.rows[chosen]],
            self.positions[chosen],
            number[self.sources[chosen]],
            self.source_positions[chosen],
            self.targets[chosen],
            self.codes[chosen],
        )


@dataclass(frozen=True)
class Batch:
    """What one training step reads.

    Attributes:
      tokens: the model's tokens [rows, positions], padded on the right; lengths of the rows [rows].
      rows, positions, targets: where answers are supervised, and the token that follows.
      aligned_rows, aligned_positions: where streams are aligned; codes: the values of all variables
        there, float32 [aligned, variables].
      patched: which of the aligned positions have a patch, as its number, else -1.
      patches: interventions on variables, or None.
      text: numbers of the text windows; places: positions of each whose logits are compared.
      negatives: tokens that are no part of any answer, which stand for all of these in the answer
        loss; none where that is exact.
      donors: the row that each row is swapped with, -1 for none [rows]; None in a whole batch,
        where it is the row before.
      weights: what each loss counts by in a part of a batch (`sharing.share`).
      whole_codes: `codes` of the whole batch, in a part of one.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    aligned_rows: np.ndarray
    aligned_positions: np.ndarray
    codes: np.ndarray
    patched: np.ndarray
    patches: Patches | None
    text: np.ndarray
    places: np.ndarray
    negatives: np.ndarray
    donors: np.ndarray | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    whole_codes: np.ndarray | None = None
