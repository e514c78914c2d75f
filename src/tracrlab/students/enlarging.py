"""A model in a larger architecture, its function kept: the start of training every weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import CompiledModel


def balanced(model: CompiledModel) -> CompiledModel:
    """The same function, with what is multiplied in pairs of equal size.

    Compiled queries are a hundred times their keys, and some neurons read what they write a
    thousandth of; one learning rate suits both sides only if neither is much the larger. So the
    columns of W_Q against those of W_K, of W_V against the rows of W_O, and of a neuron's input
    against its output get the geometric mean of their norms. ReLU lets a factor through.
    """
    weights = dict(model.weights)
    for number, layer in enumerate(model.architecture.layers):
        if layer.heads:
            prefix = f"layer_{number}/attn/"
            _balance(weights, prefix + "query", prefix + "key", second_axis=0)
            _balance(weights, prefix + "value", prefix + "linear", second_axis=1)
        if layer.mlp_hidden:
            prefix = f"layer_{number}/mlp/"
            _balance(weights, prefix + "linear_1", prefix + "linear_2", second_axis=1)
    return replace(model, weights=weights)


def _balance(weights: dict[str, np.ndarray], first: str, second: str, second_axis: int) -> None:
    """Equal norms of the columns of one matrix and the columns (0) or rows (1) of another."""
    left = np.linalg.norm(weights[first], axis=0)
    right = np.linalg.norm(weights[second], axis=second_axis)
    some = (left > 0) & (right > 0)
    factor = np.sqrt(np.where(some, right, 1) / np.where(some, left, 1)).astype(np.float32)
    weights[first] = weights[first] * factor
    weights[second] = weights[second] / (factor if second_axis == 0 else factor[:, None])


def enlarged(
    model: CompiledModel, to: Architecture, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Weights of a larger architecture that compute the same.

    What is added reads at random and writes nothing: its first gradient is that of what it writes.

    Args:
      model: the smaller model.
      to: the same but for larger layers.
      rng: source of what is added.
    """
    weights = {name: model.weights[name] for name in ("token_embed", "pos_embed", "unembed")}
    for number, (own, layer) in enumerate(zip(model.architecture.layers, to.layers, strict=True)):
        prefix = f"layer_{number}/attn/"
        if layer.heads:
            for name, size, wanted, reads in (
                ("query", own.key_size, layer.key_size, True),
                ("key", own.key_size, layer.key_size, False),
                ("value", own.value_size, layer.value_size, True),
                ("linear", own.value_size, layer.value_size, False),
            ):
                shape = to.shapes[prefix + name]
                new = xavier(rng, *shape) if reads else np.zeros(shape, np.float32)
                # Heads side by side, the stream first: as all but `linear` are stored.
                by_head = (new.T if name == "linear" else new).reshape(to.d_model, layer.heads, -1)
                by_head = by_head.copy()
                if own.heads:
                    matrix = model.weights[prefix + name]
                    matrix = (matrix.T if name == "linear" else matrix).reshape(
                        to.d_model, own.heads, size
                    )
                    if name == "query":  # logits are over the root of the key size
                        matrix = matrix * np.sqrt(wanted / size)
                    by_head[:, : own.heads, :size] = matrix
                flat = by_head.reshape(to.d_model, -1)
                weights[prefix + name] = flat.T if name == "linear" else flat
        prefix = f"layer_{number}/mlp/"
        if layer.mlp_hidden:
            first = xavier(rng, to.d_model, layer.mlp_hidden)
            second = np.zeros((layer.mlp_hidden, to.d_model), np.float32)
            if own.mlp_hidden:
                first[:, : own.mlp_hidden] = model.weights[prefix + "linear_1"]
                second[: own.mlp_hidden] = model.weights[prefix + "linear_2"]
            weights[prefix + "linear_1"], weights[prefix + "linear_2"] = first, second
    return {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}


def xavier(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A random matrix whose outputs vary as its inputs (Glorot and Bengio 2010)."""
    return (rng.normal(size=(rows, columns)) * np.sqrt(2 / (rows + columns))).astype(np.float32)
