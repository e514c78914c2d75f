"""The shape of a transformer without biases or layer norm, and the order of its weights.

Every half-layer has its own sizes: a layer without attention has no attention weights, and one
without an MLP no MLP weights. Tracr pads all layers to the largest; `to_haiku` does so too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.rasp.values import Value


@dataclass(frozen=True)
class Layer:
    """Sizes of one layer: attention, then MLP. A half-layer that is not there has size 0.

    Attributes:
      heads: number of attention heads.
      key_size: width of a head's queries and keys.
      value_size: width of a head's values.
      mlp_hidden: number of MLP neurons.
    """

    heads: int = 0
    key_size: int = 0
    value_size: int = 0
    mlp_hidden: int = 0


@dataclass(frozen=True)
class Limits:
    """The largest model that is compiled; counted before any large array is allocated.

    Attributes:
      d_model: width of the residual stream.
      mlp_hidden: neurons of one MLP.
      weights: number of weights.
    """

    d_model: int = 4096
    mlp_hidden: int = 65536
    weights: int = 200_000_000


class ModelTooLargeError(TracrLabError):
    """A program whose model would be larger than the limits."""


@dataclass(frozen=True)
class Architecture:
    """Everything about a model but its weights' values and their meaning.

    Attributes:
      input_symbols: the symbol of each row of ``token_embed``, the beginning-of-sequence symbol
        among them.
      max_seq_len: the longest input, without the beginning-of-sequence symbol.
      d_model: width of the residual stream.
      output_size: width of the unembedding: the number of output values, or 1 for a number.
      layers: sizes of each layer.
      causal: whether attention is masked causally.
    """

    input_symbols: tuple[Value, ...]
    max_seq_len: int
    d_model: int
    output_size: int
    layers: tuple[Layer, ...]
    causal: bool = False

    @cached_property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Shape of every weight matrix, in the documented order (also that of flat weights)."""
        return dict(self._shapes())

    def _shapes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        yield "token_embed", (len(self.input_symbols), self.d_model)
        yield "pos_embed", (self.max_seq_len + 1, self.d_model)
        for number, layer in enumerate(self.layers):
            if layer.heads:
                for name in ("query", "key"):
                    yield (
                        f"layer_{number}/attn/{name}",
                        (self.d_model, layer.heads * layer.key_size),
                    )
                yield f"layer_{number}/attn/value", (self.d_model, layer.heads * layer.value_size)
                yield f"layer_{number}/attn/linear", (layer.heads * layer.value_size, self.d_model)
            if layer.mlp_hidden:
                yield f"layer_{number}/mlp/linear_1", (self.d_model, layer.mlp_hidden)
                yield f"layer_{number}/mlp/linear_2", (layer.mlp_hidden, self.d_model)
        yield "unembed", (self.d_model, self.output_size)

    @property
    def half_layer_count(self) -> int:
        """How many layers have heads, and how many an MLP, added up."""
        return sum((layer.heads > 0) + (layer.mlp_hidden > 0) for layer in self.layers)

    @cached_property
    def weight_count(self) -> int:
        """Number of weights."""
        return sum(rows * columns for rows, columns in self.shapes.values())

    def check_sizes(self) -> None:
        """Raises TracrLabError where sizes are negative, or give heads no width.

        What is computed grows with the number of heads, which weights alone do not bound.
        """
        for number, layer in enumerate(self.layers):
            sizes = (layer.heads, layer.key_size, layer.value_size, layer.mlp_hidden)
            attention = sizes[:3]
            if min(sizes) < 0 or (any(attention) and not all(attention)):
                raise TracrLabError(
                    f"layer {number} cannot have {layer.heads} heads of key size {layer.key_size} "
                    f"and value size {layer.value_size}, and {layer.mlp_hidden} neurons."
                )

    def check(self, limits: Limits) -> None:
        """Raises ModelTooLargeError where a limit is passed."""
        widest = max((layer.mlp_hidden for layer in self.layers), default=0)
        for name, size, limit in (
            ("residual stream", self.d_model, limits.d_model),
            ("widest MLP", widest, limits.mlp_hidden),
            ("number of weights", self.weight_count, limits.weights),
        ):
            if size > limit:
                raise ModelTooLargeError(
                    f"the model would be too large: its {name} is {size:,} and the limit is "
                    f"{limit:,}; shorten the program or raise the limit."
                )

    def zeros(self) -> dict[str, np.ndarray]:
        """Weights of this architecture, all zero (float32)."""
        return {name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}

    def flatten(self, weights: Mapping[str, np.ndarray]) -> np.ndarray:
        """All weights as one float32 vector: matrices in order, each row by row."""
        return np.concatenate([weights[name].ravel() for name in self.shapes], dtype=np.float32)

    def unflatten(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """The inverse of `flatten`; the matrices are views.

        Raises:
          TracrLabError: if the vector has another length.
        """
        if flat.shape != (self.weight_count,):
            raise TracrLabError(
                f"the weights have shape {flat.shape}; this architecture has "
                f"{self.weight_count} weights."
            )
        weights, start = {}, 0
        for name, shape in self.shapes.items():
            end = start + math.prod(shape)
            weights[name] = flat[start:end].reshape(shape)
            start = end
        return weights
