"""A compiled model as a folder that runs without Tracr Lab: weights, settings, a file of code.

Every folder has ``model.safetensors``, ``config.json`` and a ``README.md`` with the lines that load
it. Nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import numpy as np

from tracrlab.compiler.model import CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path, write_text
from tracrlab.rasp.values import literal


def write_torch(model: CompiledModel, folder: str | Path) -> None:
    """Writes a plain PyTorch module; ``model.py`` needs only torch and safetensors."""
    from tracrlab.compiler.to_torch import torch_config, torch_names

    names = torch_names(model)
    weights = {names[name]: weight for name, weight in model.weights.items()}
    _write(folder, model, weights, torch_config(model), "torch_module.py", _TORCH)


def write_transformer_lens(model: CompiledModel, folder: str | Path) -> None:
    """Writes a TransformerLens ``HookedTransformer``; ``model.py`` needs only TransformerLens.

    Writing does not need TransformerLens.
    """
    from tracrlab.compiler.lens import lens_config, lens_parameters
    from tracrlab.compiler.to_torch import torch_config

    weights, size = lens_parameters(model)
    config = torch_config(model) | {"transformer_lens": lens_config(model, size)}
    _write(folder, model, weights, config, "lens_module.py", _LENS)


def write_haiku(model: CompiledModel, folder: str | Path) -> None:
    """Writes Tracr's Haiku parameters.

    The tensor ``transformer/layer_0/attn/query/w`` is the parameter ``w`` of the module that is
    named before the last slash.
    """
    from tracrlab.compiler.haiku import haiku_parameters
    from tracrlab.compiler.to_torch import torch_config

    parameters, size = haiku_parameters(model)
    weights = {
        f"{module}/{name}": value
        for module, entries in parameters.items()
        for name, value in entries.items()
    }
    weights["unembed/w"] = model.weights["unembed"]
    config = torch_config(model)
    config["transformer"] = {
        "num_heads": size.heads,
        "num_layers": len(model.architecture.layers),
        "key_size": size.key_size,
        "mlp_hidden_size": size.mlp_hidden,
        "layer_norm": False,
        "causal": model.architecture.causal,
    }
    _write(folder, model, weights, config, None, _HAIKU)


def _write(
    folder: str | Path,
    model: CompiledModel,
    weights: Mapping[str, np.ndarray],
    config: dict,
    code: str | None,
    usage: str,
) -> None:
    from safetensors.numpy import save_file

    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise TracrLabError(f"{folder} is a file; --out takes a folder.")
    text = _program_text(model)
    if text is not None:
        config = config | {"program": text}
    with atomic_path(folder / "model.safetensors") as temporary:
        tensors = {name: np.ascontiguousarray(weight) for name, weight in weights.items()}
        save_file(tensors, temporary, metadata={"format": "pt"})
    if code is not None:
        source = resources.files("tracrlab.compiler").joinpath(code).read_text(encoding="utf-8")
        write_text(folder / "model.py", source)
    write_text(folder / "README.md", _card(model, text, usage))
    # Last: a folder with a config.json is whole.
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")


def _program_text(model: CompiledModel) -> str | None:
    """The program's text; None where it is not known or holds a Python callable."""
    try:
        return model.program and model.program.text(names=True)
    except TracrLabError:
        return None


def _card(model: CompiledModel, text: str | None, usage: str) -> str:
    sizes = model.architecture
    symbols = [symbol for symbol in sizes.input_symbols if not str(symbol).startswith("compiler_")]
    example = (symbols * sizes.max_seq_len)[: min(3, sizes.max_seq_len)]
    program = f"It computes this RASP program:\n\n```\n{text}\n```\n\n" if text else ""
    return (
        "# A compiled RASP program\n\n"
        f"{program}"
        f"{sizes.weight_count:,} weights, {len(sizes.layers)} layers, a residual stream "
        f"{sizes.d_model} wide; no biases, no layer norm, ReLU, "
        f"{'causal' if sizes.causal else 'bidirectional'} attention. Inputs are 1 to "
        f"{sizes.max_seq_len} of the symbols {', '.join(map(literal, symbols))}; position 0 is the "
        "beginning-of-sequence symbol. `config.json` names each residual direction (`labels`) and "
        "each output (`output_values`).\n\n"
        f"```python\n{usage.format(example=example)}```\n"
    )


_TORCH = """from model import CompiledTransformer

model = CompiledTransformer.load(".")
model.apply({example!r})
outputs, residuals = model(model.encode({example!r}))
"""
_LENS = """from model import encode, load

model, about = load(".")
logits, cache = model.run_with_cache(encode(about, {example!r}))
cache["blocks.0.attn.hook_pattern"]
"""
_HAIKU = """from safetensors.numpy import load_file

parameters = {{}}
for name, value in load_file("model.safetensors").items():
    module, _, parameter = name.rpartition("/")
    parameters.setdefault(module, {{}})[parameter] = value
unembed = parameters.pop("unembed")["w"]
# parameters: those of tracr.transformer.model.CompiledTransformerModel, which multiplies the last
# residual stream with `unembed`. Its inputs are row numbers of `input_symbols` in config.json, that
# of the beginning-of-sequence symbol first.
"""
