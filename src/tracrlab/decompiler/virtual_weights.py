"""Virtual weights: how strongly each unit reads what each earlier unit writes.

Units talk to each other through the residual stream only, so a model's function depends on the
products of reading with writing vectors and on nothing else of them: ``a . b`` for every parameter
token that reads ``a`` and every earlier one that writes ``b``. The products stay the same when the
residual stream is permuted, rotated or changed by any invertible matrix, so that a compiled, a
rotated and a losslessly compressed model have the same; and the program's wiring is in them.
`forward_from_products` runs a model from them, which shows that nothing is lost.
"""

from __future__ import annotations

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.decompiler.parameter_tokens import (
    EMBEDDING,
    NEURON,
    POS_EMBED,
    QUERY_KEY,
    TOKEN_EMBED,
    UNEMBED,
    VALUE_OUTPUT,
    ParameterTokens,
)

#: Kinds whose second vector is written to the residual stream.
WRITERS = (TOKEN_EMBED, POS_EMBED, VALUE_OUTPUT, NEURON)
#: Kinds whose first vector reads from it; the second of query-key tokens reads too.
READERS = (QUERY_KEY, VALUE_OUTPUT, NEURON, UNEMBED)


def products(tokens: ParameterTokens) -> np.ndarray:
    """The virtual weights between all tokens of a model, or of each model of a padded batch.

    Returns:
      float32 [..., tokens, 2, tokens]: entry (i, 0, j) is what token i's first vector reads of what
      token j writes, and (i, 1, j) what its second vector reads, which is 0 for all but query-key
      tokens. It is 0 wherever i does not read, j does not write, or j does not come before i.
    """
    first, second = tokens.vectors[..., 0, :], tokens.vectors[..., 1, :]
    writes = second * np.isin(tokens.kind, WRITERS)[..., None]
    reads = np.stack(
        [
            first * np.isin(tokens.kind, READERS)[..., None],
            second * (tokens.kind == QUERY_KEY)[..., None],
        ],
        axis=-2,
    )
    shape = (*reads.shape[:-3], reads.shape[-3] * 2, reads.shape[-1])
    result = (reads.reshape(shape) @ writes.swapaxes(-1, -2)).reshape(*reads.shape[:-1], -1)
    earlier = tokens.half[..., :, None] > tokens.half[..., None, :]
    return result * earlier[..., :, None, :]


def signed_log(values: np.ndarray) -> np.ndarray:
    """``sign(x) log(1 + |x|)``: Tracr's weights reach from one hundredth to hundreds."""
    return np.sign(values) * np.log1p(np.abs(values))


def forward_from_products(
    architecture: Architecture, tokens: ParameterTokens, wiring: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """The model's output on inputs without padding, from its virtual weights alone.

    Args:
      architecture: the sizes (of the residual stream's width, no use is made).
      tokens: the model's tokens; of their vectors, no use is made.
      wiring: its virtual weights, from `products`.
      codes: rows of ``token_embed``, int64 [inputs, positions].

    Returns:
      float [inputs, positions, output_size], as `tracrlab.compiler.forward.forward`.
    """
    inputs, positions = codes.shape
    # How active each token is, at every position: what it writes is its activation times a vector.
    active = np.zeros((inputs, positions, len(tokens)), dtype=wiring.dtype)
    embedded = np.flatnonzero(tokens.kind == TOKEN_EMBED)
    placed = np.flatnonzero(tokens.kind == POS_EMBED)
    np.put_along_axis(active, embedded[codes][..., None], 1, axis=2)
    active[:, np.arange(positions), placed[:positions]] = 1
    for half in np.unique(tokens.half[tokens.half > EMBEDDING]):
        rows = np.flatnonzero(tokens.half == half)
        if tokens.kind[rows[0]] in (NEURON, UNEMBED):
            read = active @ wiring[rows, 0].T
            active[..., rows] = np.maximum(read, 0) if tokens.kind[rows[0]] == NEURON else read
            continue
        for head in np.unique(tokens.head[rows]):
            own = rows[tokens.head[rows] == head]
            dimensions = own[tokens.kind[own] == QUERY_KEY]
            values = own[tokens.kind[own] == VALUE_OUTPUT]
            query, key = (active @ wiring[dimensions, which].T for which in (0, 1))
            logits = query @ key.swapaxes(1, 2) / np.sqrt(len(dimensions))
            if architecture.causal:
                logits = np.where(np.tri(positions, dtype=bool), logits, -np.inf)
            pattern = np.exp(logits - logits.max(axis=-1, keepdims=True))
            pattern /= pattern.sum(axis=-1, keepdims=True)
            active[..., values] = pattern @ (active @ wiring[values, 0].T)
    return active[..., tokens.kind == UNEMBED]
