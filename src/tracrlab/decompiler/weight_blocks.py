"""Weights as timesteps of 512 numbers: the encoding of Inverse Tracr (section 5.1.2, Figure 5.4).

Each matrix is flattened row by row and cut into blocks of 512 weights. A timestep is the block, the
one-hot type of its parameter, a flag on a parameter's last block, and an architecture summary:
for every half-layer of the model, in order, whether it is attention or an MLP.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.errors import TracrLabError

BLOCK = 512
PARAMETER_TYPES = (
    "token_embed",
    "pos_embed",
    "query",
    "key",
    "value",
    "linear",
    "linear_1",
    "linear_2",
    "unembed",
)
#: Half-layers that the summary has room for.
MAX_HALF_LAYERS = 32

_TYPE = {name: number for number, name in enumerate(PARAMETER_TYPES)}
_FLAG = BLOCK + len(PARAMETER_TYPES)
_SUMMARY = _FLAG + 1
#: Numbers in a timestep.
WIDTH = _SUMMARY + 2 * MAX_HALF_LAYERS


def count_blocks(architecture: Architecture) -> int:
    """How many timesteps a model has."""
    return sum(-(-rows * columns // BLOCK) for rows, columns in architecture.shapes.values())


def encode_blocks(architecture: Architecture, flat: np.ndarray) -> np.ndarray:
    """The timesteps of a model.

    Args:
      architecture: its sizes.
      flat: its weights in the documented order, float32 [weights].

    Returns:
      float32 [timesteps, WIDTH].

    Raises:
      TracrLabError: if the model has more half-layers than the summary has room for.
    """
    halves = [
        half
        for layer in architecture.layers
        for half, size in enumerate((layer.heads, layer.mlp_hidden))
        if size
    ]
    if len(halves) > MAX_HALF_LAYERS:
        raise TracrLabError(
            f"the model has {len(halves)} attention and MLP blocks; the block encoding has room "
            f"for {MAX_HALF_LAYERS}."
        )
    sizes = [rows * columns for rows, columns in architecture.shapes.values()]
    counts = [-(-size // BLOCK) for size in sizes]
    steps = np.zeros((sum(counts), WIDTH), dtype=np.float32)
    for place, half in enumerate(halves):
        steps[:, _SUMMARY + 2 * place + half] = 1
    step = start = 0
    for name, size, count in zip(architecture.shapes, sizes, counts, strict=True):
        whole = size // BLOCK
        if whole:
            steps[step : step + whole, :BLOCK] = flat[start : start + whole * BLOCK].reshape(
                whole, BLOCK
            )
        if count > whole:
            steps[step + whole, : size - whole * BLOCK] = flat[start + whole * BLOCK : start + size]
        steps[step : step + count, BLOCK + _TYPE[name.rsplit("/", 1)[-1]]] = 1
        steps[step + count - 1, _FLAG] = 1
        step, start = step + count, start + size
    return steps


def decode_blocks(architecture: Architecture, steps: np.ndarray) -> dict[str, np.ndarray]:
    """The weights of an architecture from its timesteps; the inverse of `encode_blocks`.

    Raises:
      TracrLabError: if the timesteps are not those of such a model.
    """
    weights: Mapping[str, tuple[int, int]] = architecture.shapes
    ends = np.flatnonzero(steps[:, _FLAG]) + 1
    types = steps[ends - 1, BLOCK:_FLAG].argmax(axis=1)
    wanted = [_TYPE[name.rsplit("/", 1)[-1]] for name in weights]
    if types.tolist() != wanted or (len(ends) and ends[-1] != len(steps)):
        raise TracrLabError("the timesteps are those of a model with other parameters.")
    result, start = {}, 0
    for (name, shape), end in zip(weights.items(), ends.tolist(), strict=True):
        numbers = steps[start:end, :BLOCK].ravel()
        size = shape[0] * shape[1]
        if not len(numbers) - BLOCK < size <= len(numbers):
            raise TracrLabError(f"the timesteps hold a {name} of another size than {shape}.")
        result[name] = numbers[:size].reshape(shape)
        start = end
    return result
