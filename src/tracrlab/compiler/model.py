"""Compiled models: weights, architecture and labels in one value, with a file format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tracrlab.compiler.architecture import Architecture, Layer
from tracrlab.compiler.forward import Trace, forward
from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path
from tracrlab.rasp.program import CATEGORICAL, NUMERICAL, Program
from tracrlab.rasp.values import Value, literal, parse_literal

#: Symbols that stand for the beginning of the sequence and for padding; no vocabulary has them.
BOS = "compiler_bos"
PAD = "compiler_pad"

#: A one-hot output whose largest entry is below this is None.
PRESENT = 0.5

_FORMAT = "tracrlab_model"
_VERSION = 1


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A transformer that computes a RASP program.

    Attributes:
      architecture: sizes, input symbols and causality.
      weights: float32 matrices by name, with the shapes of ``architecture.shapes``.
      labels: the name of each residual-stream direction (``one``, ``tokens:a``, ``v1:True`` ...);
        empty for a model whose basis has no names.
      output_encoding: categorical (one-hot) or numerical.
      output_values: the value of each output direction. Empty for numerical output; but a trained
        model has the numbers that its program can give, and its output is read as the nearest.
      program: the program, where it is known.
    """

    architecture: Architecture
    weights: dict[str, np.ndarray]
    labels: tuple[str, ...]
    output_encoding: str
    output_values: tuple[Value, ...]
    program: Program | None = None

    @cached_property
    def _code_of(self) -> dict[Value, int]:
        return {symbol: row for row, symbol in enumerate(self.architecture.input_symbols)}

    def encode(self, tokens: Sequence[Value]) -> np.ndarray:
        """Rows of ``token_embed`` for an input, BOS put in front; int64 [positions].

        Raises:
          TracrLabError: if a symbol is unknown or the input is empty or too long.
        """
        architecture = self.architecture
        if not 0 < len(tokens) <= architecture.max_seq_len:
            raise TracrLabError(
                f"the input has {len(tokens)} symbols; the model takes 1 to "
                f"{architecture.max_seq_len}."
            )
        known = [symbol for symbol in architecture.input_symbols if symbol not in (BOS, PAD)]
        for token in tokens:
            if token not in known:
                raise TracrLabError(
                    f"the input symbol {token!r} is not in the vocabulary "
                    f"{', '.join(map(literal, known))}."
                )
        return np.array([self._code_of[BOS], *(self._code_of[token] for token in tokens)])

    def logits(self, codes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The unembedded output of a batch (see `forward.forward`)."""
        return forward(self.architecture, self.weights, codes, lengths)

    def decode(self, logits: np.ndarray) -> list[Value | None]:
        """Values of unembedded outputs, float32 [positions, output_size]."""
        if self.output_encoding != CATEGORICAL:
            return self.snap(logits[:, 0]).tolist()
        best = logits.argmax(axis=-1)
        return [
            self.output_values[code] if row[code] >= PRESENT else None
            for row, code in zip(logits, best, strict=True)
        ]

    def snap(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of a numerical output as they are read: the nearest output value, if any."""
        if not self.output_values:
            return numbers
        values = np.array(self.output_values, dtype=np.float64)
        return values[np.abs(numbers[..., None] - values).argmin(axis=-1)]

    def apply(self, tokens: Sequence[Value]) -> list[Value | None]:
        """Runs the model on one input (without BOS); one value for each symbol."""
        codes = self.encode(tokens)[None]
        return self.decode(self.logits(codes, np.array([codes.shape[1]]))[0, 1:])

    def trace(self, tokens: Sequence[Value]) -> Trace:
        """Residual streams, attention patterns and activations on one input (a batch of one)."""
        codes = self.encode(tokens)[None]
        trace = Trace()
        forward(self.architecture, self.weights, codes, np.array([codes.shape[1]]), trace)
        return trace

    def residuals(self, tokens: Sequence[Value]) -> np.ndarray:
        """The residual stream after the embedding and after each half-layer.

        Returns:
          float32 [1 + 2 * layers, 1 + len(tokens), d_model], position 0 the BOS symbol.
        """
        return np.concatenate(self.trace(tokens).residuals)

    def to_haiku(self):
        """The same model as Tracr's ``AssembledTransformerModel`` (parameters and forward)."""
        from tracrlab.compiler.haiku import to_haiku

        return to_haiku(self)

    def to_torch(self):
        """The same model as a PyTorch module (`torch_module.CompiledTransformer`)."""
        from tracrlab.compiler.to_torch import to_torch

        return to_torch(self)

    def to_transformer_lens(self):
        """The same model as a TransformerLens ``HookedTransformer`` (see `lens`)."""
        from tracrlab.compiler.lens import to_transformer_lens

        return to_transformer_lens(self)

    def save(self, path: str | Path) -> None:
        """Writes a safetensors file with all metadata as JSON in its header."""
        from safetensors.numpy import save_file

        # One entry: safetensors writes several in a different order each time.
        meta = {"version": _VERSION, **self._meta()}
        metadata = {_FORMAT: json.dumps(meta | {"sha256": _digest(meta, self.weights)})}
        weights = {name: np.ascontiguousarray(value) for name, value in self.weights.items()}
        with atomic_path(path) as temporary:
            save_file(weights, temporary, metadata=metadata)

    def _meta(self) -> dict:
        architecture = self.architecture
        return {
            "input_symbols": [literal(symbol) for symbol in architecture.input_symbols],
            "max_seq_len": architecture.max_seq_len,
            "d_model": architecture.d_model,
            "output_size": architecture.output_size,
            "layers": [asdict(layer) for layer in architecture.layers],
            "causal": architecture.causal,
            "labels": list(self.labels),
            "output_encoding": self.output_encoding,
            "output_values": [literal(value) for value in self.output_values],
            "program": _text_or_none(self.program),
        }

    @classmethod
    def load(cls, path: str | Path) -> CompiledModel:
        """Reads what `save` wrote.

        Raises:
          TracrLabError: if the file is missing, damaged, of another format, or holds numbers that
            are not finite.
        """
        from safetensors import SafetensorError, safe_open

        if not Path(path).is_file():
            raise TracrLabError(f"there is no model file {path}.")
        try:
            with safe_open(path, framework="numpy") as file:
                meta = json.loads((file.metadata() or {}).get(_FORMAT, "{}"))
                if meta.get("version") == _VERSION:
                    weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                    return cls._from_meta(meta, weights)
        except (
            SafetensorError,
            TracrLabError,
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            reason = str(error).rstrip(".")
            raise TracrLabError(
                f"the model file {path} is damaged ({reason}); compile it again."
            ) from None
        raise TracrLabError(f"{path} is not a model file of version {_VERSION}; compile it again.")

    @classmethod
    def _from_meta(cls, meta: dict, weights: dict) -> CompiledModel:
        """A model from its header and weights; raises ValueError where they do not fit."""
        architecture = Architecture(
            input_symbols=tuple(parse_literal(symbol) for symbol in meta["input_symbols"]),
            max_seq_len=meta["max_seq_len"],
            d_model=meta["d_model"],
            output_size=meta["output_size"],
            layers=tuple(Layer(**layer) for layer in meta["layers"]),
            causal=meta["causal"],
        )
        architecture.check_sizes()
        if {name: value.shape for name, value in weights.items()} != architecture.shapes:
            raise ValueError("its weights do not have the shapes that its header says")
        for name, value in weights.items():
            if value.dtype != np.float32 or not np.isfinite(value).all():
                raise ValueError(f"its weight {name} holds numbers that are not finite float32")
        model = cls(
            architecture=architecture,
            weights={name: weights[name] for name in architecture.shapes},
            labels=tuple(meta["labels"]),
            output_encoding=meta["output_encoding"],
            output_values=tuple(parse_literal(value) for value in meta["output_values"]),
            program=None if meta["program"] is None else Program.from_text(meta["program"]),
        )
        categorical = model.output_encoding == CATEGORICAL
        for part, fits in (
            ("input_symbols", architecture.input_symbols.count(BOS) == 1),
            ("causal", isinstance(architecture.causal, bool)),
            ("labels", len(model.labels) in (0, architecture.d_model)),
            ("output_encoding", model.output_encoding in (CATEGORICAL, NUMERICAL)),
            ("output_values", not categorical or len(model.output_values) == meta["output_size"]),
        ):
            if not fits:
                raise ValueError(f"the {part} in its header do not fit its weights")
        digest = meta.pop("sha256")
        if digest != _digest(meta, model.weights):
            raise ValueError("its contents do not have the checksum that its header says")
        return model


def _digest(meta: dict, weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of a model file's contents: metadata, then the weights in order."""
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for weight in weights.values():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()


def _text_or_none(program: Program | None) -> str | None:
    """A program's text; None where a function of it is a Python callable."""
    try:
        return program and program.text(names=True)
    except TracrLabError:
        return None
