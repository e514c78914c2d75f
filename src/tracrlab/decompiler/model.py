"""Our meta-model: an encoder over parameter tokens and an autoregressive decoder of programs.

The encoder sees what does not change when the residual stream is rotated: what kind of unit a token
is and in which half-layer, what it reads of the embeddings, and the virtual weights between all
pairs of units (`tracrlab.decompiler.virtual_weights`). Virtual weights enter every layer twice: as
a bias of attention, and as the weights of a sum of messages along the wiring, which keeps their
sign and size. Raw vectors can be read beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tracrlab.decompiler.batches import TokenBatch
from tracrlab.decompiler.parameter_tokens import (
    EMBEDDING,
    KINDS,
    OUTPUT,
    PADDING,
    QUERY_KEY,
    ParameterTokens,
)
from tracrlab.decompiler.token_tables import SIZE
from tracrlab.decompiler.virtual_weights import READERS, WRITERS
from tracrlab.errors import TracrLabError
from tracrlab.rasp.tokens import PAD

#: Channels of an edge: what i reads of j with its two vectors, and j of i with its two.
EDGES = 4
#: Values of symbols, positions and outputs that are told apart: so many half-integers from here on.
LEAST_VALUE, VALUES = -32, 257


class Settings(Protocol):
    """What all our meta-models say of their transformers; see `ModelSettings`."""

    width: int
    heads: int
    decoder_layers: int
    max_program: int
    dropout: float


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


def _signed_log(values: Tensor) -> Tensor:
    return values.sign() * values.abs().log1p()


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


class EncoderLayer(nn.Module):
    """Attention with a bias from the edges between tokens, messages along them, and an MLP.

    Args:
      settings: sizes.
      edges: kinds of edges, each with its sign and with a size.
    """

    def __init__(self, settings: Settings, edges: int = EDGES):
        super().__init__()
        width = settings.width
        self.edges = edges
        self.heads, self.dropout = settings.heads, settings.dropout
        self.norm, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.bias = nn.Linear(2 * edges, settings.heads)
        self.message = nn.Linear(width, width)
        self.out = nn.Linear(2 * width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(4 * width, width),
        )
        self.drop = nn.Dropout(settings.dropout)

    def forward(self, hidden: Tensor, edges: Tensor, padding: Tensor) -> Tensor:
        """One layer: hidden [batch, tokens, width], edges [batch, 2 edges, tokens, tokens]."""
        batch, tokens, width = hidden.shape
        normed = self.norm(hidden)
        shape = (batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = self.qkv(normed).view(shape).permute(2, 0, 3, 1, 4)
        bias = self.bias.weight @ edges.flatten(2) + self.bias.bias[:, None]
        bias = bias.view(batch, self.heads, tokens, tokens)
        bias = bias.masked_fill(padding[:, None, None, :], -1e4)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, dropout_p=self.dropout if self.training else 0.0
        )
        attended = attended.transpose(1, 2).reshape(batch, tokens, width)
        # Each kind of edge carries an equal part of the messages.
        messages = self.message(normed).view(batch, tokens, self.edges, width // self.edges)
        along = edges[:, : self.edges] @ messages.transpose(1, 2)
        along = along.transpose(1, 2).reshape(batch, tokens, width)
        along = _signed_log(along)
        hidden = hidden + self.drop(self.out(torch.cat([attended, along], dim=-1)))
        return hidden + self.drop(self.mlp(self.norm_mlp(hidden)))


class HalfEmbedding(nn.Embedding):
    """Half-layers of models of at most `max_layers` layers, the embeddings and the output."""

    def __init__(self, max_layers: int, width: int):
        super().__init__(2 * max_layers + 2, width)

    def forward(self, half: Tensor) -> Tensor:
        """Embeddings of half-layers as numbered in `ParameterTokens`."""
        return super().forward(torch.where(half == OUTPUT, self.num_embeddings - 1, half + 1))


class ValueEmbedding(nn.Embedding):
    """The half-integers from -32 to 96, as far as constants have tokens of their own."""

    def __init__(self, width: int):
        super().__init__(VALUES + 1, width)

    def forward(self, value: Tensor) -> Tensor:
        """Embeddings of values; NaN has its own."""
        number = (2 * value.nan_to_num()).round().long() - 2 * LEAST_VALUE
        return super().forward(torch.where(value.isnan(), VALUES, number.clamp(0, VALUES - 1)))


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
        self.layers = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.encoder_layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, parameters: ParameterTensors) -> tuple[Tensor, Tensor]:
        """Hidden states [batch, tokens, width] and which tokens are padding [batch, tokens]."""
        padding = parameters.kind == PADDING
        wiring = _signed_log(virtual_weights(parameters))
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
        features = [anchors, _signed_log(sizes)]
        if settings.raw_width:
            raw = parameters.vectors[..., : settings.raw_width]
            raw = functional.pad(raw, (0, settings.raw_width - raw.shape[-1]))
            features.append(_signed_log(raw).flatten(2))
        return hidden + self.numbers(torch.cat(features, dim=-1))


class ProgramDecoder(nn.Module):
    """Program tokens, one after the other, with attention to what an encoder made."""

    def __init__(self, settings: Settings):
        super().__init__()
        width = settings.width
        self.settings = settings
        self.token = nn.Embedding(SIZE, width)
        self.place = nn.Embedding(settings.max_program, width)
        nn.init.normal_(self.token.weight, std=0.02)
        nn.init.normal_(self.place.weight, std=0.02)
        self.layers = _plain_layers(nn.TransformerDecoderLayer, settings.decoder_layers, settings)
        self.norm = nn.LayerNorm(width)

    def forward(self, program: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        """Logits of the token after each prefix, [batch, length, len(VOCABULARY)].

        Args:
          program: token ids, the start symbol first, int64 [batch, length].
          memory: what an encoder made, [batch, tokens, width].
          padding: which of it is padding, bool [batch, tokens].

        Raises:
          TracrLabError: if the program is longer than `max_program`.
        """
        length = program.shape[1]
        if length > self.settings.max_program:
            raise TracrLabError(
                f"a program has {length} tokens and the decompiler writes at most "
                f"{self.settings.max_program}; raise max_program."
            )
        hidden = self.token(program) + self.place.weight[:length]
        later = torch.ones(length, length, dtype=torch.bool, device=program.device).triu(1)
        for layer in self.layers:
            hidden = layer(hidden, memory, tgt_mask=later, memory_key_padding_mask=padding)
        return self.norm(hidden) @ self.token.weight.T


class EncoderDecoder(nn.Module):
    """What both of our meta-models are: an encoder of weights, and a decoder of programs.

    Args:
      settings: sizes.
      encoder: makes the encoder of them.
      edges: kinds of edges that it has.

    Raises:
      TracrLabError: if heads or edges do not divide the width.
    """

    def __init__(self, settings: Settings, encoder: Callable[..., nn.Module], edges: int):
        super().__init__()
        if settings.width % settings.heads or settings.width % edges:
            raise TracrLabError(
                f"width is a multiple of heads and of {edges}; {settings.width} with "
                f"{settings.heads} heads is not."
            )
        self.settings = settings
        self.encoder, self.decoder = encoder(settings), ProgramDecoder(settings)

    def forward(self, weights: NamedTuple, program: Tensor) -> Tensor:
        """Logits after each prefix of the program; see `ProgramDecoder`.

        Args:
          weights: a batch as the encoder takes it.
          program: token ids, the start symbol first, int64 [batch, length].
        """
        return self.decoder(program, *self.encoder(weights))


def check_limits(sizes: Iterable[tuple[str, int, int]]) -> None:
    """Raises TracrLabError for the first of (what, size, limit) that is beyond its limit."""
    for what, size, limit in sizes:
        if size > limit:
            raise TracrLabError(
                f"the model has {size} {what} and the decompiler reads at most {limit}; take "
                "a larger decompiler or a smaller model."
            )


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
        self.layers = _plain_layers(nn.TransformerEncoderLayer, settings.encoder_layers, settings)
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


def _plain_layers(layer: type[nn.Module], count: int, settings: Settings) -> nn.ModuleList:
    """Layers of PyTorch's own, normed first, with an MLP of four times the width."""
    return nn.ModuleList(
        layer(
            settings.width,
            settings.heads,
            4 * settings.width,
            settings.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        for _ in range(count)
    )


def program_loss(logits: Tensor, program: Tensor) -> Tensor:
    """Cross-entropy of every next token, padding left out; a scalar.

    Args:
      logits: [batch, length, tokens], after each prefix of the program.
      program: int64 [batch, length], start first.
    """
    return functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), program[:, 1:], ignore_index=PAD
    )


def next_token(
    model: EncoderDecoder, weights: NamedTuple
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """A trained meta-model as `tracrlab.decompiler.decoding.NextToken`; weights are read once.

    Args:
      model: one of our meta-models.
      weights: a batch as the encoder takes it.
    """
    device = next(model.parameters()).device
    with torch.inference_mode():
        memory, padding = model.encoder(weights)

    def logits(tokens: np.ndarray, source: np.ndarray, parent: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(source).to(device)
        with torch.inference_mode():
            prefix = torch.from_numpy(tokens).to(device)
            scores = model.decoder(prefix, memory[rows], padding[rows])[:, -1]
        return scores.float().cpu().numpy()

    return logits


def parameter_count(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
