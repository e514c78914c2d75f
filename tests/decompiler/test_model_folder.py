"""A meta-model comes back from its folder; what is not one is refused in a sentence."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.decompiler.models import CIRCUITS, LINES, TOKENS
from tracrlab.decompiler.building import build
from tracrlab.decompiler.model_folder import load, save
from tracrlab.errors import TracrLabError
from tracrlab.files import sha256


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save(tmp_path / "run", build(TOKENS), TOKENS)
    return tmp_path / "run"


def change(folder, **entries):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@pytest.mark.parametrize(
    "description", [TOKENS, CIRCUITS, LINES], ids=["tokens", "circuits", "lines"]
)
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_round_trip(tmp_path, description, half):
    model = build(description)
    save(tmp_path, model, description, half=half)
    loaded, again = load(tmp_path)
    assert again == description
    assert not loaded.training
    for name, value in model.state_dict().items():
        expected = value.half().float() if half else value
        assert torch.equal(loaded.state_dict()[name], expected), name
    size = (tmp_path / "model.safetensors").stat().st_size
    numbers = sum(value.numel() for value in model.state_dict().values())
    assert size == pytest.approx((2 if half else 4) * numbers, rel=0.2)


def test_no_folder(tmp_path):
    with pytest.raises(TracrLabError, match=r"nowhere is no decompiler: it has no config.json"):
        load(tmp_path / "nowhere")


def test_another_schema(folder):
    change(folder, schema=99)
    with pytest.raises(TracrLabError, match="of schema 99 and this version reads schema 1"):
        load(folder)


def test_another_encoding(folder):
    change(folder, encodings={"tokens": "0123"})
    with pytest.raises(TracrLabError, match="another encoding of programs or weights"):
        load(folder)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"method": "guess"}, "its method is 'guess', which is none of lines, tokens"),
        ({"preset": "odd"}, "its preset is 'odd'"),
        ({"max_ops": 1000}, "its max_ops is 1000 and a program has 1 to 62 ops"),
        ({"limits": {}}, "its limits do not say max_tokens"),
        ({"sizes": TOKENS.sizes | {"width": 10**9}}, "its width is 1000000000, beyond"),
        ({"sizes": TOKENS.sizes | {"encoder_layers": 5000}}, "its encoder_layers is 5000"),
        ({"sizes": TOKENS.sizes | {"wings": 2}}, "sizes that no meta-model can have"),
        ({"sizes": TOKENS.sizes | {"heads": 5}}, "width is a multiple of heads"),
    ],
)
def test_what_cannot_be(folder, entries, said):
    change(folder, **entries)
    with pytest.raises(TracrLabError, match=said):
        load(folder)


def test_weights_of_another_configuration(folder):
    """Sizes far beyond the file are refused before anything of that size is allocated."""
    change(folder, sizes=TOKENS.sizes | {"width": 65536})
    with pytest.raises(TracrLabError, match="weights of another configuration"):
        load(folder)


def test_a_file_that_is_not_the_one(folder):
    other = build(TOKENS)
    save_file(other.state_dict(), folder / "model.safetensors")
    with pytest.raises(TracrLabError, match=r"is not the file that config.json beside it"):
        load(folder)


def test_damaged_files(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TracrLabError, match=r"model.safetensors is damaged"):
        load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(TracrLabError, match=r"config.json is damaged"):
        load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(folder, value):
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["encoder.norm.weight"][3] = value
    save_file(weights, path)
    change(folder, sha256=sha256(path))
    with pytest.raises(TracrLabError, match=r"has a encoder.norm.weight that is not finite"):
        load(folder)


def test_weights_too_large_for_half_precision(tmp_path):
    model = build(TOKENS)
    with torch.no_grad():
        model.encoder.norm.weight[0] = 1e6
    save(tmp_path / "whole", model, TOKENS)
    with pytest.raises(TracrLabError, match=r"encoder.norm.weight is not finite as float16"):
        save(tmp_path / "half", model, TOKENS, half=True)
    assert not (tmp_path / "half" / "model.safetensors").exists()
