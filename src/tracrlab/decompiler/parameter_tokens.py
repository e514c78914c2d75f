"""Weights as parameter tokens that keep rows and columns together: our encoding.

A token is what one unit of the model does to the residual stream, as two vectors in it:

| kind | first vector | second vector |
|---|---|---|
| token embedding, position embedding | - | what the symbol or position writes |
| query-key, one for each key dimension of a head | how it reads the query | how it reads the key |
| value-output, one for each value dimension of a head | what it reads | what it writes |
| neuron | what it reads | what it writes |
| unembedding, one for each output direction | what it reads | - |

Every weight is in exactly one token, and a neuron's two halves are together, which 512 weights in a
row do not give. Tokens of one head, and neurons of one MLP, are a set: their order means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.errors import TracrLabError
from tracrlab.rasp.values import Value, is_number

KINDS = (
    "padding",
    "token embedding",
    "position embedding",
    "query-key",
    "value-output",
    "neuron",
    "unembedding",
)
PADDING, TOKEN_EMBED, POS_EMBED, QUERY_KEY, VALUE_OUTPUT, NEURON, UNEMBED = range(len(KINDS))
#: Half-layer of the embeddings; that of attention in layer i is 2 i, of its MLP 2 i + 1.
EMBEDDING = -1
#: Half-layer of the unembedding: after every other one.
OUTPUT = 1 << 14

#: Names of the matrices that a kind's first and second vectors are columns or rows of.
_MATRICES = {QUERY_KEY: ("query", "key"), VALUE_OUTPUT: ("value", "linear")}
_MLP = ("linear_1", "linear_2")


@dataclass(frozen=True)
class ParameterTokens:
    """The tokens of one model, or of a padded batch with a leading dimension everywhere.

    Attributes:
      vectors: first and second vector, float32 [tokens, 2, d_model].
      kind: number into `KINDS`, int64 [tokens].
      half: half-layer, int64 [tokens]; `EMBEDDING` and `OUTPUT` at the ends.
      head: number of the head in its layer, int64 [tokens]; 0 where there is none.
      index: number of the symbol, position, dimension in the head, neuron or output, int64
        [tokens]. It tells which token is which, and means something for the first two and the last.
      value: the number that a symbol, a position or an output direction stands for, float32
        [tokens]; NaN for strings, the BOS symbol, a numerical output, and all other kinds. Two
        programs may have the same weights and differ in the values of their outputs alone.
    """

    vectors: np.ndarray
    kind: np.ndarray
    half: np.ndarray
    head: np.ndarray
    index: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return self.vectors.shape[0]


def count_tokens(architecture: Architecture) -> int:
    """How many tokens a model has."""
    units = sum(
        layer.heads * (layer.key_size + layer.value_size) + layer.mlp_hidden
        for layer in architecture.layers
    )
    embeddings = len(architecture.input_symbols) + architecture.max_seq_len + 1
    return embeddings + units + architecture.output_size


def as_numbers(values: Sequence[Value]) -> np.ndarray:
    """Values as float32, NaN where a value is no number."""
    numbers = [value if is_number(value) else np.nan for value in values]
    return np.array(numbers, dtype=np.float32)


@lru_cache(maxsize=64)
def _input_numbers(symbols: tuple[Value, ...], max_seq_len: int) -> np.ndarray:
    """The numbers of symbols, then of positions; NaN for the position of BOS."""
    return np.concatenate([as_numbers(symbols), [np.nan], np.arange(max_seq_len)])


def encode_tokens(
    architecture: Architecture, flat: np.ndarray, output_values: np.ndarray | None = None
) -> ParameterTokens:
    """The tokens of a model.

    Args:
      architecture: its sizes.
      flat: its weights in the documented order, float32 [weights].
      output_values: what each output direction stands for, from `as_numbers`; None where it is
        not known, and for numerical outputs.

    Raises:
      TracrLabError: if a head has no key or no value dimension.
    """
    weights = architecture.unflatten(flat)
    count = count_tokens(architecture)
    vectors = np.zeros((count, 2, architecture.d_model), dtype=np.float32)
    meta = np.zeros((4, count), dtype=np.int64)
    end = 0

    def add(kind: int, half: int, heads: int, each: int) -> np.ndarray:
        nonlocal end
        start, end = end, end + heads * each
        meta[0, start:end] = kind
        meta[1, start:end] = half
        if heads > 1:
            meta[2, start:end] = np.repeat(np.arange(heads), each)
            meta[3, start:end] = np.tile(np.arange(each), heads)
        else:
            meta[3, start:end] = np.arange(each)
        return vectors[start:end]

    for kind, name in ((TOKEN_EMBED, "token_embed"), (POS_EMBED, "pos_embed")):
        add(kind, EMBEDDING, 1, len(weights[name]))[:, 1] = weights[name]
    for number, layer in enumerate(architecture.layers):
        if layer.heads:
            if not layer.key_size or not layer.value_size:
                raise TracrLabError(
                    f"layer {number} has heads without key or value dimensions; such a model has "
                    "no parameter tokens."
                )
            path = f"layer_{number}/attn/"
            space = add(QUERY_KEY, 2 * number, layer.heads, layer.key_size)
            space[:, 0] = weights[path + "query"].T
            space[:, 1] = weights[path + "key"].T
            space = add(VALUE_OUTPUT, 2 * number, layer.heads, layer.value_size)
            space[:, 0] = weights[path + "value"].T
            space[:, 1] = weights[path + "linear"]
        if layer.mlp_hidden:
            path = f"layer_{number}/mlp/"
            space = add(NEURON, 2 * number + 1, 1, layer.mlp_hidden)
            space[:, 0] = weights[path + "linear_1"].T
            space[:, 1] = weights[path + "linear_2"]
    add(UNEMBED, OUTPUT, 1, architecture.output_size)[:, 0] = weights["unembed"].T
    value = np.full(count, np.nan, dtype=np.float32)
    known = _input_numbers(architecture.input_symbols, architecture.max_seq_len)
    value[: len(known)] = known
    if output_values is not None:
        value[count - architecture.output_size :] = output_values
    return ParameterTokens(vectors, *meta, value)


def decode_tokens(tokens: ParameterTokens) -> dict[str, np.ndarray]:
    """The weight matrices of a model from its tokens alone; the inverse of `encode_tokens`.

    Tokens may come in any order, and padding is passed over.
    """
    order = np.lexsort((tokens.index, tokens.head, tokens.kind, tokens.half))
    vectors, kinds, halves = tokens.vectors[order], tokens.kind[order], tokens.half[order]

    def part(kind: int, half: int, which: int) -> np.ndarray:
        return vectors[(kinds == kind) & (halves == half), which]

    weights = {
        "token_embed": part(TOKEN_EMBED, EMBEDDING, 1),
        "pos_embed": part(POS_EMBED, EMBEDDING, 1),
    }
    inner = np.unique(halves[(kinds >= QUERY_KEY) & (kinds <= NEURON)]).tolist()
    for half in inner:
        path = f"layer_{half // 2}/"
        if half % 2:
            weights[path + "mlp/linear_1"] = part(NEURON, half, 0).T
            weights[path + "mlp/linear_2"] = part(NEURON, half, 1)
            continue
        weights[path + "attn/query"] = part(QUERY_KEY, half, 0).T
        weights[path + "attn/key"] = part(QUERY_KEY, half, 1).T
        weights[path + "attn/value"] = part(VALUE_OUTPUT, half, 0).T
        weights[path + "attn/linear"] = part(VALUE_OUTPUT, half, 1)
    weights["unembed"] = part(UNEMBED, OUTPUT, 0).T
    return weights


def pad_tokens(many: Sequence[ParameterTokens], multiple: int = 8) -> ParameterTokens:
    """Tokens of several models as one padded batch; sizes are rounded up to `multiple`."""
    length = _rounded(max(len(tokens) for tokens in many), multiple)
    width = _rounded(max(tokens.vectors.shape[2] for tokens in many), multiple)
    vectors = np.zeros((len(many), length, 2, width), dtype=np.float32)
    meta = np.zeros((4, len(many), length), dtype=np.int64)
    value = np.full((len(many), length), np.nan, dtype=np.float32)
    for row, tokens in enumerate(many):
        count = len(tokens)
        vectors[row, :count, :, : tokens.vectors.shape[2]] = tokens.vectors
        meta[0, row, :count] = tokens.kind
        meta[1, row, :count] = tokens.half
        meta[2, row, :count] = tokens.head
        meta[3, row, :count] = tokens.index
        value[row, :count] = tokens.value
    return ParameterTokens(vectors, *meta, value)


def _rounded(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
