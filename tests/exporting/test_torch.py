"""The PyTorch module computes what the compiled model does, also without tracrlab."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.exporting.library_models import NAMES, example, library_model
from tracrlab.compiler.verification import model_inputs
from tracrlab.errors import TracrLabError
from tracrlab.exporting.model_folders import write_torch
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.library import LIBRARY


@pytest.mark.parametrize("name", NAMES)
def test_residual_streams_and_outputs_are_those_of_the_compiled_model(name):
    model = library_model(name)
    module = model.to_torch()
    outputs, residuals = module(module.encode(example(name)))
    wanted = model.residuals(example(name))
    assert residuals.shape == (len(wanted), 1, *wanted.shape[1:])
    np.testing.assert_allclose(residuals[:, 0].detach(), wanted, atol=1e-5)
    assert module.decode(outputs[0, 1:]) == pytest.approx(model.apply(example(name)), abs=1e-5)


@pytest.mark.parametrize("name", ["hist", "causal_length"])
def test_padding_is_masked(name):
    entry = LIBRARY[name]
    model = library_model(name)
    domain = Domain(entry.vocab, entry.max_seq_len, entry.causal)
    codes, lengths = model_inputs(model, domain, np.arange(0, len(domain.codes), 9))
    outputs, _ = model.to_torch()(torch.tensor(codes), torch.tensor(lengths))
    mask = np.arange(codes.shape[1]) < lengths[:, None]
    wanted = model.logits(codes, lengths)
    np.testing.assert_allclose(outputs.detach().numpy()[mask], wanted[mask], atol=1e-5)


def test_the_module_has_weights_of_its_own():
    model = library_model("hist")
    module = model.to_torch()
    torch.nn.init.zeros_(module.unembed)
    assert model.weights["unembed"].any()


@pytest.mark.parametrize("name", ["sort_unique", "shift_by_1"])
def test_a_folder_runs_without_tracrlab(name, tmp_path):
    model = library_model(name)
    write_torch(model, tmp_path / "model")
    code = """
import json, sys
sys.path = [p for p in sys.path if "tracrlab" not in p and not p.endswith("src")]
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tracrlab", "tracr", "jax", "haiku"):
            raise ImportError(name)
sys.meta_path.insert(0, Refused())
from model import CompiledTransformer
model = CompiledTransformer.load(".")
symbols = json.loads(sys.argv[1])
print(json.dumps([model.apply(symbols), model(model.encode(symbols))[1].shape]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, json.dumps(example(name))],
        cwd=tmp_path / "model",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    values, shape = json.loads(done.stdout)
    assert values == model.apply(example(name))
    assert shape[0] == 1 + 2 * len(model.architecture.layers)
    assert "CompiledTransformer.load" in (tmp_path / "model" / "README.md").read_text()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(TracrLabError, match="takes a folder"):
        write_torch(library_model("hist"), tmp_path / "model")
