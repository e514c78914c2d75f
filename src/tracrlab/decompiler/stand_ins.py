"""Stand-ins for students: compiled models made to look like trained ones, in milliseconds.

A student takes a second of training, so there are few. A stand-in is made by least squares. What
its blocks *read* is drawn near what those of the compiled model read, in another stream: squeezed
to about half its width and stretched, with layers of one size and noise on every weight. What they
*write* is then solved for, block after block: what the compiled block writes, as seen in that
stream, which is what students are trained to do (Inverse Tracr, chapter 7). So heads and neurons
that a program does not need take over a part of the work, and later blocks have to live with what
earlier ones get wrong.

The program of a stand-in is known, and computed only nearly. On as many of them as there are
compiled models a decompiler learns to look past what training does, before it meets the few real
students.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.forward import Trace, attended, forward, masked_keys
from tracrlab.compiler.model import CompiledModel
from tracrlab.decompiler.circuits import Probes
from tracrlab.rasp.program import CATEGORICAL
from tracrlab.students.enlarging import balanced, enlarged
from tracrlab.students.folding import fold
from tracrlab.students.initialisation import SOFTNESS, ReadError, spectral_starts
from tracrlab.students.ridge import ridge_solution
from tracrlab.students.sizes import uniform, width_of

#: Share of compiled models that stay as they are.
KEPT = 0.1
#: To which part of its width a stream is squeezed, and how many spectral starts are drawn from.
WIDTHS, STARTS = (0.45, 0.8), 3
#: Largest logarithm of how far a direction of the stream is stretched.
STRETCH = 2.5
#: Largest noise on what is read, and on what is written, over the root mean square of a matrix.
READ_NOISE, WRITE_NOISE = 0.6, 0.2
#: Smallest and largest logarithm to base 10 of the ridge, over the mean square of a feature.
RIDGE = (-4.0, -1.5)
#: Largest part of the stream's size that a block writes which has nothing to write.
IDLE = 0.7
#: Inputs that are solved on beside the probes.
FURTHER = 12

_READS = ("query", "key", "value", "linear_1", "unembed")


def stand_in(
    architecture: Architecture, flat: np.ndarray, rng: np.random.Generator
) -> tuple[Architecture, np.ndarray]:
    """A compiled model turned into something like a student of it.

    Args:
      architecture: the compiled model's sizes.
      flat: its weights in the documented order, float32 [weights]; they are not changed.
      rng: where everything is drawn from.

    Returns:
      sizes and weights of the stand-in.
    """
    if rng.random() < KEPT:
        return architecture, flat
    weights = {
        name: matrix * np.float32(SOFTNESS) if name.endswith("/query") else matrix
        for name, matrix in architecture.unflatten(flat).items()
    }
    model = balanced(CompiledModel(architecture, weights, (), CATEGORICAL, ()))
    inputs = _Inputs.of(architecture)
    trace = Trace()
    forward(architecture, model.weights, inputs.codes, inputs.lengths, trace)
    write, read = _stream(model, trace, inputs, rng)
    own = fold(model, write)  # what it writes is right; what it reads is set next
    for name, matrix in model.weights.items():
        if name.rpartition("/")[2] in _READS:
            own.weights[name] = read @ matrix
    to = uniform(architecture, write.shape[1])
    drawn = enlarged(own, to, rng)
    read_noise, write_noise = READ_NOISE * rng.random() ** 2, WRITE_NOISE * rng.random() ** 2
    for name in drawn:
        noise = read_noise if name.rpartition("/")[2] in _READS else write_noise
        drawn[name] = _noisy(drawn[name], noise, rng)
    _solve(to, drawn, inputs, [stream @ write for stream in trace.residuals], write_noise, rng)
    return to, np.concatenate([drawn[name].ravel() for name in to.shapes])


@dataclass(frozen=True)
class _Inputs:
    """What is solved on: the probes and further inputs.

    Attributes:
      codes, lengths: as `forward` takes them.
      seen: positions that are no padding, bool [inputs, positions].
    """

    codes: np.ndarray
    lengths: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, architecture: Architecture) -> _Inputs:
        return _inputs(architecture.input_symbols, architecture.max_seq_len, architecture.causal)


@lru_cache(maxsize=64)
def _inputs(symbols: tuple, max_seq_len: int, causal: bool) -> _Inputs:
    probes = Probes.of(symbols, max_seq_len, causal)
    further = np.random.default_rng(0).integers(len(symbols) - 1, size=(FURTHER, max_seq_len + 1))
    further[:, 0] = len(symbols) - 1
    codes = np.full((len(probes.codes) + FURTHER, max_seq_len + 1), len(symbols) - 1)
    codes[: len(probes.codes), : probes.codes.shape[1]] = probes.codes
    codes[len(probes.codes) :] = further
    lengths = np.full(len(codes), max_seq_len + 1)
    lengths[: len(probes.codes)] = 1 + probes.there.sum(axis=1)
    return _Inputs(codes, lengths, np.arange(max_seq_len + 1) < lengths[:, None])


def _stream(
    model: CompiledModel, trace: Trace, inputs: _Inputs, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Another stream: what is written, x, becomes x W S, and is read by S^-1 W^T.

    W is a start of a compression, S stretches random directions.

    Returns:
      W S [d_model, width] and S^-1 W^T [width, d_model], float32.
    """
    width = width_of(rng.uniform(*WIDTHS), model.architecture.d_model)
    error = ReadError.of_trace(model, trace, inputs.seen)
    start = next(islice(spectral_starts(error, width), int(rng.integers(STARTS)), None))
    stretch = rng.uniform(0, STRETCH) * rng.uniform(-1, 1, width)
    basis = np.linalg.qr(rng.standard_normal((width, width)))[0]
    write = start @ (basis * np.exp(stretch)) @ basis.T
    read = (basis * np.exp(-stretch)) @ basis.T @ start.T
    return write.astype(np.float32), read.astype(np.float32)


def _solve(
    to: Architecture,
    weights: dict[str, np.ndarray],
    inputs: _Inputs,
    wanted: list[np.ndarray],
    noise: float,
    rng: np.random.Generator,
) -> None:
    """Sets every output matrix, block after block.

    Args:
      to: sizes of the stand-in.
      weights: its weights; the output matrices are replaced.
      inputs: what it is run on.
      wanted: the stream after the embedding and after every half-layer, as it should be.
      noise: on what is solved.
      rng: where it is drawn from.
    """
    ridge, idle = 10 ** rng.uniform(*RIDGE), IDLE * rng.random()
    masked = masked_keys(inputs.codes.shape[1], inputs.lengths, to.causal)
    stream = weights["token_embed"][inputs.codes] + weights["pos_embed"]
    size = float(np.sqrt(np.mean(np.square(wanted[0][inputs.seen]))))
    for half in range(2 * len(to.layers)):
        number, layer = half // 2, to.layers[half // 2]
        if half % 2 == 0 and layer.heads:
            name = f"layer_{number}/attn/linear"
            features = attended(number, layer, weights, stream, masked)
        elif half % 2 and layer.mlp_hidden:
            name = f"layer_{number}/mlp/linear_2"
            features = np.maximum(stream @ weights[f"layer_{number}/mlp/linear_1"], 0)
        else:
            continue
        own = features[inputs.seen]
        target = (wanted[half + 1] - wanted[half])[inputs.seen]
        scale = float(np.mean(np.square(own))) + 1e-12
        solved = _noisy(ridge_solution(own, target, ridge), noise, rng)
        if not target.any():
            reach = np.float32(idle * size / np.sqrt(scale * len(solved)))
            solved += reach * rng.standard_normal(solved.shape, dtype=np.float32)
        weights[name] = solved
        stream = stream + features @ solved


def _noisy(matrix: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    size = noise * np.sqrt(np.vdot(matrix, matrix) / matrix.size)
    return matrix + np.float32(size) * rng.standard_normal(matrix.shape, dtype=np.float32)
