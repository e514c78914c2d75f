"""The forward pass of a transformer without biases or layer norm, in numpy, on a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tracrlab.compiler.architecture import Architecture, Layer

_MASKED = np.float32(-1e30)
#: Logits this far below the largest weigh nothing: a float32 sum does not see them, and numbers
#: below the normal ones are computed with twenty times slower.
_LOWEST = np.float32(-80)


@dataclass
class Trace:
    """What a forward pass computed on the way.

    Attributes:
      residuals: the residual stream after the embedding and after every half-layer, each
        float32 [inputs, positions, d_model].
      attention: the attention pattern of each layer with heads, by layer number, each
        float32 [inputs, heads, queries, keys].
      hidden: the MLP activations of each layer with an MLP, by layer number, each
        float32 [inputs, positions, neurons].
    """

    residuals: list[np.ndarray] = field(default_factory=list)
    attention: dict[int, np.ndarray] = field(default_factory=dict)
    hidden: dict[int, np.ndarray] = field(default_factory=dict)


def forward(
    architecture: Architecture,
    weights: Mapping[str, np.ndarray],
    codes: np.ndarray,
    lengths: np.ndarray,
    trace: Trace | None = None,
) -> np.ndarray:
    """Runs the model.

    Args:
      architecture: the model's sizes.
      weights: its weights by name, float32.
      codes: rows of ``token_embed``, int64 [inputs, positions], position 0 the BOS symbol.
      lengths: number of positions of each input that are not padding, BOS counted, [inputs].
      trace: collects what is computed on the way, where it is given.

    Returns:
      the unembedded output, float32 [inputs, positions, output_size]; without meaning at padding.
    """
    positions = codes.shape[1]
    residual = weights["token_embed"][codes] + weights["pos_embed"][:positions]
    masked = masked_keys(positions, lengths, architecture.causal)
    if trace is not None:
        trace.residuals.append(residual)
    for number, layer in enumerate(architecture.layers):
        if layer.heads:
            mixed = attended(number, layer, weights, residual, masked, trace)
            residual = residual + mixed @ weights[f"layer_{number}/attn/linear"]
        if trace is not None:
            trace.residuals.append(residual)
        if layer.mlp_hidden:
            hidden = residual @ weights[f"layer_{number}/mlp/linear_1"]
            np.maximum(hidden, 0, out=hidden)
            residual = residual + hidden @ weights[f"layer_{number}/mlp/linear_2"]
            if trace is not None:
                trace.hidden[number] = hidden
        if trace is not None:
            trace.residuals.append(residual)
    return residual @ weights["unembed"]


def masked_keys(positions: int, lengths: np.ndarray, causal: bool) -> np.ndarray | None:
    """What is added to logits, so that no weight goes to padding and, if causal, to later keys.

    Returns:
      float32 [keys, 1, 1 or queries, inputs], as `attended` has its logits; None for nothing.
    """
    hidden = (np.arange(positions)[:, None] >= lengths)[:, None, None, :]
    if causal:
        hidden = hidden | ~np.tri(positions, dtype=bool).T[:, None, :, None]
    return np.where(hidden, _MASKED, np.float32(0)) if hidden.any() else None


def attended(
    number: int,
    layer: Layer,
    weights: Mapping[str, np.ndarray],
    residual: np.ndarray,
    masked: np.ndarray | None,
    trace: Trace | None = None,
) -> np.ndarray:
    """The values that a layer's heads mix, side by side, before the output matrix.

    Args:
      number: which layer.
      layer: its sizes.
      weights: the model's weights by name.
      residual: the stream that it reads, float32 [inputs, positions, d_model].
      masked: as `masked_keys` gives it.
      trace: takes the pattern, where it is given.

    Returns:
      float32 [inputs, positions, heads * value_size].
    """
    inputs, positions, width = residual.shape
    rows = residual.reshape(-1, width)

    def split(name: str, size: int) -> np.ndarray:
        projected = rows @ weights[f"layer_{number}/attn/{name}"]
        return projected.reshape(inputs, positions, layer.heads, size).transpose(0, 2, 1, 3)

    query, key = split("query", layer.key_size), split("key", layer.key_size)
    # A product with a view that is turned takes three times as long as with a turned copy.
    turned = np.ascontiguousarray(key.swapaxes(2, 3))
    # Keys first and inputs last: sums over a few keys are then additions of long rows.
    logits = np.ascontiguousarray((query @ turned).transpose(3, 1, 2, 0))
    logits *= np.float32(1 / np.sqrt(layer.key_size))
    if masked is not None:
        logits += masked
    logits -= logits.max(axis=0)
    np.maximum(logits, _LOWEST, out=logits)
    shares = np.exp(logits, out=logits)
    shares -= 2 * np.exp(_LOWEST)
    np.maximum(shares, 0, out=shares)  # exactly nothing for what is that low
    shares /= shares.sum(axis=0)
    pattern = np.ascontiguousarray(shares.transpose(3, 1, 2, 0))
    if trace is not None:
        trace.attention[number] = pattern
    mixed = pattern @ split("value", layer.value_size)
    return mixed.transpose(0, 2, 1, 3).reshape(inputs, positions, -1)
