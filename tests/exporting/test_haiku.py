"""The Haiku folder holds the parameters that Tracr's own transformer runs with."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.exporting.library_models import example, library_model
from tracrlab.exporting.model_folders import write_haiku


@pytest.mark.parametrize("name", ["hist", "frac_prevs"])
def test_tracrs_forward_runs_with_the_stored_parameters(name, tmp_path):
    model = library_model(name)
    write_haiku(model, tmp_path)
    parameters = {}
    for key, value in load_file(tmp_path / "model.safetensors").items():
        module, _, parameter = key.rpartition("/")
        parameters.setdefault(module, {})[parameter] = jnp.asarray(value)
    unembed = parameters.pop("unembed")["w"]
    codes = jnp.asarray(model.encode(example(name)))[None]
    tracr = model.to_haiku()
    assert parameters.keys() == tracr.params.keys()
    residual = tracr.forward(parameters, codes).transformer_output.output[0]
    found = model.decode(np.asarray(residual @ unembed)[1:])
    assert found == pytest.approx(model.apply(example(name)), abs=1e-5)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["transformer"]["num_heads"] == tracr.model_config.num_heads
    assert not (tmp_path / "model.py").exists()
