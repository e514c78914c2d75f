"""A model as a PyTorch module (`torch_module.CompiledTransformer`)."""

from __future__ import annotations

from dataclasses import asdict

from tracrlab.compiler.model import BOS, CompiledModel


def torch_config(model: CompiledModel) -> dict:
    """What the module is built from, ready for JSON."""
    architecture = model.architecture
    return {
        "input_symbols": list(architecture.input_symbols),
        "bos": BOS,
        "max_seq_len": architecture.max_seq_len,
        "d_model": architecture.d_model,
        "output_size": architecture.output_size,
        "layers": [asdict(layer) for layer in architecture.layers],
        "causal": architecture.causal,
        "labels": list(model.labels),
        "output_encoding": model.output_encoding,
        "output_values": list(model.output_values),
    }


def torch_names(model: CompiledModel) -> dict[str, str]:
    """The module's name of each weight: ``layers.0.attn.query`` for ``layer_0/attn/query``."""
    return {name: name.replace("layer_", "layers.").replace("/", ".") for name in model.weights}


def to_torch(model: CompiledModel):
    """The module, with a copy of the model's weights (float32, on the CPU)."""
    import torch

    from tracrlab.compiler.torch_module import CompiledTransformer

    module = CompiledTransformer(torch_config(model))
    names = torch_names(model)
    weights = {names[name]: torch.tensor(weight) for name, weight in model.weights.items()}
    module.load_state_dict(weights)
    return module
