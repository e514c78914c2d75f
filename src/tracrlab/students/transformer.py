"""The forward pass of one padded model in JAX, with or without a compressed residual stream.

Used under ``jax.vmap`` over models. With compression W (Tracr paper, section 5; thesis, Algorithm
1) the stream has the width of W: blocks read x = r W^T and write y W.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

Weights = dict[str, jax.Array]

#: Models of more layers run them in a loop, so that compiling does not grow with their number.
MOST_WRITTEN_OUT = 6


class Outputs(NamedTuple):
    """What a forward pass gives.

    Attributes:
      logits: unembedded output [inputs, positions, outputs].
      blocks: output of every half-layer in the basis of the teacher
        [2 * layers, inputs, positions, D].
    """

    logits: jax.Array
    blocks: jax.Array


def product(rows: jax.Array, matrix: jax.Array) -> jax.Array:
    """`rows @ matrix` as one product of two matrices, its gradient too: that is a library call."""
    flat = rows.reshape(-1, rows.shape[-1]) @ matrix
    return flat.reshape(*rows.shape[:-1], matrix.shape[-1])


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
        return stream if compression is None else product(stream, compression.T)

    def write(output: jax.Array) -> jax.Array:
        return output if compression is None else product(output, compression)

    # Queries, keys and values are read by one product: all queries, then keys, then values.
    parts = [weights[name] for name in ("query", "key", "value")]
    heads, value_size = parts[2].shape[2:]
    layers = {
        "reads": jnp.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=2),
        "linear": weights["linear"].reshape(-1, heads * value_size, weights["linear"].shape[-1]),
        "linear_1": weights["linear_1"],
        "linear_2": weights["linear_2"],
    }

    def layer(stream: jax.Array, weights: Weights) -> tuple[jax.Array, jax.Array]:
        attended = _attention(weights, read(stream), mask, heads, value_size)
        stream = stream + write(attended)
        computed = product(
            jax.nn.relu(product(read(stream), weights["linear_1"])), weights["linear_2"]
        )
        return stream + write(computed), jnp.stack([attended, computed])

    # Few layers are written out: a fifth faster, and compiled as fast as a loop.
    written_out = len(parts[0]) <= MOST_WRITTEN_OUT
    stream, blocks = jax.lax.scan(layer, write(embedded), layers, unroll=written_out)
    return Outputs(product(read(stream), weights["unembed"]), blocks.reshape(-1, *blocks.shape[2:]))


def _attention(
    layer: Weights, inputs: jax.Array, mask: jax.Array, heads: int, value_size: int
) -> jax.Array:
    read = product(inputs, layer["reads"])
    values = heads * value_size
    queries = (read.shape[-1] - values) // 2
    query, key, value = (
        part.reshape(*inputs.shape[:2], heads, -1)
        for part in jnp.split(read, (queries, 2 * queries), axis=-1)
    )
    pattern = jax.nn.softmax(jnp.einsum("bthk,bshk->bhts", query, key) + mask, axis=-1)
    mixed = jnp.einsum("bhts,bshv->bthv", pattern, value)
    return product(mixed.reshape(*inputs.shape[:2], values), layer["linear"])
