"""A compiled RASP program as a plain PyTorch module. This file needs only torch and safetensors.

A transformer without biases and layer norm, with ReLU in its MLPs; each layer has its own sizes,
and one without attention, or without an MLP, has none. Position 0 is the beginning of the sequence.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn


class Attention(nn.Module):
    """Attention of `heads` heads; the logits are divided by the root of `key_size`."""

    def __init__(self, d_model: int, heads: int, key_size: int, value_size: int):
        super().__init__()
        self.heads, self.scale = heads, key_size**-0.5
        self.query = nn.Parameter(torch.zeros(d_model, heads * key_size))
        self.key = nn.Parameter(torch.zeros(d_model, heads * key_size))
        self.value = nn.Parameter(torch.zeros(d_model, heads * value_size))
        self.linear = nn.Parameter(torch.zeros(heads * value_size, d_model))

    def forward(self, residual, visible):
        query, key, value = (
            (residual @ weight).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for weight in (self.query, self.key, self.value)
        )
        logits = query @ key.transpose(2, 3) * self.scale
        pattern = logits.masked_fill(~visible, -1e30).softmax(-1)
        return (pattern @ value).transpose(1, 2).flatten(2) @ self.linear


class MLP(nn.Module):
    """One hidden layer of ReLU neurons."""

    def __init__(self, d_model: int, mlp_hidden: int):
        super().__init__()
        self.linear_1 = nn.Parameter(torch.zeros(d_model, mlp_hidden))
        self.linear_2 = nn.Parameter(torch.zeros(mlp_hidden, d_model))

    def forward(self, residual):
        return (residual @ self.linear_1).relu() @ self.linear_2


class CompiledTransformer(nn.Module):
    """The model.

    Args:
      config: input_symbols, bos, max_seq_len, d_model, output_size, layers (heads, key_size,
        value_size, mlp_hidden of each), causal, labels, output_encoding and output_values.
    """

    def __init__(self, config: dict):
        super().__init__()
        self.config, width = config, config["d_model"]
        self.token_embed = nn.Parameter(torch.zeros(len(config["input_symbols"]), width))
        self.pos_embed = nn.Parameter(torch.zeros(config["max_seq_len"] + 1, width))
        self.unembed = nn.Parameter(torch.zeros(width, config["output_size"]))
        self.layers = nn.ModuleList()
        for sizes in config["layers"]:
            attention = (sizes["heads"], sizes["key_size"], sizes["value_size"])
            layer = nn.ModuleDict()
            if sizes["heads"]:
                layer["attn"] = Attention(width, *attention)
            if sizes["mlp_hidden"]:
                layer["mlp"] = MLP(width, sizes["mlp_hidden"])
            self.layers.append(layer)

    def forward(self, codes, lengths=None):
        """Runs the model.

        Args:
          codes: rows of `token_embed`, int64 [inputs, positions], the first that of BOS.
          lengths: positions of each input that are not padding, BOS counted; all by default.

        Returns:
          the unembedded output [inputs, positions, output_size], and the residual stream after the
          embedding and after each half-layer [1 + 2 * layers, inputs, positions, d_model].
        """
        positions = codes.shape[1]
        place = torch.arange(positions, device=codes.device)
        visible = torch.ones(len(codes), 1, 1, positions, dtype=torch.bool, device=codes.device)
        if lengths is not None:
            visible = (place < lengths[:, None])[:, None, None]
        if self.config["causal"]:
            visible = visible & (place <= place[:, None])
        residual = self.token_embed[codes] + self.pos_embed[:positions]
        residuals = [residual]
        for layer in self.layers:
            if "attn" in layer:
                residual = residual + layer["attn"](residual, visible)
            residuals.append(residual)
            if "mlp" in layer:
                residual = residual + layer["mlp"](residual)
            residuals.append(residual)
        return residual @ self.unembed, torch.stack(residuals)

    def encode(self, symbols):
        """Codes of one input, BOS put in front; int64 [1, positions]."""
        known = self.config["input_symbols"]
        return torch.tensor([[known.index(symbol) for symbol in (self.config["bos"], *symbols)]])

    def decode(self, outputs):
        """Values of the outputs of one input, [positions, output_size]; None is no value."""
        values = self.config["output_values"]
        if self.config["output_encoding"] == "categorical":
            best = outputs.max(-1)
            pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
            return [values[code] if size >= 0.5 else None for size, code in pairs]
        numbers = outputs[:, 0].tolist()
        if not values:
            return numbers
        return [min(values, key=lambda value: abs(value - number)) for number in numbers]

    @torch.no_grad()
    def apply(self, symbols):
        """Values of the program's output on one input, one for each symbol."""
        return self.decode(self(self.encode(symbols))[0][0, 1:])

    @classmethod
    def load(cls, folder):
        """Reads config.json and model.safetensors of a folder."""
        from safetensors.torch import load_file

        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        for name in ("input_symbols", "output_values"):
            config[name] = [_hashable(value) for value in config[name]]
        model = cls(config)
        model.load_state_dict(load_file(Path(folder) / "model.safetensors"))
        return model


def _hashable(value):
    """JSON has lists where RASP has tuples."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
