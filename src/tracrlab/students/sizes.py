"""Sizes of students: the width of the residual stream, and the layers that training needs."""

from __future__ import annotations

import math
from dataclasses import replace

from tracrlab.compiler.architecture import Architecture, Layer
from tracrlab.errors import TracrLabError

#: Least key and value size of a head, and least width of an MLP.
LEAST_HEAD, LEAST_MLP = 16, 32


def width_of(ratio: float, d_model: int) -> int:
    """Width of a student's residual stream.

    Raises:
      TracrLabError: if the ratio leaves no dimension, or is no share.
    """
    if not 0 < ratio <= 1 or math.floor(ratio * d_model + 1e-9) < 1:
        raise TracrLabError(
            f"a compression ratio of {ratio:g} leaves no dimension of {d_model}; give one from "
            f"{1 / d_model:.3g} to 1."
        )
    return math.ceil(ratio * d_model - 1e-9)


def uniform(teacher: Architecture, width: int) -> Architecture:
    """A student's architecture: every layer as large as the teacher's largest, and not too small.

    Args:
      teacher: the teacher's.
      width: of the student's residual stream.
    """
    layers = teacher.layers

    def largest(name: str) -> int:
        return max(getattr(layer, name) for layer in layers)

    heads = largest("heads")
    layer = Layer(
        heads=heads,
        key_size=max(largest("key_size"), LEAST_HEAD) if heads else 0,
        value_size=max(largest("value_size"), LEAST_HEAD) if heads else 0,
        mlp_hidden=max(largest("mlp_hidden"), LEAST_MLP),
    )
    return replace(teacher, d_model=width, layers=(layer,) * len(layers))
