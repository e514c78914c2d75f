"""Many models as one stack of arrays, padded to a shape that they share.

Zero padding changes nothing: a padded head writes zero, a padded neuron is zero, a padded direction
is never read. Shapes are rounded up, so that few of them have to be compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import CompiledModel


@dataclass(frozen=True)
class Bucket:
    """The padded sizes of a stack.

    Attributes:
      symbols, positions: rows of the token and position embeddings.
      layers, d_model, heads, key_size, value_size, mlp_hidden, outputs: as in `Architecture`, the
        largest of each.
      width: width of the compressed residual stream.
      causal: whether attention is masked causally.
    """

    symbols: int
    positions: int
    layers: int
    d_model: int
    heads: int
    key_size: int
    value_size: int
    mlp_hidden: int
    outputs: int
    width: int
    causal: bool

    @classmethod
    def of(cls, architecture: Architecture, width: int) -> Bucket:
        """The smallest bucket for a model that is compressed to `width`."""
        layers = architecture.layers

        def largest(name: str, step: int) -> int:
            return _round_up(max(getattr(layer, name) for layer in layers), step)

        return cls(
            symbols=len(architecture.input_symbols),
            positions=architecture.max_seq_len + 1,
            layers=len(layers),
            d_model=_round_up(architecture.d_model, 8),
            heads=largest("heads", 1),
            key_size=largest("key_size", 8),
            value_size=largest("value_size", 8),
            mlp_hidden=largest("mlp_hidden", 32),
            outputs=_round_up(architecture.output_size, 8),
            width=_round_up(width, 8),
            causal=architecture.causal,
        )


def _round_up(size: int, step: int) -> int:
    return max(step, -(-size // step) * step)


def padded_weights(model: CompiledModel, bucket: Bucket) -> dict[str, np.ndarray]:
    """One model's weights in a bucket's shapes, heads apart, float32.

    Queries are divided by the root of the model's own key size, so that the padded forward pass
    needs no scale.

    Returns:
      tokens [symbols, D], positions [positions, D], query and key [layers, D, heads, K],
      value [layers, D, heads, V], linear [layers, heads, V, D], linear_1 [layers, D, M],
      linear_2 [layers, M, D], unembed [D, outputs], output_mask [outputs].
    """
    b, weights, width = bucket, model.weights, model.architecture.d_model
    out = {
        "tokens": np.zeros((b.symbols, b.d_model), np.float32),
        "positions": np.zeros((b.positions, b.d_model), np.float32),
        "query": np.zeros((b.layers, b.d_model, b.heads, b.key_size), np.float32),
        "key": np.zeros((b.layers, b.d_model, b.heads, b.key_size), np.float32),
        "value": np.zeros((b.layers, b.d_model, b.heads, b.value_size), np.float32),
        "linear": np.zeros((b.layers, b.heads, b.value_size, b.d_model), np.float32),
        "linear_1": np.zeros((b.layers, b.d_model, b.mlp_hidden), np.float32),
        "linear_2": np.zeros((b.layers, b.mlp_hidden, b.d_model), np.float32),
        "unembed": np.zeros((b.d_model, b.outputs), np.float32),
        "output_mask": np.zeros(b.outputs, np.float32),
    }
    out["tokens"][:, :width] = weights["token_embed"]
    out["positions"][:, :width] = weights["pos_embed"]
    out["unembed"][:width, : model.architecture.output_size] = weights["unembed"]
    out["output_mask"][: model.architecture.output_size] = 1
    for number, layer in enumerate(model.architecture.layers):
        if layer.heads:
            prefix = f"layer_{number}/attn/"
            for name, size in (
                ("query", layer.key_size),
                ("key", layer.key_size),
                ("value", layer.value_size),
            ):
                matrix = weights[prefix + name].reshape(width, layer.heads, size)
                scale = np.sqrt(layer.key_size) if name == "query" else 1
                out[name][number, :width, : layer.heads, :size] = matrix / scale
            matrix = weights[prefix + "linear"].reshape(layer.heads, layer.value_size, width)
            out["linear"][number, : layer.heads, : layer.value_size, :width] = matrix
        if layer.mlp_hidden:
            prefix = f"layer_{number}/mlp/"
            out["linear_1"][number, :width, : layer.mlp_hidden] = weights[prefix + "linear_1"]
            out["linear_2"][number, : layer.mlp_hidden, :width] = weights[prefix + "linear_2"]
    return out


def unpadded_weights(
    padded: dict[str, np.ndarray], architecture: Architecture
) -> dict[str, np.ndarray]:
    """A model's own weights out of padded ones: the inverse of `padded_weights`."""
    width = architecture.d_model
    out = {
        "token_embed": padded["tokens"][: len(architecture.input_symbols), :width],
        "pos_embed": padded["positions"][: architecture.max_seq_len + 1, :width],
        "unembed": padded["unembed"][:width, : architecture.output_size],
    }
    for number, layer in enumerate(architecture.layers):
        if layer.heads:
            prefix = f"layer_{number}/attn/"
            for name, size in (
                ("query", layer.key_size),
                ("key", layer.key_size),
                ("value", layer.value_size),
            ):
                matrix = padded[name][number, :width, : layer.heads, :size].reshape(width, -1)
                scale = np.sqrt(layer.key_size) if name == "query" else 1
                out[prefix + name] = matrix * scale
            matrix = padded["linear"][number, : layer.heads, : layer.value_size, :width]
            out[prefix + "linear"] = matrix.reshape(-1, width)
        if layer.mlp_hidden:
            prefix = f"layer_{number}/mlp/"
            out[prefix + "linear_1"] = padded["linear_1"][number, :width, : layer.mlp_hidden]
            out[prefix + "linear_2"] = padded["linear_2"][number, : layer.mlp_hidden, :width]
    return {name: np.ascontiguousarray(out[name], np.float32) for name in architecture.shapes}


def stack(entries: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of several models along a new first axis."""
    return {name: np.stack([entry[name] for entry in entries]) for name in entries[0]}
