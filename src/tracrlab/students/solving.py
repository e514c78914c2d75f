"""A student by least squares, block after block: no step of gradient descent.

W alone ties what blocks read to what they write, and leaves both as compiled. Here only the stream
is W's: what a block reads is solved for, so that it is what the teacher's block reads, and what it
writes is solved for, so that the stream after it is the teacher's seen through W. Each block is
solved on the stream that the blocks before it really give, so it makes up for their errors.

The stream is squeezed to what is still read of it: every layer has a W of its own, and MLPs take
the stream from one to the next, in pairs of neurons that the teacher's MLP does not need. The other
neurons and heads that a student has beyond its teacher's read at random, and take part in what is
written. Solving again with the inputs that are still wrong makes most students exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from tracrlab.compiler.architecture import Architecture
from tracrlab.compiler.forward import Trace, attended, forward, masked_keys
from tracrlab.compiler.model import CompiledModel
from tracrlab.compiler.verification import BATCH, compare_outputs, covering_inputs, model_inputs
from tracrlab.students.enlarging import balanced, enlarged
from tracrlab.students.folding import fold
from tracrlab.students.initialisation import ReadError, spectral_starts, weighed_readers
from tracrlab.students.ridge import ridge_solution
from tracrlab.students.student import GATE_LOSS, Teacher

#: Iterations of the minimiser that looks for a W.
ITERATIONS = 400
#: The least variance of a stream's direction that counts, over the largest.
LEAST_VARIANCE = 1e-2
#: Inputs of the first solution, solutions at most in a stream, and inputs that each adds: those
#: that are wrong, and again until they are so many.
FIRST_INPUTS, ROUNDS, ADDED = 128, 16, 64
#: Solutions without a better one that end the search in a stream.
PATIENCE = 5
#: The loss from which on no better solution is looked for: well within the gate.
SURE_LOSS = 0.8 * GATE_LOSS
#: Over the mean square of a feature: as little as float32 weights allow.
RIDGE = 1e-7
#: Of what changes linearly, over the mean square of a direction; and pairs of neurons for it.
PASSING_RIDGE, PASSING_PAIRS = 1e-4, 8


@dataclass(frozen=True)
class Solution:
    """A solved student.

    Attributes:
      weights: by name, of the student's architecture.
      readout: from its stream to the teacher's [d_model, the teacher's d_model].
      wrong: share of the inputs that were looked at which it gets wrong; 0 only if all were right.
      loss: as `Student.loss`, on the inputs that it was solved on.
    """

    weights: dict[str, np.ndarray]
    readout: np.ndarray
    wrong: float
    loss: float


def solved(
    teacher: Teacher, write: np.ndarray, architecture: Architecture, rng: np.random.Generator
) -> Solution:
    """The best solution that is found, from a given W and from spectral ones.

    Args:
      teacher: the teacher.
      write: a compression of its stream, W [the teacher's d_model, d_model].
      architecture: the student's.
      rng: source of what is added to the teacher's layers, and of the inputs.
    """
    reads = _Reads.of(teacher)
    spectral = spectral_starts(reads.error(), write.shape[1])
    even = replace(teacher, model=balanced(teacher.model))
    best: Solution | None = None
    for start in (write, *spectral):
        for solution in _solutions(even, reads.writes(start), architecture, rng):
            if best is None or (solution.wrong, solution.loss) < (best.wrong, best.loss):
                best = solution
        if not best.wrong and best.loss < SURE_LOSS:
            break
    return best


def _solutions(
    teacher: Teacher,
    writes: list[np.ndarray],
    architecture: Architecture,
    rng: np.random.Generator,
) -> Iterator[Solution]:
    """Solutions in one stream, each with inputs that the one before it got wrong.

    The teacher is a balanced one, here and below.
    """
    start = enlarged(fold(teacher.model, writes[0]), architecture, rng)
    rows = covering_inputs(teacher.table, FIRST_INPUTS)
    lowest, since = np.inf, 0
    for _ in range(ROUNDS):
        weights, readout, loss = _swept(teacher, writes, architecture, start, rows)
        student = replace(teacher.model, architecture=architecture, weights=weights, labels=())
        wrong, looked = _wrong_inputs(teacher, student, rng)
        yield Solution(weights, readout, len(wrong) / looked, loss)
        since = 0 if len(wrong) / looked < lowest else since + 1
        lowest = min(lowest, len(wrong) / looked)
        if not len(wrong) or since == PATIENCE:
            return
        rows = np.concatenate([rows, np.resize(wrong, ADDED)])


@dataclass(frozen=True)
class _Reads:
    """What a teacher's half-layers read, on inputs that reach every value of every op.

    Attributes:
      streams: second moments of the stream before each half-layer, and of the last [halves, D, D].
      halves: the half-layer of each read; the unembedding comes after the last.
      readers: second moments of the columns that each read is with [reads, D, D].
      layers: how many the teacher has.
    """

    streams: np.ndarray
    halves: np.ndarray
    readers: np.ndarray
    layers: int

    @classmethod
    def of(cls, teacher: Teacher) -> _Reads:
        model = teacher.model
        rows = covering_inputs(teacher.table, FIRST_INPUTS)
        codes, lengths = model_inputs(model, teacher.table.domain, rows)
        trace = Trace()
        forward(model.architecture, model.weights, codes, lengths, trace)
        visible = np.arange(codes.shape[1]) < lengths[:, None]
        streams = []
        for residual in trace.residuals:
            there = residual[visible].astype(np.float64)
            streams.append(there.T @ there / len(there))
        halves, readers = [], []
        for half, reader in weighed_readers(model, trace, visible):
            halves.append(half)
            readers.append(reader.astype(np.float64) @ reader.T)
        layers = len(model.architecture.layers)
        return cls(np.stack(streams), np.array(halves), np.stack(readers), layers)

    def error(self) -> ReadError:
        """Of one W for all reads."""
        return ReadError(self.streams[self.halves], self.readers)

    def writes(self, start: np.ndarray) -> list[np.ndarray]:
        """W at each layer and at the output: for what is read there, and carried on from there.

        Args:
          start: the W that they are looked for from [D, width].
        """
        found: list[np.ndarray] = []
        for layer in range(self.layers + 1):
            own, later = self.halves // 2 == layer, self.halves // 2 > layer
            streams, readers = self.streams[self.halves[own]], self.readers[own]
            if later.any():  # what the MLP has to pass on is in the stream before it
                streams = np.concatenate([streams, self.streams[None, 2 * layer + 1]])
                readers = np.concatenate([readers, self.readers[later].sum(axis=0)[None]])
            write = free_reading(ReadError(streams, readers), found[-1] if found else start)
            if found:  # turned to where what stays in the stream is already
                left, _, right = np.linalg.svd(write.T @ self.streams[2 * layer] @ found[-1])
                write = (write @ left @ right).astype(np.float32)
            found.append(write)
        return found


def free_reading(error: ReadError, start: np.ndarray) -> np.ndarray:
    """The W from which reads that are free, and not W^T, lose least; orthonormal columns.

    It is looked for in a basis in which the streams vary alike in all directions: in their own some
    vary a thousand times as much as others, and the minimiser is far from done as soon.

    Args:
      error: what is read, and from which streams.
      start: the W that the minimiser, L-BFGS, begins with [D, width].
    """
    shape = start.shape
    size, directions = np.linalg.eigh(error.streams.mean(axis=0))
    deviation = np.sqrt(np.maximum(size, LEAST_VARIANCE * size[-1]))
    to, back = (directions * deviation) @ directions.T, (directions / deviation) @ directions.T
    even = ReadError(back @ error.streams @ back, to @ error.readers @ to)

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        lost, gradient = free_read_error(even, flat.reshape(shape))
        return lost, gradient.ravel()

    found = minimize(
        value,
        np.linalg.qr(to @ start)[0].ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS},
    )
    return np.linalg.qr(back @ found.x.reshape(shape))[0].astype(np.float32)


def free_read_error(error: ReadError, compression: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean square error of reads where each is the best linear map of x W, and its gradient.

    Args:
      error: second moments of streams x and of readers.
      compression: W [D, width].
    """
    streams, readers = error.streams, error.readers
    seen = streams @ compression
    moments = compression.T @ seen
    # What is next to nothing of a stream is nothing: W that differ by a map are one.
    moments += (
        1e-9
        * np.trace(streams, axis1=1, axis2=2).mean()
        / len(compression)
        * np.eye(moments.shape[1])
    )
    read = np.linalg.solve(moments, seen.swapaxes(1, 2))
    weighed = read @ readers
    lost = np.vdot(readers, streams) - np.vdot(weighed, seen.swapaxes(1, 2))
    gradient = seen @ (weighed @ read.swapaxes(1, 2)) - streams @ weighed.swapaxes(1, 2)
    return float(lost), 2 * gradient.sum(axis=0)


def _wrong_inputs(
    teacher: Teacher, student: CompiledModel, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Inputs that a student gets wrong, and of how many: no more are run than give enough."""
    student = teacher.read_as(student)
    domain = teacher.table.domain
    order = rng.permutation(len(domain.codes))
    wrong: list[np.ndarray] = []
    for end in range(BATCH, len(order) + BATCH, BATCH):
        rows = np.sort(order[end - BATCH : end])
        logits = student.logits(*model_inputs(student, domain, rows))[:, 1:]
        bad, _ = compare_outputs(student, logits, teacher.table, rows)
        wrong.append(rng.permutation(rows[bad.any(axis=1)]))
        if sum(map(len, wrong)) >= ADDED:
            break
    return np.concatenate(wrong), min(end, len(order))


def _swept(
    teacher: Teacher,
    writes: list[np.ndarray],
    to: Architecture,
    start: dict[str, np.ndarray],
    rows: np.ndarray,
) -> tuple[dict[str, np.ndarray], np.ndarray, float]:
    """Solves every block in turn.

    Args:
      teacher: the teacher.
      writes: W at each layer and at the output.
      to: the student's architecture.
      start: its weights, of which what is added to the teacher's layers stays as it reads.
      rows: inputs of the domain to solve on; one that is there twice counts twice.

    Returns:
      weights, readout, and loss.
    """
    model, own = teacher.model, teacher.model.architecture
    rows, times = np.unique(rows, return_counts=True)
    codes, lengths = model_inputs(model, teacher.table.domain, rows)
    seen = np.arange(codes.shape[1]) < lengths[:, None]
    weight = np.repeat(times, lengths).astype(np.float64)
    masked = masked_keys(codes.shape[1], lengths, to.causal)

    def solution(features: np.ndarray, target: np.ndarray) -> np.ndarray:
        return ridge_solution(features.astype(np.float64), target, RIDGE, weight)

    trace = Trace()
    forward(own, model.weights, codes, lengths, trace)
    wanted = [stream[seen].astype(np.float64) for stream in trace.residuals]
    weights = dict(start)
    stream = weights["token_embed"][codes] + weights["pos_embed"][: codes.shape[1]]
    outputs = []
    for half in range(2 * len(own.layers)):
        number, layer = half // 2, to.layers[half // 2]
        if not (layer.mlp_hidden if half % 2 else layer.heads):
            continue
        there = stream[seen].astype(np.float64)
        target = wanted[half + 1] @ writes[number + half % 2] - there
        reads = list(_reads(model, to, half))
        if reads:
            readers = np.hstack([reader for _, _, reader in reads])
            found = solution(there, wanted[half] @ readers)
            ends = np.cumsum([len(columns) for _, columns, _ in reads])
            for (name, columns, _), part in zip(reads, np.split(found, ends[:-1], 1), strict=True):
                weights[name] = weights[name].copy()
                weights[name][:, columns] = part
        if half % 2:
            name = f"layer_{number}/mlp/linear_2"
            reading = f"layer_{number}/mlp/linear_1"
            weights[reading] = _passing(
                weights[reading], own.layers[number].mlp_hidden, there, target, weight
            )
            features = np.maximum(stream @ weights[reading], 0)
        else:
            name = f"layer_{number}/attn/linear"
            features = attended(number, layer, weights, stream, masked)
        weights[name] = solution(features[seen], target)
        output = features @ weights[name]
        outputs.append((output[seen], wanted[half + 1] - wanted[half]))
        stream = stream + output
    last, logits = stream[seen], wanted[-1] @ model.weights["unembed"]
    weights["unembed"] = solution(last, logits)
    loss = _mean_square(last @ weights["unembed"], logits, weight)
    if not outputs:
        return weights, np.ascontiguousarray(writes[-1].T), loss
    given, right = (np.concatenate(each) for each in zip(*outputs, strict=True))
    often = np.tile(weight, len(outputs))
    readout = ridge_solution(given.astype(np.float64), right, RIDGE, often)
    share = len(outputs) / max(own.half_layer_count, 1)
    of_blocks = _mean_square(given @ readout, right, often) * share
    return weights, readout, loss + of_blocks


def _mean_square(given: np.ndarray, right: np.ndarray, weight: np.ndarray) -> float:
    """Of the distance of two arrays [points, width], whose points count as often as they say."""
    return float(weight @ ((given - right) ** 2).mean(axis=1) / weight.sum())


def _passing(
    reader: np.ndarray, own: int, stream: np.ndarray, target: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """An MLP's reader whose neurons beyond the teacher's pass on, in pairs, what changes linearly.

    Args:
      reader: what it reads with [d_model, neurons].
      own: the teacher's neurons, which come first.
      stream: before it [points, d_model].
      target: what it should write [points, d_model].
      weight: how often each point counts [points].
    """
    if own:
        features = np.maximum(stream @ reader[:, :own], 0)
        target = target - features @ ridge_solution(features, target, RIDGE, weight)
    change = ridge_solution(stream, target, PASSING_RIDGE, weight)
    directions, size, _ = np.linalg.svd(change)
    pairs = min((reader.shape[1] - own) // 2, np.count_nonzero(size), PASSING_PAIRS)
    reader = reader.copy()
    reader[:, own : own + pairs] = directions[:, :pairs]
    reader[:, own + pairs : own + 2 * pairs] = -directions[:, :pairs]
    return reader


def _reads(
    model: CompiledModel, to: Architecture, half: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """What a half-layer reads: the matrix, the columns of the student's, those of the teacher's."""
    number = half // 2
    own, layer = model.architecture.layers[number], to.layers[number]
    if half % 2 and own.mlp_hidden:
        name = f"layer_{number}/mlp/linear_1"
        yield name, np.arange(own.mlp_hidden), model.weights[name]
    if half % 2 or not own.heads:
        return
    for name, size, place in (
        ("query", own.key_size, layer.key_size),
        ("key", own.key_size, layer.key_size),
        ("value", own.value_size, layer.value_size),
    ):
        reader = model.weights[f"layer_{number}/attn/{name}"]
        if name == "query":  # logits are over the root of the key size
            reader = reader * np.sqrt(place / size)
        columns = np.add.outer(place * np.arange(own.heads), np.arange(size)).ravel()
        yield f"layer_{number}/attn/{name}", columns, reader
