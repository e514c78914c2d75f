"""The programs that train, in every lane: targets, a chunk of steps, a look at some inputs."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tracrlab.compiler.model import PRESENT
from tracrlab.students.losses import distance
from tracrlab.students.marks import SURE, UNSURE, WRONG, Wanted
from tracrlab.students.transformer import Outputs, embed, product, run

if TYPE_CHECKING:
    from tracrlab.students.training import Arrays, TrainingSettings

#: Adam's decays (Tracr paper: 0.9 and 0.99), and what keeps it from dividing by zero.
B1, B2, EPSILON = 0.9, 0.99, 1e-8


def student_weights(parameters: Arrays, teacher: Arrays, trained: str) -> Arrays:
    """A student's padded weights, and its readout from its stream to the teacher's [width, D].

    With W alone trained they are the teacher's, folded (thesis, Algorithm 2); the readout is W^T.
    Arrays of numpy give arrays of numpy.
    """
    if trained == "weights":
        return parameters | {"output_mask": teacher["output_mask"]}
    write = parameters["write"]
    read = write.T

    def reading(name: str):
        matrices = teacher[name]
        flat = read @ matrices.reshape(*matrices.shape[:2], -1)
        return flat.reshape(len(matrices), len(read), *matrices.shape[2:])

    return {
        "tokens": teacher["tokens"] @ write,
        "positions": teacher["positions"] @ write,
        "query": reading("query"),
        "key": reading("key"),
        "value": reading("value"),
        "linear": teacher["linear"] @ write,
        "linear_1": reading("linear_1"),
        "linear_2": teacher["linear_2"] @ write,
        "unembed": read @ teacher["unembed"],
        "output_mask": teacher["output_mask"],
        "readout": read,
    }


@cache
def compiled(program: Callable) -> Callable:
    """One of the programs below, compiled.

    For a CPU what takes the time is products of matrices, which are library calls. So LLVM's
    costlier passes, which make compiling a third longer, gain nothing. What XLA_FLAGS says goes
    first.
    """
    options = None
    level = "xla_backend_optimization_level"
    if jax.default_backend() == "cpu" and level not in os.environ.get("XLA_FLAGS", ""):
        options = {level: 1}
    names = signature(program).parameters
    static = tuple(name for name in ("settings", "causal") if name in names)
    return jax.jit(program, static_argnames=static, compiler_options=options)


def _in_lanes(lane: Callable, *arrays):
    """A function of one lane in each of them; of one lane nothing is stacked in the program."""
    if len(jax.tree.leaves(arrays)[0]) > 1:
        return jax.vmap(lane)(*arrays)
    result = lane(*jax.tree.map(lambda array: array[0], arrays))
    return jax.tree.map(lambda array: array[None], result)


def targets(teachers, codes, lengths, causal):
    """What teachers give on the pools of their lanes.

    Args:
      teachers: padded weights, stacked.
      codes: [lanes, pool, positions].
      lengths: [lanes, pool].
      causal: whether attention is masked causally.

    Returns:
      `Outputs` of each lane.
    """

    def lane(teacher, codes, lengths):
        return run(teacher, embed(teacher, codes), lengths, causal=causal)

    return _in_lanes(lane, teachers, codes, lengths)


def steps(
    flats,
    walks,
    codes,
    lengths,
    right,
    rows,
    start,
    ids,
    masks,
    teachers,
    tolerances,
    settings,
    causal,
):
    """A chunk of steps in every lane.

    Args:
      flats: parameters, padded, each model's as `flat` gives them [lanes, entries].
      walks: as in `training.Trained` [lanes, 3, entries].
      codes: the pools.
      lengths: theirs.
      right: what `targets` gives on them.
      rows: rows of the pool, a batch a step [lanes, chunk, batch].
      start: steps so far [lanes].
      ids: numbers of the jobs [lanes].
      masks: 1 where a parameter may be non-zero, stacked.
      teachers: padded weights, stacked.
      tolerances: how far numbers may be off [lanes].
      settings: how they are trained.
      causal: whether attention is masked causally.

    Returns:
      parameters and walks as they were given, and the mean loss of the last ten steps [lanes].
    """
    root = jax.random.key(settings.seed)

    def lane(own, walk, codes, lengths, right, rows, start, id_, mask, teacher, tolerance):
        key = jax.random.fold_in(jax.random.fold_in(root, id_), start)
        flat_mask = flat(mask)

        def step(state, entry):
            mean, own, *moments = state
            number, rows = entry
            batch = (
                codes[rows],
                lengths[rows],
                Outputs(right.logits[rows], right.blocks[:, rows]),
            )
            loss, gradient = jax.value_and_grad(loss_of)(
                unflat(own, mask),
                teacher,
                tolerance,
                batch,
                jax.random.fold_in(key, number),
                settings,
                causal,
            )
            change = flat(gradient) * flat_mask
            own, *moments = adam_step(own, moments, change, start + number, settings)
            mean = settings.averaging * mean + (1 - settings.averaging) * own
            return (mean, own, *moments), loss

        numbered = jnp.arange(settings.chunk), rows
        (mean, *walk), losses = jax.lax.scan(step, (own, *walk), numbered)
        return mean, jnp.stack(walk), losses[-10:].mean()

    return _in_lanes(
        lane,
        flats,
        walks,
        codes,
        lengths,
        right,
        rows,
        start,
        ids,
        masks,
        teachers,
        tolerances,
    )


def look(weights, codes, lengths, wanted, numerical, causal):
    """Which inputs of a block students get wrong.

    Args:
      weights: padded weights of students, stacked.
      codes: the inputs [lanes, inputs, positions].
      lengths: theirs [lanes, inputs].
      wanted: the right outputs on them, stacked.
      numerical: whether the output is a number [lanes].
      causal: whether attention is masked causally.

    Returns:
      `marks` [lanes, inputs], and how many of their positions are wrong [lanes].
    """

    def lane(weights, codes, lengths, wanted, numerical):
        logits = run(weights, embed(weights, codes), lengths, causal=causal).logits[:, 1:]
        bad, unsure = _compared(logits, wanted, numerical, weights["output_mask"])
        visible = jnp.arange(bad.shape[1]) < lengths[:, None] - 1
        bad &= visible
        found = jnp.maximum(
            WRONG * bad.any(axis=1), UNSURE * (unsure & visible).any(axis=1)
        ).astype(jnp.int8)
        return found, bad.sum()

    return _in_lanes(lane, weights, codes, lengths, wanted, numerical)


def _compared(logits, wanted: Wanted, numerical, output_mask) -> tuple[jax.Array, jax.Array]:
    """Which outputs are wrong, and which are not surely right [inputs, positions]."""
    shown = jnp.where(output_mask > 0, logits, -jnp.inf)
    found = jnp.where(shown.max(axis=-1) >= PRESENT, shown.argmax(axis=-1), -1)
    ideal = wanted.values[..., None] == jnp.arange(logits.shape[-1])
    entries = (jnp.abs(logits - ideal) * output_mask).max(axis=-1)
    off = logits[..., 0] - wanted.values
    room = jnp.where(off < 0, wanted.below, wanted.above)
    error = jnp.where(numerical, jnp.abs(off), entries)
    bad = jnp.where(numerical, ~(error < room), found != wanted.values)
    return bad, ~(error < SURE * jnp.minimum(room, 0.5))


def flat(arrays: Arrays):
    """All entries in a row [entries]: few large operations cost less than many small ones.

    Arrays of numpy give arrays of numpy, here and in `unflat`.
    """
    rows = [value.ravel() for _, value in sorted(arrays.items())]
    return (np if isinstance(rows[0], np.ndarray) else jnp).concatenate(rows)


def unflat(entries, like: Arrays) -> Arrays:
    """The inverse of `flat`, of arrays of the shapes of others."""
    arrays, end = {}, 0
    for name, value in sorted(like.items()):
        arrays[name] = entries[end : end + value.size].reshape(value.shape)
        end += value.size
    return arrays


def loss_of(
    parameters, teacher, tolerance, batch, key, settings: TrainingSettings, causal: bool
) -> jax.Array:
    """The loss of one model on one batch."""
    codes, lengths, right = batch
    weights = student_weights(parameters, teacher, settings.trained)
    visible = jnp.arange(codes.shape[1]) < lengths[:, None]

    def term(embedded, right, layer_loss, output_loss, combine):
        given = run(weights, embedded, lengths, causal=causal)
        given = Outputs(given.logits, product(given.blocks, weights["readout"]))
        return distance(
            right,
            given,
            visible,
            teacher["output_mask"],
            layer=layer_loss,
            output=output_loss,
            combine=combine,
            layer_weight=settings.layer_weight,
            numerical=(tolerance > 0).astype(jnp.float32),
            # A number must be right to its tolerance: errors count by their size against it.
            numerical_weight=jnp.clip((0.25 / jnp.maximum(tolerance, 1e-6)) ** 2, 1, 50),
        )

    both = (settings.layer_loss, settings.output_loss, settings.combine)
    if settings.samples == "vocabulary":
        return term(embed(weights, codes), right, *both)
    write = parameters["write"]
    # Padded directions are read by nothing, so noise there changes nothing.
    noise = jax.random.uniform(key, (*codes.shape, write.shape[0]))
    noise_right = run(teacher, noise, lengths, causal=causal)
    if settings.samples == "random":
        return term(noise @ write, noise_right, *both)
    layers = term(noise @ write, noise_right, settings.layer_loss, "none", "sum")
    return layers + term(embed(weights, codes), right, "none", settings.output_loss, "sum")


def rate_of(settings: TrainingSettings) -> optax.Schedule:
    """The learning rate of a step: in each cycle it rises in a line and falls as a cosine."""
    length = settings.cycle
    cycle = optax.warmup_cosine_decay_schedule(
        0.0,
        settings.learning_rate,
        max(1, int(settings.warm_up * length)),
        length,
        0.01 * settings.learning_rate,
    )
    return lambda step: cycle(step % length)


def adam_step(entries, moments, gradient, step, settings: TrainingSettings):
    """One Adam step with the model's own clipping and schedule, all in vectors of one length.

    Returns:
      parameters and the two moments.
    """
    norm = jnp.sqrt(jnp.vdot(gradient, gradient))
    change = gradient * jnp.minimum(1.0, settings.clip / jnp.maximum(norm, 1e-12))
    count = step + 1
    rate = rate_of(settings)(step)
    first = B1 * moments[0] + (1 - B1) * change
    second = B2 * moments[1] + (1 - B2) * change**2
    direction = (first / (1 - B1**count)) / (jnp.sqrt(second / (1 - B2**count)) + EPSILON)
    return entries - rate * direction, first, second
