"""Where a run of training stands."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from tracrlab.decompiler.loading import Position


@dataclass
class RunState:
    """Where a run stands; JSON but for the best weights.

    Attributes:
      step, samples: taken so far.
      position: of the stream of batches.
      lines: of the curve.
      recent: losses of the steps since the last line.
      seconds: of training, earlier processes counted.
      best_loss, best_step: of the lowest validation loss.
      since_best: lines since then.
      best: the weights then, by name; empty without validation.
    """

    step: int = 0
    samples: int = 0
    position: Position = field(default_factory=Position)
    lines: list[dict[str, Any]] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)
    seconds: float = 0.0
    best_loss: float = math.inf
    best_step: int = 0
    since_best: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    def header(self) -> dict[str, Any]:
        """Everything but the best weights."""
        values = {name: value for name, value in vars(self).items() if name != "best"}
        known = math.isfinite(self.best_loss)
        position = [self.position.epoch, self.position.batch]
        return values | {"position": position, "best_loss": self.best_loss if known else None}

    @classmethod
    def of(cls, header: dict[str, Any], best: dict[str, Tensor]) -> RunState:
        """The inverse of `header`."""
        loss = header["best_loss"]
        return cls(
            **header
            | {
                "position": Position(*header["position"]),
                "best_loss": math.inf if loss is None else loss,
                "best": best,
            }
        )
