"""How far a student is from its teacher (Tracr paper, section 5; thesis, equations 6.1, 6.2)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tracrlab.errors import TracrLabError
from tracrlab.students.transformer import Outputs

#: Distances between block outputs, and between unembedded outputs.
LAYER_LOSSES = ("l2", "l1", "cross_entropy", "none")
OUTPUT_LOSSES = ("l2", "cross_entropy", "both", "none")
COMBINATIONS = ("sum", "product")

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
    layer_weight: float = 1.0,
    numerical: jax.Array | float = 0.0,
    numerical_weight: jax.Array | float = 1.0,
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
      layer_weight: factor of the layer term.
      numerical: 1 for a model whose output is a number: its output term is l2 unless it is none,
        for there is nothing to take a softmax of (Tracr paper, section 5).
      numerical_weight: factor of the output term of such a model.

    Raises:
      TracrLabError: if a name is none of these.
    """
    share = visible / jnp.maximum(visible.sum(), 1)
    layer_term = layer_weight * (_layer_error(teacher, student, layer) * share).sum()
    output_error = _output_error(teacher, student, output_mask, output, numerical)
    output_term = jnp.where(numerical > 0, numerical_weight, 1.0) * (output_error * share).sum()
    if combine == "sum":
        return layer_term + output_term
    if combine == "product":
        return layer_term * output_term
    raise TracrLabError(f"{combine!r} does not combine losses; sum and product do.")


def mean_square(
    teacher: Outputs, student: Outputs, visible: jax.Array, d_model: jax.Array, outputs: jax.Array
) -> jax.Array:
    """The loss that the gate looks at: mean square errors of block outputs and of outputs, summed.

    Tracr's loss (paper, section 5) with means over directions, half-layers and outputs in place of
    sums, which is what the size of the thesis's figures (Tables 6.1 to 6.3) says it reports.

    Args:
      teacher: what the teacher gives; zero in padded half-layers and directions.
      student: what the student gives.
      visible: positions that count, at least one, bool [inputs, positions].
      d_model: number of entries of all block outputs at a position, padding left out.
      outputs: number of outputs, padding left out.
    """
    share = visible / visible.sum()
    layers = (((teacher.blocks - student.blocks) ** 2).sum(axis=(0, -1)) * share).sum()
    logits = (((teacher.logits - student.logits) ** 2).sum(axis=-1) * share).sum()
    return layers / d_model + logits / outputs


def _layer_error(teacher: Outputs, student: Outputs, name: str) -> jax.Array:
    difference = teacher.blocks - student.blocks
    if name == "l2":
        return (difference**2).sum(axis=(0, -1))
    if name == "l1":
        return jnp.abs(difference).sum(axis=(0, -1))
    if name == "cross_entropy":
        wanted, given = jax.nn.softmax(teacher.blocks), jax.nn.log_softmax(student.blocks)
        return -(wanted * given).sum(axis=(0, -1))
    if name == "none":
        return jnp.zeros(difference.shape[1:3])
    raise TracrLabError(f"{name!r} is not a layer loss; they are {', '.join(LAYER_LOSSES)}.")


def _output_error(
    teacher: Outputs,
    student: Outputs,
    output_mask: jax.Array,
    name: str,
    numerical: jax.Array | float,
) -> jax.Array:
    if name == "none":
        return jnp.zeros(teacher.logits.shape[:2])
    if name not in OUTPUT_LOSSES:
        raise TracrLabError(f"{name!r} is not an output loss; they are {', '.join(OUTPUT_LOSSES)}.")
    square = ((teacher.logits - student.logits) ** 2 * output_mask).sum(axis=-1)
    if name == "l2":
        return square
    padding = jnp.where(output_mask > 0, 0.0, -1e9)
    wanted = jax.nn.softmax(SHARPNESS * teacher.logits + padding)
    given = jax.nn.log_softmax(SHARPNESS * student.logits + padding)
    entropy = -(wanted * given).sum(axis=-1)
    if name == "cross_entropy":
        return jnp.where(numerical > 0, square, entropy)
    return square + jnp.where(numerical > 0, 0.0, entropy)
