"""What is said of each input that a student was run on, and what is right on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Marks of inputs. Unsure is what is right, but nearly wrong: the next steps may well lose it.
RIGHT, UNSURE, WRONG = 0, 1, 2
#: From this share of the error that would make an output wrong it is unsure.
SURE = 0.7


class Wanted(NamedTuple):
    """The right outputs of a program, BOS not counted, float32 [inputs, positions] each.

    Attributes:
      values: the column of a value (-1 for None), or the number (NaN for None).
      below: how much less a number may be and is read as this one, the nearest that the program
        gives; 1/2 of a categorical output, none of whose entries may be further off for sure.
      above: how much more it may be.
    """

    values: np.ndarray
    below: np.ndarray
    above: np.ndarray

    def of(self, rows: np.ndarray | tuple[np.ndarray, ...]) -> Wanted:
        """Those of some inputs; where several models' are stacked, rows of each."""
        return Wanted(self.values[rows], self.below[rows], self.above[rows])
