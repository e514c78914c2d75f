"""The forward pass of one padded model in JAX, with or without a compressed residual stream.

Used under ``jax.vmap`` over models. With compression W (Tracr paper, section 5; thesis, Algorithm
1) the stream has the width of W: blocks read x = r W^T and write y W.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

Weights = dict[str, jax.Array]

#: The weights that every layer has; their first axis is the layer.
LAYER_WEIGHTS = ("query", "key", "value", "linear", "linear_1", "linear_2")


class Outputs(NamedTuple):
    """What a forward pass gives.

    Attributes:
      logits: unembedded output [inputs, positions, outputs].
      blocks: output of every half-layer in the basis of the teacher
        [2 * layers, inputs, positions, D].
    """

    logits: jax.Array
    blocks: jax.Array


def embed(weights: Weights, codes: jax.Array) -> jax.Array:
    """The residual stream at the input [inputs, positions, D], for codes [inputs, positions]."""
    return weights["tokens"][codes] + weights["positions"][: codes.shape[1]]


def run(
    weights: Weights,
    embedded: jax.Array,
    lengths: jax.Array,
    *,
    causal: bool,
    compression: jax.Array | None = None,
) -> Outputs:
    """Runs one model.

    Args:
      weights: as `stacking.padded_weights` gives them.
      embedded: the stream at the input [inputs, positions, D].
      lengths: positions that are not padding, BOS counted [inputs].
      causal: whether attention is masked causally.
      compression: W [D, width], or None for the model itself.
    """
    positions = embedded.shape[1]
    visible = (jnp.arange(positions) < lengths[:, None])[:, None, None, :]
    if causal:
        visible = visible & jnp.tri(positions, dtype=bool)
    mask = jnp.where(visible, 0.0, -1e30)

    def read(stream: jax.Array) -> jax.Array:
        return stream if compression is None else stream @ compression.T

    def write(output: jax.Array) -> jax.Array:
        return output if compression is None else output @ compression

    def layer(stream: jax.Array, weights: Weights) -> tuple[jax.Array, jax.Array]:
        attended = _attention(weights, read(stream), mask)
        stream = stream + write(attended)
        computed = jax.nn.relu(read(stream) @ weights["linear_1"]) @ weights["linear_2"]
        return stream + write(computed), jnp.stack([attended, computed])

    layers = {name: weights[name] for name in LAYER_WEIGHTS}
    stream, blocks = jax.lax.scan(layer, write(embedded), layers)
    return Outputs(read(stream) @ weights["unembed"], blocks.reshape(-1, *blocks.shape[2:]))


def _attention(layer: Weights, inputs: jax.Array, mask: jax.Array) -> jax.Array:
    query = jnp.einsum("btd,dhk->bhtk", inputs, layer["query"])
    key = jnp.einsum("btd,dhk->bhtk", inputs, layer["key"])
    value = jnp.einsum("btd,dhv->bhtv", inputs, layer["value"])
    pattern = jax.nn.softmax(query @ key.swapaxes(2, 3) + mask, axis=-1)
    return jnp.einsum("bhtv,hvd->btd", pattern @ value, layer["linear"])
