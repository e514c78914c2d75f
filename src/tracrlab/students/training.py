"""Training many compression matrices at once: `vmap` over lanes, `scan` over steps.

A lane is a place for one model. When its model has converged or failed, the next one takes its
place without anything being compiled again. A model's random numbers come from its own id, and
lanes share nothing, so the result for a model does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tracrlab.students.losses import distance
from tracrlab.students.stacking import Bucket, stack
from tracrlab.students.transformer import embed, run


@dataclass(frozen=True)
class TrainingSettings:
    """How compression matrices are trained.

    Attributes:
      steps: most steps of a model.
      chunk: steps between two looks at whether a model has converged.
      lanes: models that are trained side by side.
      batch: inputs a step.
      learning_rate: peak of the schedule.
      warm_up: share of the steps over which the rate rises; it falls as a cosine afterwards.
      clip: largest norm of a model's gradient.
      layer_loss, output_loss, combine: as in `losses.distance`.
      samples: "vocabulary" (inputs of the domain), "random" (uniform residual streams), or
        "combined", the thesis's: layers on random streams, outputs on the vocabulary.
      seed: root of the random numbers.
    """

    steps: int = 400
    chunk: int = 100
    lanes: int = 32
    batch: int = 32
    learning_rate: float = 3e-3
    warm_up: float = 0.1
    clip: float = 1.0
    layer_loss: str = "l2"
    output_loss: str = "l2"
    combine: str = "sum"
    samples: str = "vocabulary"
    seed: int = 0


@dataclass
class Job:
    """One model to train.

    Attributes:
      id: its number; random numbers are drawn from it.
      weights: padded weights of the teacher.
      compression: the start, padded [D, width].
      mask: 1 where the matrix may be non-zero [D, width].
    """

    id: int
    weights: dict[str, np.ndarray]
    compression: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Trained:
    """A trained model: its id, padded matrix, last mean loss, steps, and whether it converged."""

    id: int
    compression: np.ndarray
    loss: float
    steps: int
    converged: bool


def train(
    jobs: Sequence[Job],
    bucket: Bucket,
    codes: np.ndarray,
    lengths: np.ndarray,
    settings: TrainingSettings,
    has_converged: Callable[[Job, np.ndarray, float], bool],
) -> Iterator[Trained]:
    """Trains every job, in lanes.

    Args:
      jobs: the models; all of one bucket.
      bucket: their padded sizes.
      codes: inputs to draw batches from [inputs, positions].
      lengths: their lengths, BOS counted [inputs].
      settings: how.
      has_converged: asked after each chunk with the job, its matrix and its loss.

    Yields:
      each job as it ends. A loss that is not a number ends a job, its neighbours go on.
    """
    waiting = list(reversed(jobs))
    lanes: list[_Lane | None] = [
        _Lane(waiting.pop()) if waiting else None for _ in range(min(settings.lanes, len(jobs)))
    ]
    spare = jobs[0]
    stacked: dict[str, np.ndarray] | None = None
    while any(lanes):
        if stacked is None:
            stacked = stack([(lane.job if lane else spare).weights for lane in lanes])
        states = [lane or _Lane(spare) for lane in lanes]
        matrices, moments, losses = _chunk(
            np.stack([state.matrix for state in states]),
            stack([state.moments for state in states]),
            np.stack([state.job.mask for state in states]),
            stacked,
            np.array([state.steps for state in states]),
            np.array([state.job.id for state in states]),
            jnp.asarray(codes),
            jnp.asarray(lengths),
            settings,
            bucket.causal,
        )
        matrices, losses = np.asarray(matrices), np.asarray(losses)
        moments = {name: np.asarray(value) for name, value in moments.items()}
        for number, lane in enumerate(lanes):
            if lane is None:
                continue
            lane.matrix = matrices[number]
            lane.moments = {name: value[number] for name, value in moments.items()}
            lane.steps += settings.chunk
            loss = float(losses[number])
            converged = np.isfinite(loss) and has_converged(lane.job, lane.matrix, loss)
            if converged or not np.isfinite(loss) or lane.steps >= settings.steps:
                yield Trained(lane.job.id, lane.matrix, loss, lane.steps, bool(converged))
                lanes[number] = _Lane(waiting.pop()) if waiting else None
                stacked = None


class _Lane:
    """The state of one model in training."""

    def __init__(self, job: Job):
        self.job = job
        self.matrix = job.compression
        self.moments: dict[str, Any] = {
            "first": np.zeros_like(job.compression),
            "second": np.zeros_like(job.compression),
        }
        self.steps = 0


@partial(jax.jit, static_argnames=("causal",))
def student_loss(weights, compression, codes, lengths, causal) -> jax.Array:
    """Tracr's loss of a student on given inputs: squared errors of block outputs and of outputs.

    Args:
      weights: padded weights of the teacher.
      compression: W, padded [D, width].
      codes: the inputs [inputs, positions].
      lengths: their lengths, BOS counted [inputs].
      causal: whether attention is masked causally.
    """
    embedded = embed(weights, codes)
    teacher = run(weights, embedded, lengths, causal=causal)
    student = run(weights, embedded, lengths, causal=causal, compression=compression)
    visible = jnp.arange(codes.shape[1]) < lengths[:, None]
    mask = weights["output_mask"]
    return distance(teacher, student, visible, mask, layer="l2", output="l2")


@partial(jax.jit, static_argnames=("settings", "causal"))
def _chunk(
    matrices, moments, masks, weights, steps, ids, codes, lengths, settings, causal
) -> tuple[jax.Array, dict[str, jax.Array], jax.Array]:
    """A chunk of steps in every lane: matrices, Adam's moments, mean loss of the last steps."""
    key = jax.random.key(settings.seed)

    def lane(matrix, moments, mask, weights, start, id_):
        own_key = jax.random.fold_in(key, id_)

        def step(state, number):
            matrix, moments = state
            loss, gradient = jax.value_and_grad(_loss)(
                matrix,
                weights,
                jax.random.fold_in(own_key, start + number),
                codes,
                lengths,
                mask,
                settings,
                causal,
            )
            matrix, moments = _adam(matrix, moments, gradient * mask, start + number, settings)
            return (matrix * mask, moments), loss

        state, losses = jax.lax.scan(step, (matrix, moments), jnp.arange(settings.chunk))
        return *state, losses[-10:].mean()

    return jax.vmap(lane)(matrices, moments, masks, weights, steps, ids)


def _loss(matrix, weights, key, codes, lengths, mask, settings, causal) -> jax.Array:
    """The loss of one model on one batch."""
    rows_key, noise_key = jax.random.split(key)
    rows = jax.random.randint(rows_key, (settings.batch,), 0, codes.shape[0])
    visible = jnp.arange(codes.shape[1]) < lengths[rows][:, None]

    def term(embedded, layer_loss, output_loss, combine):
        teacher = run(weights, embedded, lengths[rows], causal=causal)
        student = run(weights, embedded, lengths[rows], causal=causal, compression=matrix)
        return distance(
            teacher,
            student,
            visible,
            weights["output_mask"],
            layer=layer_loss,
            output=output_loss,
            combine=combine,
        )

    vocabulary = embed(weights, codes[rows])
    both = (settings.layer_loss, settings.output_loss, settings.combine)
    if settings.samples == "vocabulary":
        return term(vocabulary, *both)
    used = (mask.sum(axis=1) > 0).astype(vocabulary.dtype)
    noise = jax.random.uniform(noise_key, vocabulary.shape) * used
    if settings.samples == "random":
        return term(noise, *both)
    layers = term(noise, settings.layer_loss, "none", "sum")
    return layers + term(vocabulary, "none", settings.output_loss, "sum")


def _adam(matrix, moments, gradient, step, settings, b1=0.9, b2=0.99, epsilon=1e-8):
    """One Adam step with the model's own clipping and schedule (Tracr paper: b1 0.9, b2 0.99)."""
    norm = jnp.sqrt((gradient**2).sum())
    gradient = gradient * jnp.minimum(1.0, settings.clip / jnp.maximum(norm, 1e-12))
    first = b1 * moments["first"] + (1 - b1) * gradient
    second = b2 * moments["second"] + (1 - b2) * gradient**2
    count = step + 1
    direction = (first / (1 - b1**count)) / (jnp.sqrt(second / (1 - b2**count)) + epsilon)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0,
        settings.learning_rate,
        max(1, int(settings.warm_up * settings.steps)),
        settings.steps,
        0.01 * settings.learning_rate,
    )
    return matrix - schedule(step) * direction, {"first": first, "second": second}
