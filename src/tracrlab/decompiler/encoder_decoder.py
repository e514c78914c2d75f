"""What our meta-models share: layers that read a wiring, and the decoder of programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tracrlab.decompiler.parameter_tokens import OUTPUT
from tracrlab.decompiler.token_tables import SIZE
from tracrlab.errors import TracrLabError
from tracrlab.rasp.tokens import PAD

#: Values of symbols, positions and outputs that are told apart: so many half-integers from here on.
LEAST_VALUE, VALUES = -32, 257


def signed_log(values: Tensor) -> Tensor:
    """The sign of a number times log(1 + its size)."""
    return values.sign() * values.abs().log1p()


class Settings(Protocol):
    """What all our meta-models say of their transformers; see `ModelSettings`."""

    width: int
    heads: int
    decoder_layers: int
    max_program: int
    dropout: float


class EncoderLayer(nn.Module):
    """Attention with a bias from the edges between tokens, messages along them, and an MLP.

    Args:
      settings: sizes.
      edges: kinds of edges, each with its sign and with a size.
    """

    def __init__(self, settings: Settings, edges: int):
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
        along = signed_log(along)
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
        self.layers = plain_layers(nn.TransformerDecoderLayer, settings.decoder_layers, settings)
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


def plain_layers(layer: type[nn.Module], count: int, settings: Settings) -> nn.ModuleList:
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


class Reading:
    """Weights that a trained meta-model has read, once: what it says of programs.

    It is a `tracrlab.decompiler.decoding.NextToken`.

    Args:
      model: one of our meta-models.
      weights: a batch as the encoder takes it.
    """

    def __init__(self, model: EncoderDecoder, weights: NamedTuple):
        self._decoder, self._device = model.decoder, next(model.parameters()).device
        with torch.inference_mode():
            self._memory, self._padding = model.encoder(weights)

    def __call__(self, tokens: np.ndarray, source: np.ndarray, parent: np.ndarray) -> np.ndarray:
        """Logits after whole prefixes, float32 [rows, ids]."""
        return self._scores(tokens, source)[:, -1].float().cpu().numpy()

    def along(self, tokens: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Logits after every prefix of each row, float32 [rows, length, ids].

        Args:
          tokens: int64 [rows, length], the start symbol first.
          source: which of the models each row is for, int64 [rows].
        """
        return self._scores(tokens, source).float().cpu().numpy()

    def _scores(self, tokens: np.ndarray, source: np.ndarray) -> Tensor:
        rows = torch.from_numpy(source).to(self._device)
        with torch.inference_mode():
            prefix = torch.from_numpy(tokens).to(self._device)
            return self._decoder(prefix, self._memory[rows], self._padding[rows])


def parameter_count(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
