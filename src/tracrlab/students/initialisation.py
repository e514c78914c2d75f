"""A compression matrix from data, before any training.

If every block read what it reads in the teacher, it would write what it writes there, and the
stream would be x W W^T where the teacher's is x. So W is right where x (I - W W^T) R is zero for
the streams x that occur (the beginning-of-sequence position among them) and the columns R that are
read. The mean square of that is a polynomial in W: second moments of x and of R are all it takes,
and no forward pass. It is minimised from several spectral starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from tracrlab.compiler.forward import Trace, forward
from tracrlab.compiler.model import CompiledModel
from tracrlab.compiler.verification import covering_inputs, model_inputs, verify
from tracrlab.rasp.truth_table import TruthTable

#: Height of the logits of a softened teacher over those of a compiled one (100).
SOFTNESS = 0.2
#: A head that selects one key tolerates errors of its logits: queries are weighed by this over
#: the height of the logits, keys by this.
ATTENTION_WEIGHT = 0.3
#: Where several keys are selected their logits must be equal to well under 1.
EQUAL_WEIGHT = 0.3
#: Iterations of the minimiser, and how many of them every start gets; then the lowest goes on.
ITERATIONS, SCREENING = 500, 50
#: Iterations where all weights may be solved for after W: nearly as many W alone are exact.
FEW_ITERATIONS = 200
#: A read error at which nothing is lost.
ENOUGH = 1e-6


@dataclass(frozen=True)
class ReadError:
    """The mean square error of what a model's blocks read, as a function of W.

    Attributes:
      streams: second moments of the stream before each half-layer that reads [reads, D, D].
      readers: second moments of the columns that it is read with [reads, D, D].
    """

    streams: np.ndarray
    readers: np.ndarray

    @classmethod
    def of(cls, model: CompiledModel, table: TruthTable, min_inputs: int = 256) -> ReadError:
        """From a teacher run on inputs that reach every value of every op."""
        rows = covering_inputs(table, min_inputs)
        codes, lengths = model_inputs(model, table.domain, rows)
        trace = Trace()
        forward(model.architecture, model.weights, codes, lengths, trace)
        return cls.of_trace(model, trace, np.arange(codes.shape[1]) < lengths[:, None])

    @classmethod
    def of_trace(cls, model: CompiledModel, trace: Trace, visible: np.ndarray) -> ReadError:
        """From a run of a teacher, at the positions that are visible, bool [inputs, positions]."""
        streams, readers = [], []
        for number, reader in weighed_readers(model, trace, visible):
            stream = trace.residuals[number][visible].astype(np.float64)
            streams.append(stream.T @ stream / len(stream))
            readers.append(reader.astype(np.float64) @ reader.T)
        return cls(np.stack(streams), np.stack(readers))

    def __call__(self, compression: np.ndarray) -> tuple[float, np.ndarray]:
        """The error and its gradient at W [D, width]."""
        lost = np.eye(len(compression)) - compression @ compression.T
        # The sum over reads of S P R P, with S and R second moments and P = I - W W^T: that over
        # S (P R) is one product of long matrices.
        right = (lost @ self.readers).reshape(-1, len(lost))
        half = self.streams.swapaxes(0, 1).reshape(len(lost), -1) @ right
        return float(np.vdot(half, lost)), -2 * ((half + half.T) @ compression)


def softened(model: CompiledModel, table: TruthTable) -> CompiledModel:
    """The same model with lower attention logits, where it still computes its program.

    A softmax of logits that are 20 apart selects as one of 100 does, and an error of a read moves
    its weights a fifth as far.
    """
    weights = {
        name: value * np.float32(SOFTNESS) if name.endswith("/query") else value
        for name, value in model.weights.items()
    }
    soft = replace(model, weights=weights)
    return soft if verify(soft, table).passed else model


def weighed_readers(
    model: CompiledModel, trace: Trace, visible: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Half-layer whose input is read, and the weighed columns it is read with."""
    layers = model.architecture.layers
    for number, layer in enumerate(layers):
        if layer.heads:
            prefix = f"layer_{number}/attn/"
            shape = (model.architecture.d_model, layer.heads, layer.key_size)
            query = model.weights[prefix + "query"].reshape(shape) / np.sqrt(layer.key_size)
            key = model.weights[prefix + "key"].reshape(shape)
            columns = [model.weights[prefix + "value"]]
            for head in range(layer.heads):
                largest = trace.attention[number][:, head].max(axis=-1)
                height = max(np.abs(query[:, head]).max(), 1e-6)
                several = ((largest < 0.9) & visible).any()
                weight = EQUAL_WEIGHT if several else ATTENTION_WEIGHT / height
                columns += [query[:, head] * weight, key[:, head] * weight * height]
            yield 2 * number, np.hstack(columns)
        if layer.mlp_hidden:
            yield 2 * number + 1, model.weights[f"layer_{number}/mlp/linear_1"]
    yield 2 * len(layers), model.weights["unembed"]


def from_data(
    model: CompiledModel, table: TruthTable, width: int, iterations: int = ITERATIONS
) -> tuple[np.ndarray, float]:
    """The best compression matrix [D, width] that this finds, and its read error."""
    error = ReadError.of(model, table)
    best, lowest = None, np.inf
    for start in spectral_starts(error, width):
        found, value = _minimised(error, start, min(SCREENING, iterations))
        if value < lowest:
            best, lowest = found, value
        if lowest < ENOUGH:
            break
    if lowest >= ENOUGH and iterations > SCREENING:
        best, lowest = _minimised(error, best, iterations - SCREENING)
    return best.astype(np.float32), max(lowest, 0.0)


def _minimised(error: ReadError, start: np.ndarray, iterations: int) -> tuple[np.ndarray, float]:
    result = minimize(
        _flattened,
        start.ravel(),
        args=(error, start.shape),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations},
    )
    return result.x.reshape(start.shape), float(result.fun)


def _flattened(
    flat: np.ndarray, error: ReadError, shape: tuple[int, ...]
) -> tuple[float, np.ndarray]:
    value, gradient = error(flat.reshape(shape))
    return value, gradient.ravel()


def spectral_starts(error: ReadError, width: int) -> Iterator[np.ndarray]:
    """Starts [D, width]: principal directions of the streams, of the readers, and of both."""
    streams, readers = error.streams.sum(axis=0), error.readers.sum(axis=0)
    for first, second in ((readers, streams), (streams, readers)):
        root = _root(first)
        yield np.linalg.qr(root @ _principal(root @ second @ root, width))[0]
    yield _principal(streams, width)
    read = np.diag(readers) > 1e-9
    if not read.all():  # else it is the one before
        yield _principal(streams * np.outer(read, read), width)


def _principal(matrix: np.ndarray, width: int) -> np.ndarray:
    return np.linalg.eigh(matrix)[1][:, ::-1][:, :width]


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def random_orthogonal(d_model: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A random matrix with orthonormal columns [d_model, width], the plain start."""
    return np.linalg.qr(rng.normal(size=(d_model, width)))[0].astype(np.float32)
