"""A model as a TransformerLens ``HookedTransformer`` (the optional extra ``tracrlab[lens]``).

TransformerLens wants every layer of one size, so heads, head widths and neurons are padded with
zeros: a padded head or neuron writes nothing. Its attention is not scaled; the scale of each of our
layers is in the query weights, so that ``hook_attn_scores`` holds our logits.
"""

from __future__ import annotations

import numpy as np

from tracrlab.compiler.architecture import Layer
from tracrlab.compiler.model import CompiledModel
from tracrlab.errors import TracrLabError


def lens_parameters(model: CompiledModel) -> tuple[dict[str, np.ndarray], Layer]:
    """Weights under TransformerLens's names, every layer padded to the largest.

    Returns:
      the weights, without biases (float32: ``W_Q``, ``W_K``, ``W_V`` [heads, d_model, d_head],
      ``W_O`` [heads, d_head, d_model]), and the sizes that all layers have; ``key_size`` and
      ``value_size`` are both ``d_head``, and ``mlp_hidden`` may be 0.
    """
    architecture, weights = model.architecture, model.weights
    d_model, layers = architecture.d_model, architecture.layers
    heads = max(1, *(layer.heads for layer in layers))
    width = max(1, *(max(layer.key_size, layer.value_size) for layer in layers))
    neurons = max(layer.mlp_hidden for layer in layers)
    parameters = {
        "embed.W_E": weights["token_embed"],
        "pos_embed.W_pos": weights["pos_embed"],
        "unembed.W_U": weights["unembed"],
    }
    for number, layer in enumerate(layers):
        for ours, theirs in (("query", "W_Q"), ("key", "W_K"), ("value", "W_V"), ("linear", "W_O")):
            padded = np.zeros((heads, d_model, width), np.float32)
            if layer.heads:
                weight = weights[f"layer_{number}/attn/{ours}"]
                weight = weight.T if ours == "linear" else weight
                split = weight.reshape(d_model, layer.heads, -1).transpose(1, 0, 2)
                scale = 1 / np.sqrt(layer.key_size) if ours == "query" else 1
                padded[: layer.heads, :, : split.shape[2]] = split * np.float32(scale)
            padded = padded.transpose(0, 2, 1) if ours == "linear" else padded
            parameters[f"blocks.{number}.attn.{theirs}"] = np.ascontiguousarray(padded)
        if neurons:
            w_in = np.zeros((d_model, neurons), np.float32)
            w_out = np.zeros((neurons, d_model), np.float32)
            if layer.mlp_hidden:
                w_in[:, : layer.mlp_hidden] = weights[f"layer_{number}/mlp/linear_1"]
                w_out[: layer.mlp_hidden] = weights[f"layer_{number}/mlp/linear_2"]
            parameters[f"blocks.{number}.mlp.W_in"] = w_in
            parameters[f"blocks.{number}.mlp.W_out"] = w_out
    return parameters, Layer(heads, width, width, neurons)


def lens_config(model: CompiledModel, size: Layer) -> dict:
    """Settings of the ``HookedTransformerConfig``, ready for JSON; `size` is that of all layers."""
    architecture = model.architecture
    return {
        "n_layers": len(architecture.layers),
        "d_model": architecture.d_model,
        "n_ctx": architecture.max_seq_len + 1,
        "d_head": size.key_size,
        "n_heads": size.heads,
        "d_mlp": size.mlp_hidden or None,
        "d_vocab": len(architecture.input_symbols),
        "d_vocab_out": architecture.output_size,
        "act_fn": "relu",
        "attn_only": size.mlp_hidden == 0,
        "normalization_type": None,
        "attention_dir": "causal" if architecture.causal else "bidirectional",
        "use_attn_scale": False,
        "init_weights": False,
        "default_prepend_bos": False,
        "device": "cpu",
        "model_name": "tracrlab",
    }


def to_transformer_lens(model: CompiledModel):
    """The model as a ``HookedTransformer`` on the CPU, without a tokenizer.

    Its input is ``model.encode(tokens)`` as a tensor [1, positions], the beginning-of-sequence
    symbol in front. Where attention is not causal, the inputs of a batch must be of one length:
    TransformerLens masks padding only in causal models.

    Raises:
      TracrLabError: if TransformerLens is not installed, or is a version without this class.
    """
    import torch

    try:
        from tracrlab.compiler.lens_module import hooked_transformer
    except ImportError as error:
        reason = str(error).split(".")[0]
        raise TracrLabError(
            f"TransformerLens 3 is needed ({reason}); run: pip install 'tracrlab[lens]'."
        ) from None
    parameters, size = lens_parameters(model)
    weights = {name: torch.from_numpy(value) for name, value in parameters.items()}
    return hooked_transformer(lens_config(model, size), weights)
