"""Changes of a model's weights that leave its function as it is, drawn afresh each time.

- heads of a layer, and neurons of an MLP, change places;
- the key dimensions of a head change places and scale (queries by s, keys by 1/s), and so do its
  value dimensions (values by s, outputs by 1/s); or they are rotated;
- a neuron's input is scaled by s > 0 and its output by 1/s, which ReLU passes on;
- the directions of the residual stream change places, or the stream is rotated, or mapped by any
  other invertible matrix: what is read is mapped by its inverse.

Permutations are for weights whose basis means something (compiled models), rotations for dense
ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracrlab.compiler.architecture import Architecture, Layer
from tracrlab.errors import TracrLabError

BASES = ("keep", "permute", "rotate")
#: How far a skewed basis is from orthonormal: the standard deviation of its entries, times the root
#: of its width, is drawn up to this. It stays far from singular (test).
SKEW = 0.35


@dataclass(frozen=True)
class Augmentation:
    """What is drawn.

    Attributes:
      units: whether heads and neurons change places.
      residual: what is done to the residual stream's basis: keep, permute, rotate or skew.
      inner: the same for the key and value dimensions of every head.
      scale: neurons, key and value dimensions are scaled by ``exp(u)`` with u uniform in
        [-scale, scale]; with rotated inner dimensions, the whole head is.
    """

    units: bool = True
    residual: str = "permute"
    inner: str = "permute"
    scale: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("residual", (*BASES, "skew")), ("inner", BASES)):
            if getattr(self, name) not in known:
                raise TracrLabError(
                    f"{name} is {', '.join(known[:-1])} or {known[-1]}, not "
                    f"{getattr(self, name)!r}."
                )
        if not 0 <= self.scale <= 3:
            raise TracrLabError(f"scale is from 0 to 3, not {self.scale:g}.")


#: For compiled models, and for models whose residual stream has no basis of its own.
FOR_COMPILED = Augmentation()
FOR_DENSE = Augmentation(residual="rotate", inner="rotate", scale=0.3)
#: For circuits, which no rotation and no scale changes.
FOR_CIRCUITS = Augmentation(residual="skew", inner="keep")


def augment(
    architecture: Architecture,
    flat: np.ndarray,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> np.ndarray:
    """Other weights with the same function.

    Args:
      architecture: the model's sizes; they stay as they are.
      flat: its weights in the documented order, [weights]; they are not changed.
      augmentation: what is drawn.
      rng: where it is drawn from.

    Returns:
      weights of the same shape and type. Rotations are computed in float64.
    """
    weights = architecture.unflatten(flat)
    result = np.empty_like(flat)
    new = architecture.unflatten(result)  # views: filling them fills the result
    if augmentation.residual == "skew":
        residual, inverse = _skewed(architecture.d_model, rng)
    else:
        residual = inverse = _basis(augmentation.residual, architecture.d_model, rng)
    reads = {"unembed": weights["unembed"]}
    writes = {name: weights[name] for name in ("token_embed", "pos_embed")}
    for number, layer in enumerate(architecture.layers):
        if layer.heads:
            path = f"layer_{number}/attn/"
            parts = [weights[path + name] for name in ("query", "key", "value", "linear")]
            query, key, value, linear = _attention(layer, parts, augmentation, rng)
            reads |= {path + "query": query, path + "key": key, path + "value": value}
            writes[path + "linear"] = linear
        if layer.mlp_hidden:
            path = f"layer_{number}/mlp/"
            order = _order(layer.mlp_hidden, augmentation.units, rng)
            scale = _scales(layer.mlp_hidden, augmentation.scale, rng)
            reads[path + "linear_1"] = weights[path + "linear_1"][:, order] * scale
            writes[path + "linear_2"] = weights[path + "linear_2"][order] / scale[:, None]
    for name, matrix in reads.items():
        new[name][:] = _changed(matrix.T, inverse).T
    for name, matrix in writes.items():
        new[name][:] = _changed(matrix, residual)
    return result


def _attention(
    layer: Layer,
    parts: list[np.ndarray],
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Query, key, value and output matrices with heads and inner dimensions changed."""
    query, key, value, linear = parts
    heads = _order(layer.heads, augmentation.units, rng)
    result: list[list[np.ndarray]] = [[], [], [], []]
    for head in heads.tolist():
        for size, first, second in ((layer.key_size, 0, 1), (layer.value_size, 2, 3)):
            own = slice(head * size, (head + 1) * size)
            one = (query, value)[first // 2][:, own]
            other = key[:, own] if first == 0 else linear[own].T
            basis = _basis(augmentation.inner, size, rng)
            if augmentation.inner == "rotate":
                scale = _scales(1, augmentation.scale, rng)
            else:
                scale = _scales(size, augmentation.scale, rng)
            result[first].append(_changed(one, basis) * scale)
            result[second].append(_changed(other, basis) / scale)
    query, key, value, linear = (np.concatenate(columns, axis=1) for columns in result)
    return [query, key, value, linear.T]


def _changed(rows: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Row vectors in another basis: an order of directions [size], or a matrix [size, size]."""
    return rows[:, basis] if basis.ndim == 1 else rows.astype(np.float64) @ basis


def _basis(name: str, size: int, rng: np.random.Generator) -> np.ndarray:
    if name == "rotate":
        return rotation(size, rng)
    return _order(size, name == "permute", rng)


def rotation(size: int, rng: np.random.Generator) -> np.ndarray:
    """A uniformly drawn orthogonal matrix, float64 [size, size]."""
    factor, upper = np.linalg.qr(rng.standard_normal((size, size)))
    return factor * np.where(np.diagonal(upper) < 0, -1.0, 1.0)


def _skewed(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A matrix that is not orthogonal, and its inverse transposed, float64 [size, size]."""
    noise = rng.standard_normal((size, size)) * (rng.uniform(0, SKEW) / np.sqrt(size))
    matrix = np.eye(size) + noise
    return matrix, np.linalg.inv(matrix).T


def _order(size: int, shuffle: bool, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(size) if shuffle else np.arange(size)


def _scales(size: int, largest: float, rng: np.random.Generator) -> np.ndarray:
    if not largest:
        return np.ones(size, dtype=np.float32)
    return np.exp(rng.uniform(-largest, largest, size))
