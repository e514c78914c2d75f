"""Our meta-model: an encoder over parameter tokens and an autoregressive decoder of programs.

The encoder sees what does not change when the residual stream is rotated: what kind of unit a token
is and in which half-layer, what it reads of the embeddings, and the virtual weights between all
pairs of units (`tracrlab.decompiler.virtual_weights`). Virtual weights enter every layer twice: as
a bias of attention, and as the weights of a sum of messages along the wiring, which keeps their
sign and size. Raw vectors can be read beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tracrlab.decompiler.batches import TokenBatch
from tracrlab.decompiler.encoder_decoder import (
    EncoderDecoder,
    EncoderLayer,
    HalfEmbedding,
    ProgramDecoder,
    ValueEmbedding,
    check_limits,
    plain_layers,
    signed_log,
)
from tracrlab.decompiler.parameter_tokens import (
    EMBEDDING,
    KINDS,
    OUTPUT,
    PADDING,
    QUERY_KEY,
    ParameterTokens,
)
from tracrlab.decompiler.virtual_weights import READERS, WRITERS
from tracrlab.rasp.tokens import PAD

#: Channels of an edge: what i reads of j with its two vectors, and j of i with its two.
EDGES = 4


@dataclass(frozen=True)
class ModelSettings:
    """Sizes of our meta-model.

    Attributes:
      width: of the hidden states.
      encoder_layers, decoder_layers, heads: of the two transformers.
      anchors: embedding tokens whose virtual weights are read as features (symbols and positions).
      raw_width: directions of the residual stream that are read as raw vectors; 0 for none.
      max_layers, max_heads, max_index: limits of the models that can be read.
      max_program: the longest program in tokens, start and end counted.
      dropout: everywhere.
    """

    width: int = 128
    encoder_layers: int = 3
    decoder_layers: int = 2
    heads: int = 4
    anchors: int = 16
    raw_width: int = 0
    max_layers: int = 16
    max_heads: int = 16
    max_index: int = 64
    max_program: int = 96
    dropout: float = 0.1


#: From 0.5M to 800M parameters.
MODEL_SIZES: dict[str, ModelSettings] = {
    "0.5M": ModelSettings(80, 3, 2, 4),
    "1M": ModelSettings(112, 3, 2, 4),
    "5M": ModelSettings(224, 4, 3, 7),
    "30M": ModelSettings(448, 6, 4, 7),
    "125M": ModelSettings(768, 8, 6, 12),
    "400M": ModelSettings(1152, 12, 8, 18),
    "800M": ModelSettings(1536, 12, 10, 24),
}


class ParameterTensors(NamedTuple):
    """`ParameterTokens` of a padded batch as tensors."""

    vectors: Tensor
    kind: Tensor
    half: Tensor
    head: Tensor
    index: Tensor
    value: Tensor

    @classmethod
    def of(cls, tokens: ParameterTokens, device: torch.device | str = "cpu") -> ParameterTensors:
        """The tensors of a batch on a device."""
        parts = (
            tokens.vectors,
            tokens.kind,
            tokens.half,
            tokens.head,
            tokens.index,
            tokens.value,
        )
        return cls(*(torch.from_numpy(part).to(device) for part in parts))


def tensors(
    batch: TokenBatch, device: torch.device | str = "cpu"
) -> tuple[ParameterTensors, Tensor]:
    """Inputs and targets of a batch on a device."""
    return ParameterTensors.of(batch.parameters, device), torch.from_numpy(batch.program).to(device)


def _one_of(values: Tensor, wanted: tuple[int, ...]) -> Tensor:
    return torch.isin(values, torch.tensor(wanted, device=values.device))


def virtual_weights(parameters: ParameterTensors) -> Tensor:
    """As `tracrlab.decompiler.virtual_weights.products`: [batch, tokens, 2, tokens]."""
    first, second = parameters.vectors[:, :, 0], parameters.vectors[:, :, 1]
    writes = second * _one_of(parameters.kind, WRITERS)[..., None]
    reads = torch.stack(
        [
            first * _one_of(parameters.kind, READERS)[..., None],
            second * (parameters.kind == QUERY_KEY)[..., None],
        ],
        dim=2,
    )
    earlier = parameters.half[:, :, None] > parameters.half[:, None, :]
    return torch.einsum("bisd,bjd->bisj", reads, writes) * earlier[:, :, None]


class WeightEncoder(nn.Module):
    """Parameter tokens to hidden states."""

    def __init__(self, settings: ModelSettings):
        super().__init__()
        self.settings = settings
        width = settings.width
        self.embed_kind = nn.Embedding(len(KINDS), width)
        self.embed_half = HalfEmbedding(settings.max_layers, width)
        self.embed_head = nn.Embedding(settings.max_heads, width)
        # Which symbol, position or output; of other kinds the number means nothing.
        self.embed_index = nn.Embedding(settings.max_index + 1, width)
        self.embed_value = ValueEmbedding(width)
        numbers = 2 * settings.anchors + 3 + 2 * settings.raw_width
        self.numbers = nn.Sequential(nn.Linear(numbers, width), nn.GELU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(
            EncoderLayer(settings, EDGES) for _ in range(settings.encoder_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, parameters: ParameterTensors) -> tuple[Tensor, Tensor]:
        """Hidden states [batch, tokens, width] and which tokens are padding [batch, tokens]."""
        padding = parameters.kind == PADDING
        wiring = signed_log(virtual_weights(parameters))
        edges = torch.cat([wiring.permute(0, 2, 1, 3), wiring.permute(0, 2, 3, 1)], dim=1)
        edges = torch.cat([edges, edges.abs()], dim=1)
        hidden = self._embed(parameters, wiring)
        for layer in self.layers:
            hidden = layer(hidden, edges, padding)
        return self.norm(hidden), padding

    def _embed(self, parameters: ParameterTensors, wiring: Tensor) -> Tensor:
        settings = self.settings
        inner = (parameters.half != EMBEDDING) & (parameters.half != OUTPUT)
        index = torch.where(inner, settings.max_index, parameters.index)
        hidden = self.embed_kind(parameters.kind) + self.embed_half(parameters.half)
        hidden = hidden + self.embed_head(parameters.head) + self.embed_index(index)
        hidden = hidden + self.embed_value(parameters.value)
        # Embeddings come first, in the order of their symbols and positions.
        embedded = (parameters.half == EMBEDDING) & (parameters.kind != PADDING)
        anchors = (wiring * embedded[:, None, None, :])[..., : settings.anchors]
        anchors = functional.pad(anchors, (0, settings.anchors - anchors.shape[-1])).flatten(2)
        first, second = parameters.vectors.unbind(dim=2)
        sizes = torch.stack(
            [(first * first).sum(-1), (second * second).sum(-1), (first * second).sum(-1)], dim=-1
        )
        features = [anchors, signed_log(sizes)]
        if settings.raw_width:
            raw = parameters.vectors[..., : settings.raw_width]
            raw = functional.pad(raw, (0, settings.raw_width - raw.shape[-1]))
            features.append(signed_log(raw).flatten(2))
        return hidden + self.numbers(torch.cat(features, dim=-1))


class MetaModel(EncoderDecoder):
    """Our meta-model: weights in, programs out."""

    def __init__(self, settings: ModelSettings):
        super().__init__(settings, WeightEncoder, EDGES)

    def check_fits(self, tokens: ParameterTokens) -> None:
        """Raises TracrLabError where a model is larger than what this decompiler reads."""
        settings = self.settings
        inner = (tokens.half != EMBEDDING) & (tokens.half != OUTPUT)
        sizes = (
            ("layers", int((tokens.half[inner].max(initial=-1) + 2) // 2), settings.max_layers),
            ("heads in a layer", int(tokens.head.max(initial=0)) + 1, settings.max_heads),
            (
                "symbols, positions or output directions",
                int(tokens.index[~inner].max(initial=0)) + 1,
                settings.max_index,
            ),
        )
        check_limits(sizes)


class ProgramAutoEncoder(nn.Module):
    """Program to program through a few numbers: can the program form be learned at all?

    Inverse Tracr, section 5.1.1, reports 94 % of tokens for its own.
    """

    def __init__(self, settings: ModelSettings, bottleneck: int = 64):
        super().__init__()
        width = settings.width
        self.decoder = ProgramDecoder(settings)
        self.layers = plain_layers(nn.TransformerEncoderLayer, settings.encoder_layers, settings)
        self.squeeze = nn.Linear(width, bottleneck)
        self.spread = nn.Linear(bottleneck, width)

    def forward(self, program: Tensor) -> Tensor:
        """Logits after each prefix of the program, which is seen through `bottleneck` numbers."""
        padding = program == PAD
        hidden = self.decoder.token(program) + self.decoder.place.weight[: program.shape[1]]
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=padding)
        kept = hidden.masked_fill(padding[..., None], 0).sum(1) / (~padding).sum(1, keepdim=True)
        memory = self.spread(self.squeeze(kept))[:, None]
        return self.decoder(program, memory, padding.new_zeros(len(program), 1))
