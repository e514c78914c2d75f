"""A compiled RASP program as a TransformerLens model. This file needs only TransformerLens 3."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig


def hooked_transformer(config: dict, weights: dict) -> HookedTransformer:
    """A HookedTransformer from its settings and its weights; biases, which are not given, are 0."""
    with warnings.catch_warnings():
        # Version 3 says that version 4 has no such class, which is why version 3 is asked for.
        warnings.filterwarnings("ignore", "HookedTransformer is deprecated", DeprecationWarning)
        model = HookedTransformer(HookedTransformerConfig(**config))
    state = model.state_dict()
    unknown = weights.keys() - state.keys()
    if unknown:
        raise KeyError(f"this TransformerLens has no weights {', '.join(sorted(unknown))}")
    for name, value in state.items():
        if name in weights:
            value.copy_(weights[name])
        elif ".b_" in name:
            value.zero_()
    return model


def load(folder: str | Path) -> tuple[HookedTransformer, dict]:
    """The model of a folder, and its config.json: input_symbols, output_values, labels ..."""
    from safetensors.torch import load_file

    about = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    weights = load_file(Path(folder) / "model.safetensors")
    return hooked_transformer(about["transformer_lens"], weights), about


def encode(about: dict, symbols) -> torch.Tensor:
    """One input as the model takes it [1, positions], beginning-of-sequence symbol in front."""
    known = about["input_symbols"]
    return torch.tensor([[known.index(symbol) for symbol in (about["bos"], *symbols)]])
