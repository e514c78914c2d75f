"""Our meta-model that reads a model's circuit: its weights, and what they do on probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tracrlab.decompiler.circuits import KINDS, NUMBERS, PADDING, READS, Circuit
from tracrlab.decompiler.encoder_decoder import (
    EncoderDecoder,
    EncoderLayer,
    HalfEmbedding,
    ValueEmbedding,
    check_limits,
)
from tracrlab.decompiler.parameter_tokens import EMBEDDING, OUTPUT

#: Channels of an edge: what i reads of j in each way and in all, and j of i.
EDGES = 2 * (len(READS) + 1)


@dataclass(frozen=True)
class CircuitSettings:
    """Sizes of the meta-model.

    Attributes:
      width: of the hidden states.
      encoder_layers, decoder_layers, heads: of the two transformers.
      max_layers, max_heads: limits of the models that can be read.
      max_program: the longest program in tokens, start and end counted.
      dropout: everywhere.
    """

    width: int = 96
    encoder_layers: int = 3
    decoder_layers: int = 2
    heads: int = 4
    max_layers: int = 16
    max_heads: int = 16
    max_program: int = 96
    dropout: float = 0.1


#: From 0.5M to 800M parameters.
CIRCUIT_SIZES: dict[str, CircuitSettings] = {
    "0.5M": CircuitSettings(64, 3, 2, 4),
    "1M": CircuitSettings(96, 3, 2, 4),
    "5M": CircuitSettings(208, 4, 3, 8),
    "30M": CircuitSettings(448, 6, 4, 7),
    "125M": CircuitSettings(768, 8, 6, 12),
    "400M": CircuitSettings(1152, 12, 8, 18),
    "800M": CircuitSettings(1536, 12, 10, 24),
}


class CircuitTensors(NamedTuple):
    """`Circuit` of a padded batch as tensors."""

    numbers: Tensor
    kind: Tensor
    half: Tensor
    head: Tensor
    value: Tensor
    wiring: Tensor

    @classmethod
    def of(cls, circuits: Circuit, device: torch.device | str = "cpu") -> CircuitTensors:
        """The tensors of a batch on a device."""
        parts = (getattr(circuits, name) for name in cls._fields)
        return cls(*(torch.from_numpy(part).to(device) for part in parts))


class CircuitEncoder(nn.Module):
    """Nodes to hidden states; the wiring is an attention bias, and what messages go along."""

    def __init__(self, settings: CircuitSettings):
        super().__init__()
        width = settings.width
        self.embed_kind = nn.Embedding(len(KINDS), width)
        self.embed_half = HalfEmbedding(settings.max_layers, width)
        self.embed_head = nn.Embedding(settings.max_heads, width)
        self.embed_value = ValueEmbedding(width)
        # A block: an optimizer for blocks suits a matrix of so many inputs.
        self.numbers = nn.ModuleList(
            [nn.Sequential(nn.Linear(NUMBERS, width), nn.GELU(), nn.Linear(width, width))]
        )
        self.layers = nn.ModuleList(
            EncoderLayer(settings, EDGES) for _ in range(settings.encoder_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, circuits: CircuitTensors) -> tuple[Tensor, Tensor]:
        """Hidden states [batch, nodes, width] and which nodes are padding [batch, nodes]."""
        padding = circuits.kind == PADDING
        hidden = self.embed_kind(circuits.kind) + self.embed_half(circuits.half)
        hidden = hidden + self.embed_head(circuits.head) + self.embed_value(circuits.value)
        for block in self.numbers:
            hidden = hidden + block(circuits.numbers)
        wiring = circuits.wiring.permute(0, 2, 1, 3)
        wiring = torch.cat([wiring, wiring.sum(dim=1, keepdim=True)], dim=1)
        edges = torch.cat([wiring, wiring.transpose(2, 3)], dim=1)
        edges = torch.cat([edges, edges.sqrt()], dim=1)
        for layer in self.layers:
            hidden = layer(hidden, edges, padding)
        return self.norm(hidden), padding


class CircuitModel(EncoderDecoder):
    """Circuits in, programs out."""

    def __init__(self, settings: CircuitSettings):
        super().__init__(settings, CircuitEncoder, EDGES)

    def check_fits(self, circuit: Circuit) -> None:
        """Raises TracrLabError where a model is larger than what this decompiler reads."""
        inner = circuit.half[(circuit.half != EMBEDDING) & (circuit.half != OUTPUT)]
        sizes = (
            ("layers", int(inner.max(initial=-1) + 2) // 2, self.settings.max_layers),
            ("heads in a layer", int(circuit.head.max(initial=0)) + 1, self.settings.max_heads),
        )
        check_limits(sizes)
