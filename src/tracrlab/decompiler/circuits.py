"""Weights and execution: a model as its circuit, run on a few fixed inputs.

A program looks different in compiled, compressed and natural weights, and what heads and MLPs do on
an input looks alike. So the model is run on `probes`, and read as nodes:

| kind | one for each | what is seen of it |
|---|---|---|
| input | token and position embedding | its symbols or positions, and what it writes |
| head | attention head | its pattern, the values that it reads, and what it writes |
| attention | layer with several heads | what they write together |
| MLP | MLP | what it reads and what it writes |
| output | output direction | its values; of a symbol, where it is the answer |

*Writes* and *reads* are inner products between all pairs of the probes' positions: they say where a
variable has equal values. The *wiring* says which share of what a node reads (as query or input, as
key, as value) each earlier node has written. None of it changes when the stream or the inside of
a head is rotated, or when a neuron is scaled; all of it follows from the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tracrlab.compiler.architecture import Architecture, Layer
from tracrlab.decompiler.parameter_tokens import EMBEDDING, OUTPUT, as_numbers
from tracrlab.decompiler.virtual_weights import signed_log
from tracrlab.errors import TracrLabError

KINDS = ("padding", "input", "head", "attention", "MLP", "output")
PADDING, INPUT, HEAD, ATTENTION, MLP, DIRECTION = range(len(KINDS))
#: Inputs that a model is run on, and the most symbols of one; BOS comes before.
INPUTS, PLACES = 10, 5
POINTS = INPUTS * PLACES
#: How a node reads: as query, MLP or output; as key; as value.
READS = ("input", "key", "value")

#: Inner products of all pairs of points, a point with itself too, and how large they are.
PRODUCTS = POINTS * (POINTS + 1) // 2 + 1
_PATTERN = POINTS * (PLACES + 1)
#: Numbers of a node: inner products of what it writes and reads, its pattern, its values.
NUMBERS = 2 * PRODUCTS + _PATTERN + POINTS
_WRITTEN, _READ = slice(0, PRODUCTS), slice(PRODUCTS, 2 * PRODUCTS)
_SEEN, _VALUES = slice(2 * PRODUCTS, -POINTS), slice(-POINTS, None)
#: What counts as next to nothing: of the mean square of the embeddings, of a squared logit, and of
#: all that a node reads.
_FAINT, _LEAST, _LEAST_SHARE = 1e-3, 1e-3, 1e-4


@dataclass(frozen=True)
class Circuit:
    """The nodes of one model, or of a padded batch with a leading dimension everywhere.

    Attributes:
      numbers: what is seen of each node, float32 [nodes, NUMBERS].
      kind: number into `KINDS`, int64 [nodes].
      half: half-layer as in `ParameterTokens`, int64 [nodes].
      head: number of the head in its layer, of the embedding (tokens, positions), or 0, int64
        [nodes].
      value: the number that an output direction stands for, float32 [nodes]; NaN elsewhere.
      wiring: entry (i, r, j) is the share of what node i reads in way r of `READS` that node j has
        written, float32 [nodes, 3, nodes].
    """

    numbers: np.ndarray
    kind: np.ndarray
    half: np.ndarray
    head: np.ndarray
    value: np.ndarray
    wiring: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True)
class Probes:
    """The inputs that models over one vocabulary are run on.

    Attributes:
      codes: rows of the token embedding, BOS first, int64 [INPUTS, positions].
      masked: what is added to logits, float32 [INPUTS, 1, queries, keys].
      there: which positions behind BOS are no padding, bool [INPUTS, positions - 1].
      numbers: symbols and positions as numbers, float32 [2, POINTS].
      pairs: for each pair of points, its place among all pairs of points that are there, and 1, or
        two zeros where one of them is not, int64 and float32 [pairs].
    """

    codes: np.ndarray
    masked: np.ndarray
    there: np.ndarray
    numbers: np.ndarray
    pairs: tuple[np.ndarray, np.ndarray]

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, symbols: tuple, max_seq_len: int, causal: bool) -> Probes:
        """The probes of a vocabulary, BOS last in `symbols`.

        At every position each symbol stands about equally often. Every fourth input is shorter.
        """
        count, places = len(symbols) - 1, min(PLACES, max_seq_len)
        rng = np.random.default_rng(0)
        rounds = -(-INPUTS // count)
        drawn = [
            np.concatenate([rng.permutation(count) for _ in range(rounds)])[:INPUTS]
            for _ in range(places)
        ]
        codes = np.stack([np.full(INPUTS, count), *drawn], axis=1)
        shorter = np.where(np.arange(INPUTS) % 4 == 3, 1 + np.arange(INPUTS) // 4, 0)
        lengths = np.maximum(places - shorter, 1)
        there = np.arange(places) < lengths[:, None]
        visible = np.concatenate([np.ones((INPUTS, 1), bool), there], axis=1)[:, None, None]
        if causal:
            visible = visible & np.tri(places + 1, dtype=bool)
        masked = np.where(visible, np.float32(0), np.float32(-1e30))
        known = np.nan_to_num(as_numbers(symbols[:-1]))[codes[:, 1:]]
        numbers = np.zeros((2, INPUTS, PLACES), dtype=np.float32)
        numbers[:, :, :places] = np.stack([known, np.broadcast_to(np.arange(places), known.shape)])
        numbers[:, :, :places] *= there
        return cls(codes, masked, there, signed_log(numbers.reshape(2, POINTS)), _pairs(there))


def _pairs(there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """See `Probes.pairs`."""
    full = np.zeros((INPUTS, PLACES), dtype=bool)
    full[:, : there.shape[1]] = there
    present = full.ravel()
    number = np.cumsum(present) - 1
    first, second = np.triu_indices(POINTS)
    both = present[first] & present[second]
    chosen = np.where(both, number[first] * present.sum() + number[second], 0)
    return chosen, both.astype(np.float32)


def count_nodes(architecture: Architecture) -> int:
    """How many nodes a model's circuit has."""
    units = sum(
        layer.heads + (layer.heads > 1) + bool(layer.mlp_hidden) for layer in architecture.layers
    )
    return 2 + units + architecture.output_size


def circuit_of(
    architecture: Architecture, flat: np.ndarray, output_values: np.ndarray | None = None
) -> Circuit:
    """Runs a model on its probes.

    Args:
      architecture: its sizes.
      flat: its weights in the documented order, float32 [weights].
      output_values: as for `tracrlab.decompiler.parameter_tokens.encode_tokens`.

    Raises:
      TracrLabError: if what it computes overflows.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        circuit = _Run(architecture, architecture.unflatten(flat)).circuit(output_values)
    if not (np.isfinite(circuit.numbers).all() and np.isfinite(circuit.wiring).all()):
        raise TracrLabError(
            "the model's activations are not finite numbers on the decompiler's inputs, so it "
            "cannot be read; its weights are too large."
        )
    return circuit


class _Run:
    """One model on its probes, node after node."""

    def __init__(self, architecture: Architecture, weights: Mapping[str, np.ndarray]):
        self.architecture, self.weights = architecture, weights
        self.probes = Probes.of(
            architecture.input_symbols, architecture.max_seq_len, architecture.causal
        )
        self.there = self.probes.there.ravel()
        count = count_nodes(architecture)
        self.numbers = np.zeros((count, NUMBERS), dtype=np.float32)
        self.meta = np.zeros((3, count), dtype=np.int64)
        self.wiring = np.zeros((count, len(READS), count), dtype=np.float32)
        # What nodes write at the points that are there, less its mean over them.
        shape = (count, int(self.there.sum()), architecture.d_model)
        self.sources = np.zeros(shape, dtype=np.float32)
        self.nodes = 0

    def circuit(self, output_values: np.ndarray | None) -> Circuit:
        """Runs all layers."""
        codes, weights = self.probes.codes, self.weights
        symbols = weights["token_embed"][codes]
        places = np.broadcast_to(weights["pos_embed"][: codes.shape[1]], symbols.shape)
        stream = symbols + places
        extent = float(np.square(self._points(stream[None])).sum(axis=2).mean())
        self.extent = max(extent, 1e-12)
        inputs, _ = self._add(INPUT, EMBEDDING, np.stack([symbols, places]))
        self.numbers[inputs, _VALUES] = self.probes.numbers
        for number, layer in enumerate(self.architecture.layers):
            if layer.heads:
                stream = stream + self._attention(number, layer, stream)
            if layer.mlp_hidden:
                stream = stream + self._mlp(number, stream)
        return self._output(stream, output_values)

    def _attention(self, number: int, layer: Layer, stream: np.ndarray) -> np.ndarray:
        """Adds a layer's heads; what they write together [inputs, positions, d_model]."""
        heads, path = layer.heads, f"layer_{number}/attn/"
        names = ("query", "key", "value")
        matrices = np.concatenate([self.weights[path + name] for name in names], axis=1)
        ends = np.cumsum([heads * size for size in (layer.key_size, layer.key_size)])

        def split(read: np.ndarray) -> list[np.ndarray]:
            """Queries, keys and values, each [..., heads, size]."""
            parts = np.split(read, ends, axis=-1)
            return [part.reshape(*part.shape[:-1], heads, -1) for part in parts]

        query, key, value = (part.swapaxes(1, 2) for part in split(stream @ matrices))
        logits = query @ key.swapaxes(2, 3) * np.float32(1 / np.sqrt(layer.key_size))
        logits += self.probes.masked
        logits -= logits.max(axis=-1, keepdims=True)
        pattern = np.exp(logits)
        pattern /= pattern.sum(axis=-1, keepdims=True)
        linear = self.weights[path + "linear"].reshape(heads, layer.value_size, -1)
        written = (pattern @ value @ linear).swapaxes(0, 1)

        first = self.nodes
        parts = split(self.sources[:first] @ matrices)
        # Queries count by the keys that they meet, keys by the queries, values by what they write.
        # Logits that are the same for all keys select nothing.
        centred = _centred(self._points(key.swapaxes(0, 1)))
        asked = self._points(query.swapaxes(0, 1))
        meets = (centred.swapaxes(1, 2) @ centred, asked.swapaxes(1, 2) @ asked)
        values = self._points((value @ linear).swapaxes(0, 1))
        least = _LEAST * asked.shape[1] ** 2 * layer.key_size  # of a logit, at every pair of points
        totals = (
            np.einsum("hpk,hpk->h", asked @ meets[0], asked) + least,
            np.einsum("hpk,hpk->h", centred @ meets[1], centred) + least,
            np.square(values).sum(axis=(1, 2)),
        )
        meets = (*meets, linear @ linear.swapaxes(1, 2))
        for read, (part, met, total) in enumerate(zip(parts, meets, totals, strict=True)):
            of_head = part.transpose(2, 0, 1, 3)
            size = np.einsum("hjpk,hjpk->hj", of_head @ met[:, None], of_head)
            self.wiring[first : first + heads, read, :first] = self._shares(size, total)
        own, gate = self._add(HEAD, 2 * number, written)
        self._products(own, _READ, values)
        self.numbers[own, _SEEN] = self._pattern(pattern) * gate[:, None]
        together = written.sum(axis=0)
        if heads > 1:
            node, self.nodes = self.nodes, self.nodes + 1
            self.meta[:2, node] = ATTENTION, 2 * number
            self._products(slice(node, node + 1), _WRITTEN, self._points(together[None]))
        return together

    def _mlp(self, number: int, stream: np.ndarray) -> np.ndarray:
        """Adds a layer's MLP; what it writes [inputs, positions, d_model]."""
        path, first = f"layer_{number}/mlp/", self.nodes
        matrix, out = self.weights[path + "linear_1"], self.weights[path + "linear_2"]
        # A neuron counts by what it writes: ReLU lets its own scale through.
        scaled = matrix * np.linalg.norm(out, axis=1)
        read = self._points((stream @ scaled)[None])
        size = np.square(self.sources[:first] @ scaled).sum(axis=(1, 2))
        self.wiring[first, 0, :first] = self._shares(size[None], np.square(read).sum()[None])
        written = np.maximum(stream @ matrix, 0) @ out
        own, _ = self._add(MLP, 2 * number + 1, written[None])
        self._products(own, _READ, _centred(read))
        return written

    def _output(self, stream: np.ndarray, output_values: np.ndarray | None) -> Circuit:
        """Adds the output directions, the last nodes."""
        first, unembed = self.nodes, self.weights["unembed"]
        size = self.architecture.output_size
        self.meta[0, first:], self.meta[1, first:] = DIRECTION, OUTPUT
        out = np.zeros((INPUTS, PLACES, size), dtype=np.float32)
        places = self.probes.there.shape[1]
        out[:, :places] = (stream[:, 1:] @ unembed) * self.probes.there[..., None]
        read = np.square(self.sources[:first] @ unembed).sum(axis=1).T
        self.wiring[first:, 0, :first] = self._shares(read, np.square(out).sum(axis=(0, 1)))
        if output_values is None:
            self.numbers[first:, _VALUES] = signed_log(out.reshape(POINTS, size).T)
        else:
            self.numbers[first:, _VALUES] = self._answers(out).reshape(POINTS, size).T
        value = np.full(len(self.numbers), np.nan, dtype=np.float32)
        if output_values is not None:
            value[first:] = output_values
        return Circuit(self.numbers, *self.meta, value, self.wiring)

    def _answers(self, out: np.ndarray) -> np.ndarray:
        """1 for the direction that is the answer, else 0; in the shape of `out`."""
        answers = out.argmax(axis=2)[..., None] == np.arange(out.shape[2])
        answers[:, : self.probes.there.shape[1]] &= self.probes.there[..., None]
        answers[:, self.probes.there.shape[1] :] = False
        return answers

    def _add(self, kind: int, half: int, written: np.ndarray) -> tuple[slice, np.ndarray]:
        """Nodes of one half-layer that write [nodes, inputs, positions, d_model].

        Returns:
          where they are, and for each what is next to 0 if it writes next to nothing, and else 1.
        """
        own = slice(self.nodes, self.nodes + len(written))
        self.nodes = own.stop
        self.meta[0, own], self.meta[1, own] = kind, half
        self.meta[2, own] = np.arange(len(written))
        points = self._points(written)
        self.sources[own] = _centred(points)
        return own, self._products(own, _WRITTEN, points)

    def _shares(self, sizes: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Shares of the sum of `sizes` [nodes, earlier]; none where that is next to nothing.

        `totals` [nodes] are the sizes of all that is read, its mean over the points included.
        """
        sizes = np.maximum(sizes, 0)  # rounding may leave them a little below
        least = _LEAST_SHARE * totals + _LEAST * len(self.there)
        return sizes / np.maximum(sizes.sum(axis=1), least)[:, None]

    def _points(self, values: np.ndarray) -> np.ndarray:
        """[nodes, inputs, positions, size] at the points that are there, [nodes, points, size]."""
        return values[:, :, 1:].reshape(len(values), len(self.there), -1)[:, self.there]

    def _products(self, own: slice, where: slice, points: np.ndarray) -> np.ndarray:
        """Inner products between points, over their mean square, and how large that is.

        Where that is next to nothing they are, too; the factors [nodes] are returned.
        """
        products = points @ points.swapaxes(1, 2)
        size = np.einsum("npp->n", products) / points.shape[1]
        size = np.maximum(size, 0) / self.extent
        result = self.numbers[own, where]
        chosen, there = self.probes.pairs
        result[:, :-1] = products.reshape(len(points), -1).take(chosen, axis=1)
        result[:, :-1] *= there / (self.extent * (size + _FAINT))[:, None]
        result[:, -1] = np.log10(size + _FAINT)
        return size / (size + _FAINT)

    def _pattern(self, pattern: np.ndarray) -> np.ndarray:
        """Patterns [inputs, heads, queries, keys] as [heads, _PATTERN], without BOS's own."""
        inputs, heads, queries, keys = pattern.shape
        full = np.zeros((heads, inputs, PLACES, PLACES + 1), dtype=np.float32)
        seen = pattern[:, :, 1:] * self.probes.there[:, None, :, None]
        full[:, :, : queries - 1, :keys] = seen.swapaxes(0, 1)
        return full.reshape(heads, _PATTERN)


def _centred(points: np.ndarray) -> np.ndarray:
    """Less their mean, [nodes, points, size]."""
    return points - np.add.reduce(points, axis=1, keepdims=True) / np.float32(points.shape[1])


def pad_circuits(many: Sequence[Circuit]) -> Circuit:
    """Circuits of several models as one padded batch."""
    length = max(map(len, many))
    numbers = np.zeros((len(many), length, NUMBERS), dtype=np.float32)
    meta = np.zeros((3, len(many), length), dtype=np.int64)
    value = np.full((len(many), length), np.nan, dtype=np.float32)
    wiring = np.zeros((len(many), length, len(READS), length), dtype=np.float32)
    for row, one in enumerate(many):
        count = len(one)
        numbers[row, :count] = one.numbers
        meta[0, row, :count], meta[1, row, :count], meta[2, row, :count] = (
            one.kind,
            one.half,
            one.head,
        )
        value[row, :count] = one.value
        wiring[row, :count, :, :count] = one.wiring
    return Circuit(numbers, *meta, value, wiring)
