"""The superposition study: one compression matrix for every width and seed, trained side by side.

The Tracr paper's own training (section 5.1, appendix E): all weights frozen but W, the output loss
plus the squared differences of the layer outputs, AdamW, a rate that falls linearly over the first
half of the steps, and a normal start as in the paper's public code.

All runs of a program share one compiled loop: `scan` over steps, `vmap` over seeds and over widths,
W padded to the largest width and masked. Widths of one seed share start and batches, so that curves
differ by the width alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.model import CompiledModel
from tracrlab.compiler.verification import model_inputs
from tracrlab.errors import TracrLabError
from tracrlab.rasp.program import CATEGORICAL
from tracrlab.rasp.truth_table import TruthTable
from tracrlab.students.losses import distance
from tracrlab.students.stacking import Bucket, padded_weights
from tracrlab.students.transformer import Outputs, embed, run

#: Tracr paper, appendix E.
WEIGHT_DECAY, B1, B2 = 0.1, 0.9, 0.99
FIRST_RATE, LAST_RATE = 1e-3, 1e-6


@dataclass(frozen=True)
class StudySettings:
    """How the matrices of one program are trained.

    Attributes:
      widths: widths of the compressed stream, ascending.
      seeds: runs of each width.
      steps: training steps; the paper's 300,000.
      batch: inputs a step; the paper's 256.
      learning_rate: the rate at the start; it falls to `LAST_RATE` over the first half.
      scale: standard deviation of the start; None for one over the root of the width.
      points: points of a training curve, at most.
      seed: root of the random numbers.
    """

    widths: tuple[int, ...]
    seeds: int = 3
    steps: int = 300_000
    batch: int = 256
    learning_rate: float = FIRST_RATE
    scale: float | None = 1.0
    points: int = 100
    seed: int = 0

    @property
    def chunk(self) -> int:
        """Steps between two points of a training curve."""
        return -(-self.steps // self.points)

    @property
    def recorded(self) -> int:
        """Points that a training curve has in the end."""
        return -(-self.steps // self.chunk)


@dataclass(frozen=True)
class Losses:
    """Mean losses of every run over some steps.

    Attributes:
      step: the last of these steps, counted from 1.
      total: what is minimised [seeds, widths].
      output: the part of it that is the output loss [seeds, widths].
    """

    step: int
    total: np.ndarray
    output: np.ndarray


def spread_widths(d_model: int, count: int, *, always: Sequence[int] = ()) -> tuple[int, ...]:
    """Up to `count` widths, evenly spread from 1 to `d_model`, and those of `always` that fit."""
    spread = np.linspace(1, d_model, min(count, d_model)) if count > 1 else [d_model]
    chosen = {round(float(width)) for width in spread}
    return tuple(sorted(chosen | {width for width in always if width <= d_model}))


class Study:
    """A program's compression at several widths and seeds.

    Attributes:
      model: the compiled model.
      settings: how the matrices are trained.
      matrices: W of every run, zero beyond its width [seeds, widths, D, largest width].
      inputs: codes with BOS in front and lengths of `studied_inputs`.
      has_none: whether the program is None somewhere on them.
    """

    def __init__(self, model: CompiledModel, table: TruthTable, settings: StudySettings):
        """Compiles nothing and trains nothing yet.

        Raises:
          TracrLabError: if a width is below 1 or above that of the model.
        """
        d_model = model.architecture.d_model
        if not settings.widths:
            raise TracrLabError(f"no width is left to compress to; give some from 1 to {d_model}.")
        for width in settings.widths:
            if not 1 <= width <= d_model:
                raise TracrLabError(
                    f"a stream of {d_model} directions cannot be compressed to {width}; give "
                    f"widths from 1 to {d_model}."
                )
        self.model, self.table, self.settings = model, table, settings
        self.bucket = exact_bucket(model.architecture, max(settings.widths))
        self.weights = {
            name: jnp.asarray(value) for name, value in padded_weights(model, self.bucket).items()
        }
        rows = studied_inputs(table)
        self.inputs = model_inputs(model, table.domain, rows)
        self.has_none = bool(nones_of_inputs(table)[rows].any())
        self.output_loss = "cross_entropy" if model.output_encoding == CATEGORICAL else "l2"
        self.matrices = initial_matrices(d_model, settings)

    def train(self) -> Iterator[Losses]:
        """Trains every run; `matrices` is up to date at each yield, a point of the curves."""
        chunk = self.settings.chunk
        matrices = jnp.asarray(self.matrices)
        state = _optimiser(self.settings).init(matrices)
        codes, lengths = map(jnp.asarray, self.inputs)
        for start in range(0, self.settings.steps, chunk):
            steps = min(chunk, self.settings.steps - start)
            matrices, state, total, output = _train_chunk(
                matrices,
                state,
                self.weights,
                codes,
                lengths,
                start,
                steps=steps,
                settings=self.settings,
                causal=self.bucket.causal,
                output_loss=self.output_loss,
            )
            self.matrices = np.asarray(matrices)
            yield Losses(start + steps, np.asarray(total), np.asarray(output))


def studied_inputs(table: TruthTable) -> np.ndarray:
    """Numbers of the inputs on which the program gives a value at every position.

    So sort_unique is studied where no token occurs twice. A program that gives None somewhere on
    every input, such as shift_by_1, is studied on all.
    """
    nones = nones_of_inputs(table)
    return np.flatnonzero(nones == 0) if (nones == 0).any() else np.arange(len(nones))


def nones_of_inputs(table: TruthTable) -> np.ndarray:
    """At how many positions the program is None, for each input of the domain."""
    missing = (table.output.codes == len(table.output.values)).sum(axis=1)
    return missing - (table.domain.codes.shape[1] - table.domain.lengths)


def exact_bucket(architecture: Architecture, width: int) -> Bucket:
    """The sizes of one model without rounding: here a single program is compiled for."""
    layers = architecture.layers

    def largest(name: str) -> int:
        return max(1, *(getattr(layer, name) for layer in layers))

    return Bucket(
        symbols=len(architecture.input_symbols),
        positions=architecture.max_seq_len + 1,
        layers=len(layers),
        d_model=architecture.d_model,
        heads=largest("heads"),
        key_size=largest("key_size"),
        value_size=largest("value_size"),
        mlp_hidden=largest("mlp_hidden"),
        outputs=architecture.output_size,
        width=width,
        causal=architecture.causal,
    )


def width_mask(widths: Sequence[int]) -> np.ndarray:
    """1 where a run's W has a column, 0 beyond its width [widths, 1, largest width]."""
    columns = np.arange(max(widths))
    return (columns < np.array(widths)[:, None, None]).astype(np.float32)


def initial_matrices(d_model: int, settings: StudySettings) -> np.ndarray:
    """Random W of every run [seeds, widths, D, largest width].

    The widths of a seed are cut from one matrix, whatever the other widths are.
    """
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(settings.seed)))(
        jnp.arange(settings.seeds)
    )
    largest = max(settings.widths)
    drawn = jax.vmap(lambda key: jax.random.normal(key, (d_model, d_model)))(keys)
    widths = np.array(settings.widths, np.float32)
    scales = widths**-0.5 if settings.scale is None else np.full(len(widths), settings.scale)
    return np.asarray(drawn)[:, None, :, :largest] * (
        width_mask(settings.widths) * scales[:, None, None].astype(np.float32)
    )


def _optimiser(settings: StudySettings) -> optax.GradientTransformation:
    """AdamW with the paper's schedule (appendix E). It is elementwise: runs do not meet in it."""
    rate = optax.linear_schedule(
        settings.learning_rate, LAST_RATE, max(1, settings.steps // 2), transition_begin=0
    )
    return optax.adamw(rate, b1=B1, b2=B2, weight_decay=WEIGHT_DECAY)


@partial(jax.jit, static_argnames=("steps", "settings", "causal", "output_loss"))
def _train_chunk(
    matrices, state, weights, codes, lengths, start, *, steps, settings, causal, output_loss
):
    """Some steps of every run: matrices, optimiser state, mean total and mean output losses."""
    optimiser = _optimiser(settings)
    mask = jnp.asarray(width_mask(settings.widths))
    root = jax.random.key(settings.seed + 1)
    keys = jax.vmap(partial(jax.random.fold_in, root))(jnp.arange(settings.seeds))

    def summed_loss(matrices, number):
        def of_seed(matrices, key):
            rows = jax.random.randint(
                jax.random.fold_in(key, number), (settings.batch,), 0, codes.shape[0]
            )
            return run_losses(weights, matrices, codes[rows], lengths[rows], causal, output_loss)

        total, output = jax.vmap(of_seed)(matrices * mask, keys)
        return total.sum(), (total, output)

    def step(carry, number):
        matrices, state = carry
        gradient, losses = jax.grad(summed_loss, has_aux=True)(matrices, number)
        updates, state = optimiser.update(gradient, state, matrices)
        return (optax.apply_updates(matrices, updates) * mask, state), losses

    carry, (total, output) = jax.lax.scan(step, (matrices, state), start + jnp.arange(steps))
    return *carry, total.mean(axis=0), output.mean(axis=0)


def run_losses(weights, matrices, codes, lengths, causal, output_loss):
    """The total and the output loss of several W on one batch, each [runs].

    Args:
      weights: padded weights of the compiled model.
      matrices: W [runs, D, width].
      codes: the batch, BOS in front [inputs, positions].
      lengths: its lengths, BOS counted [inputs].
      causal: whether attention is masked causally.
      output_loss: one of `losses.OUTPUT_LOSSES`.
    """
    embedded = embed(weights, codes)
    teacher = run(weights, embedded, lengths, causal=causal)
    visible = jnp.arange(codes.shape[1]) < lengths[:, None]

    def of_run(matrix):
        student = run(weights, embedded, lengths, causal=causal, compression=matrix)
        return both_losses(teacher, student, visible, weights["output_mask"], output_loss)

    return jax.vmap(of_run)(matrices)


def both_losses(
    teacher: Outputs, student: Outputs, visible: jax.Array, output_mask: jax.Array, output_loss: str
) -> tuple[jax.Array, jax.Array]:
    """The total and the output loss of one student (Tracr paper, section 5.1), two scalars.

    The output loss is counted from that of the compiled model itself: a cross-entropy's floor, the
    entropy of the compiled model's own softmax, is taken off.
    """
    against = partial(distance, teacher, visible=visible, output_mask=output_mask, combine="sum")
    floor = against(teacher, layer="none", output=output_loss)
    output = against(student, layer="none", output=output_loss) - floor
    return against(student, layer="l2", output="none") + output, output
