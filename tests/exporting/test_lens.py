"""A HookedTransformer has the residual stream, patterns and activations of the compiled model."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.exporting.library_models import NAMES, example, library_model
from tracrlab.compiler.blocks import COLDNESS
from tracrlab.compiler.lens import lens_parameters
from tracrlab.exporting.model_folders import write_transformer_lens


@pytest.fixture(scope="module")
def transformer_lens():
    return pytest.importorskip(
        "transformer_lens.HookedTransformer",
        reason="TransformerLens 3 is not installed: pip install 'tracrlab[lens]'",
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("transformer_lens")
def test_every_hook_shows_what_the_compiled_model_computes(name):
    model = library_model(name)
    hooked = model.to_transformer_lens()
    trace = model.trace(example(name))
    codes = torch.tensor(model.encode(example(name)))[None]
    logits, cache = hooked.run_with_cache(codes)
    assert model.decode(logits[0, 1:].detach().numpy()) == pytest.approx(
        model.apply(example(name)), abs=1e-5
    )
    for number, layer in enumerate(model.architecture.layers):
        stages = dict(zip(("pre", "mid", "post"), trace.residuals[2 * number :], strict=False))
        if "mlp.hook_post" not in str(list(cache.keys())):
            del stages["mid"]  # a model without MLPs has no such hook
        for stage, wanted in stages.items():
            found = cache[f"blocks.{number}.hook_resid_{stage}"].detach().numpy()
            np.testing.assert_allclose(found, wanted, atol=1e-5)
        if layer.heads:
            found = cache[f"blocks.{number}.attn.hook_pattern"][:, : layer.heads].detach().numpy()
            np.testing.assert_allclose(found, trace.attention[number], atol=1e-5)
        if layer.mlp_hidden:
            found = (
                cache[f"blocks.{number}.mlp.hook_post"][..., : layer.mlp_hidden].detach().numpy()
            )
            np.testing.assert_allclose(found, trace.hidden[number], atol=1e-5)


@pytest.mark.usefixtures("transformer_lens")
def test_a_hook_can_ablate_a_head():
    model = library_model("hist")
    hooked = model.to_transformer_lens()
    codes = torch.tensor(model.encode(example("hist")))[None]
    logits = hooked.run_with_hooks(
        codes, fwd_hooks=[("blocks.0.attn.hook_z", lambda z, hook: torch.zeros_like(z))]
    )
    assert not torch.allclose(logits, hooked(codes))


@pytest.mark.usefixtures("transformer_lens")
def test_a_folder_loads_without_tracrlab(tmp_path):
    model = library_model("hist")
    write_transformer_lens(model, tmp_path / "model")
    code = """
import json, sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tracrlab", "tracr"):
            raise ImportError(name)
sys.meta_path.insert(0, Refused())
from model import encode, load
model, about = load(".")
logits, cache = model.run_with_cache(encode(about, json.loads(sys.argv[1])))
print(json.dumps([about["output_values"][code] for code in logits[0, 1:].argmax(-1).tolist()]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(example("hist"))],
        cwd=tmp_path / "model",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == model.apply(example("hist"))


@pytest.mark.parametrize("name", NAMES)
def test_uniform_layers_compute_the_same(name):
    """The padded weights themselves, run in numpy as TransformerLens documents its forward pass."""
    model = library_model(name)
    weights, size = lens_parameters(model)
    codes = model.encode(example(name))
    residual = weights["embed.W_E"][codes] + weights["pos_embed.W_pos"][: len(codes)]
    hidden = ~np.tri(len(codes), dtype=bool) & model.architecture.causal
    for number in range(len(model.architecture.layers)):
        attn = {part: weights[f"blocks.{number}.attn.W_{part}"] for part in "QKVO"}
        assert attn["Q"].shape == (size.heads, model.architecture.d_model, size.key_size)
        scores = (residual @ attn["Q"]) @ (residual @ attn["K"]).transpose(0, 2, 1)
        if model.architecture.layers[number].heads:
            # Softmax hides a wrong scale: what is selected must have the compiler's logit.
            np.testing.assert_allclose(scores.max(), COLDNESS, rtol=1e-5)
        scores = np.where(hidden, -1e30, scores)
        pattern = np.exp(scores - scores.max(-1, keepdims=True))
        pattern /= pattern.sum(-1, keepdims=True)
        residual = residual + (pattern @ (residual @ attn["V"]) @ attn["O"]).sum(0)
        if size.mlp_hidden:
            mlp = (weights[f"blocks.{number}.mlp.W_in"], weights[f"blocks.{number}.mlp.W_out"])
            residual = residual + np.maximum(residual @ mlp[0], 0) @ mlp[1]
    np.testing.assert_allclose(residual, model.residuals(example(name))[-1], atol=1e-4)
