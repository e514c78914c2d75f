"""Training many students at once: `vmap` over lanes, `scan` over steps.

A lane is a place for one model. When its model has converged or failed, the next one takes its
place without anything being compiled again. A model's random numbers come from its own id, and
lanes share nothing, so the result for a model does not depend on the others.

After every chunk of steps each student is run on some inputs, those that it got wrong among them,
and on the others only while all are right: so what is said to be right is right on all. Of the next
inputs a share is drawn from those that are wrong or nearly so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import jax
import numpy as np

from tracrlab.compiler.model import CompiledModel
from tracrlab.students import looking, stepping
from tracrlab.students.marks import RIGHT, WRONG, Wanted
from tracrlab.students.stacking import stack

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
      cycles: parts of the steps that each have a schedule of their own: the first is enough for
        most models, and the others are a second chance for the few that it leaves.
      extra_cycles: further ones, of a model that comes near the gate in these and does not pass.
      chunk: steps between two looks at a model.
      lanes: models that are trained side by side; 0 is one on a CPU, whose core has nothing to do
        them with at once, and 64 on an accelerator.
      batch: inputs a step.
      pool: inputs that the batches of a chunk are drawn from.
      looked: inputs that a student is run on after a chunk: no more while some are wrong, and fewer
        where many are.
      hopeful: share of the positions that must be right at a model's first look; with less it
        leaves its lane.
      mined: share of the pool that is drawn from inputs which the student gets wrong or nearly so.
      learning_rate: peak of the schedule.
      warm_up: share of a cycle over which the rate rises; it falls as a cosine afterwards.
      clip: largest norm of a model's gradient.
      averaging: share of the past in the running mean of the weights that a student has; 0 gives it
        those of the last step.
      layer_loss, layer_weight, output_loss, combine: as in `losses.distance`.
      samples: "vocabulary" (inputs of the domain), "random" (uniform residual streams), or
        "combined", the thesis's: layers on random streams, outputs on the vocabulary.
      seed: root of the random numbers.
    """

    trained: str = "compression"
    steps: int = 400
    cycles: int = 1
    extra_cycles: int = 0
    chunk: int = 50
    lanes: int = 0
    batch: int = 32
    pool: int = 512
    looked: int = 1024
    hopeful: float = 0.0
    mined: float = 0.5
    learning_rate: float = 1e-2
    warm_up: float = 0.1
    clip: float = 1.0
    averaging: float = 0.0
    layer_loss: str = "l2"
    layer_weight: float = 0.2
    output_loss: str = "both"
    combine: str = "sum"
    samples: str = "vocabulary"
    seed: int = 0

    @property
    def places(self) -> int:
        """Number of lanes on this machine."""
        return self.lanes or (1 if jax.default_backend() == "cpu" else 64)

    def ends(self, state: Trained) -> bool:
        """Whether a model leaves its lane whatever becomes of it."""
        hopeless = state.steps <= self.chunk and state.accuracy < self.hopeful
        most = self.steps + self.extra_cycles * self.cycle
        return hopeless or not np.isfinite(state.loss) or state.steps >= most

    def may_end(self, state: Trained) -> bool:
        """Whether a model leaves its lane unless another cycle may bring it past the gate."""
        return state.steps >= self.steps and (state.steps - self.steps) % self.cycle < self.chunk

    @property
    def cycle(self) -> int:
        """Steps of a cycle."""
        return max(2, self.steps // self.cycles)

    @property
    def sought(self) -> int:
        """Wrong inputs that are enough to draw a pool from, each a few times."""
        return max(1, self.pool // 4)

    @property
    def is_plain(self) -> bool:
        """Whether targets and looks are those of `plain`."""
        return self.places == 1 and jax.default_backend() == "cpu"


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
      wanted: the right outputs on all inputs.
      tolerance: how far every number may be off; 0 for categorical output.
      model: the teacher in its own sizes.
      plain: gives the student that padded parameters are, in its own sizes.
      state: where training goes on from; None for the start.
    """

    id: int
    teacher: Arrays
    parameters: Arrays
    mask: Arrays
    wanted: Wanted
    tolerance: float
    model: CompiledModel
    plain: Callable[[Arrays], CompiledModel]
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
      parameters: padded: the running mean of what the steps give.
      walk: what the last step gave, and Adam's two moments [3, entries], in the order of
        `stepping.flat`.
      loss: mean training loss of the last steps.
      steps: steps so far.
      accuracy: share of positions that are right, of the inputs that were looked at last.
      marks: what is known of each input, of `marks`: int8 [inputs].
      error: the largest error of an output, where all inputs were run by `plain` and all are right;
        else NaN.
    """

    id: int
    parameters: Arrays
    walk: np.ndarray
    loss: float
    steps: int
    accuracy: float
    marks: np.ndarray
    error: float = np.nan

    @property
    def is_right(self) -> bool:
        """Whether no input is known to be wrong."""
        return not (self.marks == WRONG).any()


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
      look: asked after each chunk what becomes of a model; where the settings end it, it leaves in
        any case.
      after_chunk: called with the models that go on, for checkpoints.

    Yields:
      models that `look` gives, and each as it leaves, NaN as it is: its neighbours go on.
    """
    waiting = list(reversed(jobs))
    lanes: list[Job | None] = [waiting.pop() if waiting else None for _ in range(settings.places)]
    states = [_start(job or jobs[0], inputs) for job in lanes] if jobs else []
    fixed: Fixed | None = None
    while any(lanes):
        if fixed is None:  # an empty lane repeats the first job, so that the program is the same
            fixed = _fixed([job or jobs[0] for job in lanes])
        states = _trained_on(states, fixed, inputs, settings)
        for number, job in enumerate(lanes):
            if job is None:
                continue
            state = states[number]
            give, leave = look(state)
            leave |= settings.ends(state)
            if give or leave:
                yield state
            if leave:
                lanes[number] = waiting.pop() if waiting else None
                states[number] = _start(lanes[number] or jobs[0], inputs)
                fixed = None
        after_chunk([state for state, job in zip(states, lanes, strict=True) if job])


def _start(job: Job, inputs: Inputs) -> Trained:
    own = stepping.flat(job.parameters)
    walk = np.stack([own, np.zeros_like(own), np.zeros_like(own)])
    nothing_known = np.full(len(inputs.codes), RIGHT, np.int8)
    return job.state or Trained(job.id, job.parameters, walk, np.inf, 0, 0.0, nothing_known)


def _trained_on(
    states: Sequence[Trained], fixed: Fixed, inputs: Inputs, settings: TrainingSettings
) -> list[Trained]:
    """The states after one more chunk."""
    batches = [_batches(state, settings) for state in states]
    pools = np.stack([batch.pool for batch in batches])
    codes, lengths = inputs.codes[pools], inputs.lengths[pools]
    result = stepping.compiled(stepping.steps)(
        np.stack([stepping.flat(state.parameters) for state in states]),
        np.stack([state.walk for state in states]),
        codes,
        lengths,
        looking.targets(fixed, pools, [batch.distinct for batch in batches], inputs, settings),
        np.stack([batch.rows for batch in batches]),
        np.array([state.steps for state in states]),
        fixed.ids,
        fixed.masks,
        fixed.teachers,
        fixed.tolerances,
        settings,
        inputs.causal,
    )
    flats, walks, losses = jax.tree.map(np.asarray, result)
    trained = [
        Trained(
            state.id,
            stepping.unflat(flats[number], state.parameters),
            walks[number],
            float(losses[number]),
            state.steps + settings.chunk,
            0.0,
            state.marks,
        )
        for number, state in enumerate(states)
    ]
    orders = [batch.looked for batch in batches]
    return looking.looked_at(trained, orders, fixed, inputs, settings)


class Batches(NamedTuple):
    """The inputs of a model's next chunk.

    Attributes:
      pool: rows of all inputs [pool], the first `distinct` without repetition; the others are not
        used.
      distinct: how many.
      rows: rows of the pool, a batch a step [chunk, batch].
      looked: rows of all inputs, in the order in which they are run after the chunk [inputs].
    """

    pool: np.ndarray
    distinct: int
    rows: np.ndarray
    looked: np.ndarray


def _batches(state: Trained, settings: TrainingSettings) -> Batches:
    """The inputs of a model's next chunk.

    `mined` of the pool are inputs that are wrong or, half as often each, unsure; fewer where less
    than a twentieth is. Drawn here and not in the compiled program, which takes half as long to
    compile without.
    """
    rng = np.random.default_rng([settings.seed, state.id, state.steps])
    count = len(state.marks)
    weights = state.marks / WRONG
    share = weights / max(weights.sum(), 0.05 * count)
    total = np.cumsum((1 - settings.mined) / count + settings.mined * share)
    drawn = rng.random(settings.pool) * total[-1]
    inputs = np.minimum(np.searchsorted(total, drawn), count - 1)
    rows = rng.integers(settings.pool, size=(settings.chunk, settings.batch), dtype=np.int32)
    # What is wrong is drawn many times. Its target is computed once.
    pool, places = np.unique(inputs, return_inverse=True)
    padded = np.resize(pool, settings.pool)
    return Batches(padded, len(pool), places[rows], _order(state, settings, rng))


@lru_cache(maxsize=8)
def _shuffled(seed: int, count: int) -> np.ndarray:
    """All inputs, in an order that is not their own: neighbours are alike."""
    return np.random.default_rng(seed).permutation(count)


def _order(state: Trained, settings: TrainingSettings, rng: np.random.Generator) -> np.ndarray:
    """All inputs: by turns what is wrong or unsure, to half a look, and what follows the last."""
    count = len(state.marks)
    share = min(settings.looked, count) // 2
    marked = rng.permutation(np.flatnonzero(state.marks))[:share]
    past = (state.steps // settings.chunk) * share
    order = np.roll(_shuffled(settings.seed, count), -past)
    is_first = np.zeros(count, bool)
    is_first[marked] = True
    others = order[~is_first[order]]
    taken = np.empty(count, order.dtype)
    pairs = min(len(marked), len(others))
    taken[: 2 * pairs : 2], taken[1 : 2 * pairs : 2] = marked[:pairs], others[:pairs]
    taken[2 * pairs :] = np.concatenate([marked[pairs:], others[pairs:]])
    return taken


class Fixed(NamedTuple):
    """What does not change while the same jobs are in the lanes, stacked.

    What programs take lies on the device: to hand them 20 arrays again costs as much as a step.
    """

    jobs: Sequence[Job]
    wanted: Wanted
    ids: jax.Array
    masks: dict[str, jax.Array]
    teachers: dict[str, jax.Array]
    tolerances: jax.Array


def _fixed(jobs: Sequence[Job]) -> Fixed:
    on_device = jax.device_put(
        (
            np.array([job.id for job in jobs]),
            stack([job.mask for job in jobs]),
            stack([job.teacher for job in jobs]),
            np.array([job.tolerance for job in jobs], np.float32),
        )
    )
    wanted = Wanted(*map(np.stack, zip(*(job.wanted for job in jobs), strict=True)))
    return Fixed(jobs, wanted, *on_device)
