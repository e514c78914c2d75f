"""How far a student is from its teacher (Tracr paper, section 5; thesis, equations 6.1, 6.2)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tracrlab.errors import TracrLabError
from tracrlab.students.transformer import Outputs

#: Distances between block outputs, and between unembedded outputs.
LAYER_LOSSES = ("l2", "l1", "none")
OUTPUT_LOSSES = ("l2", "cross_entropy", "none")

#: Cross-entropy compares softmaxes; one-hot outputs are sharpened by this factor first.
SHARPNESS = 10.0


def distance(
    teacher: Outputs,
    student: Outputs,
    visible: jax.Array,
    output_mask: jax.Array,
    *,
    layer: str,
    output: str,
    combine: str = "sum",
) -> jax.Array:
    """The loss of a student on a batch, a scalar.

    Args:
      teacher: what the teacher gives.
      student: what the student gives.
      visible: positions that count, bool [inputs, positions].
      output_mask: 1 for the outputs that the model has, 0 for padding [outputs].
      layer: one of `LAYER_LOSSES`, summed over half-layers and directions.
      output: one of `OUTPUT_LOSSES`.
      combine: "sum", or "product" of the two terms.

    Raises:
      TracrLabError: if a name is none of these.
    """
    share = visible / jnp.maximum(visible.sum(), 1)
    layer_term = (_layer_error(teacher, student, layer) * share).sum()
    output_term = (_output_error(teacher, student, output_mask, output) * share).sum()
    if combine == "sum":
        return layer_term + output_term
    if combine == "product":
        return layer_term * output_term
    raise TracrLabError(f"{combine!r} does not combine losses; sum and product do.")


def _layer_error(teacher: Outputs, student: Outputs, name: str) -> jax.Array:
    difference = teacher.blocks - student.blocks
    if name == "l2":
        return (difference**2).sum(axis=(0, -1))
    if name == "l1":
        return jnp.abs(difference).sum(axis=(0, -1))
    if name == "none":
        return jnp.zeros(difference.shape[1:3])
    raise TracrLabError(f"{name!r} is not a layer loss; they are {', '.join(LAYER_LOSSES)}.")


def _output_error(
    teacher: Outputs, student: Outputs, output_mask: jax.Array, name: str
) -> jax.Array:
    if name == "l2":
        return ((teacher.logits - student.logits) ** 2).sum(axis=-1)
    if name == "cross_entropy":
        padding = jnp.where(output_mask > 0, 0.0, -1e9)
        wanted = jax.nn.softmax(SHARPNESS * teacher.logits + padding)
        given = jax.nn.log_softmax(SHARPNESS * student.logits + padding)
        return -(wanted * given).sum(axis=-1)
    if name == "none":
        return jnp.zeros(teacher.logits.shape[:2])
    raise TracrLabError(f"{name!r} is not an output loss; they are {', '.join(OUTPUT_LOSSES)}.")
