"""Training many students at once: `vmap` over lanes, `scan` over steps.

A lane is a place for one model. When its model has converged or failed, the next one takes its
place without anything being compiled again. A model's random numbers come from its own id, and
lanes share nothing, so the result for a model does not depend on the others.

After every chunk of steps each student is run on all inputs. That says when it is right, and which
inputs are not yet: half of the next inputs are drawn from those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tracrlab.compiler.model import PRESENT
from tracrlab.students.losses import distance
from tracrlab.students.stacking import stack
from tracrlab.students.transformer import Outputs, embed, run

#: What is trained: W alone, all else frozen, or every weight and the readout.
TRAINED = ("compression", "weights")
SAMPLES = ("vocabulary", "random", "combined")

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class TrainingSettings:
    """How students are trained.

    Attributes:
      trained: "compression" (W alone) or "weights" (every weight).
      steps: most steps of a model.
      chunk: steps between two looks at a model.
      lanes: models that are trained side by side.
      batch: inputs a step.
      pool: inputs that the batches of a chunk are drawn from.
      mined: share of the pool that is drawn from inputs which the student gets wrong.
      learning_rate: peak of the schedule.
      warm_up: share of the steps over which the rate rises; it falls as a cosine afterwards.
      clip: largest norm of a model's gradient.
      layer_loss, layer_weight, output_loss, combine: as in `losses.distance`.
      samples: "vocabulary" (inputs of the domain), "random" (uniform residual streams), or
        "combined", the thesis's: layers on random streams, outputs on the vocabulary.
      seed: root of the random numbers.
    """

    trained: str = "compression"
    steps: int = 400
    chunk: int = 50
    lanes: int = 16
    batch: int = 32
    pool: int = 512
    mined: float = 0.5
    learning_rate: float = 1e-2
    warm_up: float = 0.1
    clip: float = 1.0
    layer_loss: str = "l2"
    layer_weight: float = 0.2
    output_loss: str = "both"
    combine: str = "sum"
    samples: str = "vocabulary"
    seed: int = 0


@dataclass(frozen=True)
class Inputs:
    """Every input that students are trained and judged on.

    Attributes:
      codes: [inputs, positions], BOS in front.
      lengths: positions that are not padding, BOS counted [inputs].
    """

    codes: np.ndarray
    lengths: np.ndarray
    causal: bool


@dataclass
class Job:
    """One model to train; all of a call are padded to one shape.

    Attributes:
      id: its number; random numbers are drawn from it.
      teacher: padded weights of the teacher.
      parameters: the start: ``write`` [D, width] for a compression, or padded weights of the
        student and ``readout`` [width, D].
      mask: 1 where a parameter may be non-zero, by name.
      wanted: the right output at each position: the column of a value (-1 for None), or the number;
        float32 [inputs, positions], BOS not counted.
      tolerance: how far a number may be off; 0 for categorical output.
      state: where training goes on from; None for the start.
    """

    id: int
    teacher: Arrays
    parameters: Arrays
    mask: Arrays
    wanted: np.ndarray
    tolerance: float
    state: Trained | None = None


class Look(NamedTuple):
    """What becomes of a model after a chunk: is it given to the caller, does it leave its lane?"""

    give: bool
    leave: bool


@dataclass(frozen=True)
class Trained:
    """The state of a model in training.

    Attributes:
      id: its number.
      parameters: padded.
      moments: Adam's.
      loss: mean training loss of the last steps.
      steps: steps so far.
      accuracy: share of the positions of all inputs that are right.
      wrong: which inputs are not right, bool [inputs].
    """

    id: int
    parameters: Arrays
    moments: tuple[Arrays, Arrays]
    loss: float
    steps: int
    accuracy: float
    wrong: np.ndarray


def train(
    jobs: Sequence[Job],
    inputs: Inputs,
    settings: TrainingSettings,
    look: Callable[[Trained], Look],
    after_chunk: Callable[[list[Trained]], None] = lambda states: None,
) -> Iterator[Trained]:
    """Trains every job, in lanes.

    Args:
      jobs: the models.
      inputs: what they are trained on.
      settings: how.
      look: asked after each chunk what becomes of a model; at the last step, or with a loss that is
        not a number, it leaves in any case.
      after_chunk: called with the models that go on, for checkpoints.

    Yields:
      models that `look` gives, and each as it leaves, NaN as it is: its neighbours go on.
    """
    waiting = list(reversed(jobs))
    lanes: list[Job | None] = [waiting.pop() if waiting else None for _ in range(settings.lanes)]
    states = [_start(job or jobs[0], inputs) for job in lanes] if jobs else []
    fixed: tuple | None = None
    codes, lengths = jnp.asarray(inputs.codes), jnp.asarray(inputs.lengths)
    while any(lanes):
        if fixed is None:  # an empty lane repeats the first job, so that the program is the same
            fixed = _fixed([job or jobs[0] for job in lanes])
        states = _trained_on(states, fixed, codes, lengths, settings, inputs.causal)
        for number, job in enumerate(lanes):
            if job is None:
                continue
            state = states[number]
            give, leave = look(state)
            leave |= not np.isfinite(state.loss) or state.steps >= settings.steps
            if give or leave:
                yield state
            if leave:
                lanes[number] = waiting.pop() if waiting else None
                states[number] = _start(lanes[number] or jobs[0], inputs)
                fixed = None
        after_chunk([state for state, job in zip(states, lanes, strict=True) if job])


def _start(job: Job, inputs: Inputs) -> Trained:
    zeros = {name: np.zeros_like(value) for name, value in job.parameters.items()}
    nothing_known = np.zeros(len(inputs.codes), bool)
    return job.state or Trained(
        job.id, job.parameters, (zeros, zeros), np.inf, 0, 0.0, nothing_known
    )


def _trained_on(
    states: Sequence[Trained], fixed: tuple, codes, lengths, settings, causal
) -> list[Trained]:
    """The states after one more chunk."""
    result = _chunk(
        stack([state.parameters for state in states]),
        tuple(stack([state.moments[number] for state in states]) for number in (0, 1)),
        np.stack([_batches(state, settings) for state in states]),
        np.array([state.steps for state in states]),
        *fixed,
        codes,
        lengths,
        settings,
        causal,
    )
    parameters, moments, loss, wrong, accuracy = jax.tree.map(np.asarray, result)

    def of(arrays: Arrays, number: int) -> Arrays:
        return {name: value[number] for name, value in arrays.items()}

    return [
        Trained(
            state.id,
            of(parameters, number),
            (of(moments[0], number), of(moments[1], number)),
            float(loss[number]),
            state.steps + settings.chunk,
            float(accuracy[number]),
            wrong[number],
        )
        for number, state in enumerate(states)
    ]


def _batches(state: Trained, settings: TrainingSettings) -> np.ndarray:
    """The inputs of a model's next chunk: the pool, then rows of it, a batch a step.

    `mined` of the pool are inputs that are wrong, fewer where less than a twentieth is. Drawn here
    and not in the compiled program, which takes half as long to compile without.
    """
    rng = np.random.default_rng([settings.seed, state.id, state.steps])
    count = len(state.wrong)
    share = state.wrong / max(state.wrong.sum(), 0.05 * count)
    total = np.cumsum((1 - settings.mined) / count + settings.mined * share)
    drawn = rng.random(settings.pool) * total[-1]
    pool = np.minimum(np.searchsorted(total, drawn), count - 1)
    rows = rng.integers(settings.pool, size=settings.chunk * settings.batch)
    return np.concatenate([pool, rows]).astype(np.int32)


def _fixed(jobs: Sequence[Job]) -> tuple:
    """What does not change while the same jobs are in the lanes."""
    return (
        np.array([job.id for job in jobs]),
        stack([job.mask for job in jobs]),
        stack([job.teacher for job in jobs]),
        np.stack([job.wanted for job in jobs]),
        np.array([job.tolerance for job in jobs], np.float32),
    )


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


@partial(jax.jit, static_argnames=("settings", "causal"))
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
    """A chunk of steps in every lane, and a look at all inputs."""
    root = jax.random.key(settings.seed)

    def lane(parameters, moments, batches, start, id_, mask, teacher, wanted, tolerance):
        key = jax.random.fold_in(jax.random.fold_in(root, id_), start)
        # The pool's inputs come first: batches are rows of it.
        pool, rows_of = batches[: settings.pool], batches[settings.pool :]
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
            loss, gradient = jax.value_and_grad(_loss)(
                parameters, teacher, tolerance, batch, noise_key, settings, causal
            )
            gradient = {name: value * mask[name] for name, value in gradient.items()}
            state = _adam(parameters, moments, gradient, start + number, settings)
            return state, loss

        numbered = jnp.arange(settings.chunk), rows_of.reshape(settings.chunk, settings.batch)
        state, losses = jax.lax.scan(step, (parameters, moments), numbered)
        weights = student_weights(state[0], teacher, settings.trained)
        logits = run(weights, embed(weights, codes), lengths, causal=causal).logits[:, 1:]
        bad = _wrong_positions(logits, wanted, tolerance, teacher["output_mask"])
        bad &= jnp.arange(bad.shape[1]) < lengths[:, None] - 1
        accuracy = 1 - bad.sum() / (lengths - 1).sum()
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


def _loss(parameters, teacher, tolerance, batch, key, settings, causal) -> jax.Array:
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


def _adam(parameters, moments, gradient, step, settings, b1=0.9, b2=0.99, epsilon=1e-8):
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
