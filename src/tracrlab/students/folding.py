"""From a student with a compression matrix to plain weights (thesis section 6.2, Algorithm 2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracrlab.compiler.model import CompiledModel

#: Weights that write to the residual stream; all others read from it.
_WRITE = ("token_embed", "pos_embed", "linear", "linear_2")


def fold(model: CompiledModel, compression: np.ndarray) -> CompiledModel:
    """A model whose residual stream is compressed, as an ordinary model of that width.

    Args:
      model: the teacher.
      compression: W [d_model, width].

    Returns:
      a model with the same outputs as the teacher with W on every read and write. Its directions
      mean nothing by themselves, so it has no labels.
    """
    compression = compression.astype(np.float32)
    weights = {}
    for name, matrix in model.weights.items():
        writes = name.rpartition("/")[2] in _WRITE
        folded = matrix @ compression if writes else compression.T @ matrix
        weights[name] = np.ascontiguousarray(folded, dtype=np.float32)
    return replace(
        model,
        architecture=replace(model.architecture, d_model=compression.shape[1]),
        weights=weights,
        labels=(),
    )


def rotate(
    model: CompiledModel, readout: np.ndarray, rng: np.random.Generator
) -> tuple[CompiledModel, np.ndarray]:
    """The same function in a random orthonormal basis of the residual stream.

    Args:
      model: any model.
      readout: from its stream to another [d_model, other].
      rng: source of the basis, uniform over rotations and reflections.

    Returns:
      the model and the readout of the new basis.
    """
    d_model = model.architecture.d_model
    basis, triangle = np.linalg.qr(rng.normal(size=(d_model, d_model)))
    basis = (basis * np.sign(np.diag(triangle))).astype(np.float32)
    return fold(model, basis), (basis.T @ readout).astype(np.float32)
