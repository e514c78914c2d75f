"""The program that trains: one step of one model, and a chunk of steps in every lane."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import optax

from tracrlab.compiler.model import PRESENT
from tracrlab.students.losses import distance
from tracrlab.students.transformer import Outputs, embed, run

if TYPE_CHECKING:
    from tracrlab.students.training import Arrays, TrainingSettings


def student_weights(parameters: Arrays, teacher: Arrays, trained: str) -> dict[str, jax.Array]:
    """A student's padded weights, and its readout from its stream to the teacher's [width, D].

    With W alone trained they are the teacher's, folded (thesis, Algorithm 2); the readout is W^T.
    """
    if trained == "weights":
        return parameters | {"output_mask": teacher["output_mask"]}
    write = parameters["write"]
    read = write.T
    return {
        "tokens": teacher["tokens"] @ write,
        "positions": teacher["positions"] @ write,
        "query": jnp.einsum("dD,lDhk->ldhk", read, teacher["query"]),
        "key": jnp.einsum("dD,lDhk->ldhk", read, teacher["key"]),
        "value": jnp.einsum("dD,lDhv->ldhv", read, teacher["value"]),
        "linear": teacher["linear"] @ write,
        "linear_1": jnp.einsum("dD,lDm->ldm", read, teacher["linear_1"]),
        "linear_2": teacher["linear_2"] @ write,
        "unembed": read @ teacher["unembed"],
        "output_mask": teacher["output_mask"],
        "readout": read,
    }


@cache
def compiled_chunk() -> Callable:
    """`_chunk`, compiled.

    LLVM's costlier passes add a third to the time of compiling for a CPU, and gain nothing where
    products of matrices, which are library calls, take the time. What XLA_FLAGS says goes first.
    """
    options = None
    level = "xla_backend_optimization_level"
    if jax.default_backend() == "cpu" and level not in os.environ.get("XLA_FLAGS", ""):
        options = {level: 1}
    return jax.jit(_chunk, static_argnames=("settings", "causal"), compiler_options=options)


def _chunk(
    parameters,
    moments,
    batches,
    steps,
    ids,
    masks,
    teachers,
    wanted,
    tolerances,
    codes,
    lengths,
    settings,
    causal,
):
    """A chunk of steps in every lane, and a look at some inputs."""
    root = jax.random.key(settings.seed)

    def lane(parameters, moments, batches, start, id_, mask, teacher, wanted, tolerance):
        key = jax.random.fold_in(jax.random.fold_in(root, id_), start)
        steps_end = settings.pool + settings.chunk * settings.batch
        pool, rows_of, looked = jnp.split(batches, (settings.pool, steps_end))
        pool_codes, pool_lengths = codes[pool], lengths[pool]
        right = run(teacher, embed(teacher, pool_codes), pool_lengths, causal=causal)

        def step(state, entry):
            parameters, moments = state
            number, rows = entry
            noise_key = jax.random.fold_in(key, number)
            batch = (
                pool_codes[rows],
                pool_lengths[rows],
                Outputs(right.logits[rows], right.blocks[:, rows]),
            )
            loss, gradient = jax.value_and_grad(loss_of)(
                parameters, teacher, tolerance, batch, noise_key, settings, causal
            )
            gradient = {name: value * mask[name] for name, value in gradient.items()}
            state = adam_step(parameters, moments, gradient, start + number, settings)
            return state, loss

        numbered = jnp.arange(settings.chunk), rows_of.reshape(settings.chunk, settings.batch)
        state, losses = jax.lax.scan(step, (parameters, moments), numbered)
        weights = student_weights(state[0], teacher, settings.trained)
        own = lengths[looked]
        logits = run(weights, embed(weights, codes[looked]), own, causal=causal).logits[:, 1:]
        bad = _wrong_positions(logits, wanted[looked], tolerance, teacher["output_mask"])
        bad &= jnp.arange(bad.shape[1]) < own[:, None] - 1
        accuracy = 1 - bad.sum() / (own - 1).sum()
        return *state, losses[-10:].mean(), bad.any(axis=1), accuracy

    return jax.vmap(lane)(
        parameters, moments, batches, steps, ids, masks, teachers, wanted, tolerances
    )


def _wrong_positions(logits, wanted, tolerance, output_mask) -> jax.Array:
    """Which outputs are not as wanted [inputs, positions]."""
    shown = jnp.where(output_mask > 0, logits, -jnp.inf)
    found = jnp.where(shown.max(axis=-1) >= PRESENT, shown.argmax(axis=-1), -1)
    near = jnp.abs(logits[..., 0] - wanted) < tolerance
    return jnp.where(tolerance > 0, ~near, found != wanted)


def loss_of(
    parameters, teacher, tolerance, batch, key, settings: TrainingSettings, causal: bool
) -> jax.Array:
    """The loss of one model on one batch."""
    codes, lengths, right = batch
    weights = student_weights(parameters, teacher, settings.trained)
    visible = jnp.arange(codes.shape[1]) < lengths[:, None]

    def term(embedded, right, layer_loss, output_loss, combine):
        given = run(weights, embedded, lengths, causal=causal)
        given = Outputs(given.logits, given.blocks @ weights["readout"])
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


def adam_step(
    parameters,
    moments,
    gradient,
    step,
    settings: TrainingSettings,
    b1: float = 0.9,
    b2: float = 0.99,
    epsilon: float = 1e-8,
):
    """One Adam step with the model's own clipping and schedule (Tracr paper: b1 0.9, b2 0.99)."""
    norm = jnp.sqrt(sum((value**2).sum() for value in gradient.values()))
    scale = jnp.minimum(1.0, settings.clip / jnp.maximum(norm, 1e-12))
    count = step + 1
    rate = optax.warmup_cosine_decay_schedule(
        0.0,
        settings.learning_rate,
        max(1, int(settings.warm_up * settings.steps)),
        max(2, settings.steps),
        0.01 * settings.learning_rate,
    )(step)
    new, firsts, seconds = {}, {}, {}
    for name, value in parameters.items():
        change = gradient[name] * scale
        first = firsts[name] = b1 * moments[0][name] + (1 - b1) * change
        second = seconds[name] = b2 * moments[1][name] + (1 - b2) * change**2
        direction = (first / (1 - b1**count)) / (jnp.sqrt(second / (1 - b2**count)) + epsilon)
        new[name] = value - rate * direction
    return new, (firsts, seconds)
