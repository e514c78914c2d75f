"""How much of what a program's blocks write can be read from what a trained model's blocks write.

Many programs compute the same as a model. A student was trained to write, block by block, what the
compiled model of its program writes, as seen in another stream (Inverse Tracr, chapters 6 and 7);
so among programs that compute the same, its own is the one whose compiled blocks are read best.
"""

from __future__ import annotations

import numpy as np

from tracrlab.compiler.forward import Trace, forward
from tracrlab.compiler.model import CompiledModel

#: Inputs that models are compared on.
INPUTS = 96
#: Of the mean square of what the model writes in a direction; keeps the reading stable.
RIDGE = 1e-4


class Blocks:
    """What the embedding and every half-layer of a model write.

    Args:
      model: the model.
      codes: inputs as `tracrlab.compiler.forward.forward` takes them, [inputs, positions].
      lengths: theirs [inputs].
    """

    def __init__(self, model: CompiledModel, codes: np.ndarray, lengths: np.ndarray):
        self._inputs = codes, lengths
        self._layers = len(model.architecture.layers)
        self._written = self._run(model)
        moments = self._written.T @ self._written
        moments[np.diag_indices_from(moments)] += RIDGE * np.trace(moments) / len(moments) + 1e-12
        self._moments = moments

    def likeness(self, other: CompiledModel) -> float:
        """The share of what another model's blocks write that one linear map reads from these.

        Every direction of the other's stream counts alike.

        Returns:
          from 0 to 1, rounded to 1e-6; 0 for a model of another number of layers.
        """
        if len(other.architecture.layers) != self._layers:
            return 0.0
        target = self._run(other)
        size = np.sqrt(np.square(target).mean(axis=0))
        target = target[:, size > 0] / size[size > 0]
        read = np.linalg.solve(self._moments, self._written.T @ target)
        lost = np.square(self._written @ read - target).sum() / np.square(target).sum()
        return round(float(np.clip(1 - lost, 0, 1)), 6)

    def _run(self, model: CompiledModel) -> np.ndarray:
        """[blocks * positions that are no padding, d_model], float64."""
        codes, lengths = self._inputs
        trace = Trace()
        forward(model.architecture, model.weights, codes, lengths, trace)
        streams = np.stack(trace.residuals)[:, np.arange(codes.shape[1]) < lengths[:, None]]
        written = np.concatenate([streams[:1], np.diff(streams, axis=0)])
        return written.reshape(-1, streams.shape[-1]).astype(np.float64)
