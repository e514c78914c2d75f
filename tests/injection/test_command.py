"""The commands from a base model to tables and pictures, on a byte-level base made here."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from typer.testing import CliRunner

from tests.injection.tiny import gpt2
from tracrlab.cli import app
from tracrlab.errors import TracrLabError
from tracrlab.injection.model_folder import load_model, load_program, read_prompt
from tracrlab.injection.retention import classification
from tracrlab.injection.streams import StreamModel

PROMPT = "What is the number of 'X' in this text? x y x. Answer: "


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, for each letter with a blank in front, and for the wording of count."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", letter) for letter in "xyz"]
    names = [*letters, *("".join(merge) for merge in merges), "<end>"]
    model = BPE(vocab={name: number for number, name in enumerate(names)}, merges=merges)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(["What is the number of 'X' in this text?", ". Answer:"])
    tokenizer.add_tokens([" negative", " positive", " no", " yes"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a base model, text and data sets, and the configuration that names them."""
    folder = tmp_path_factory.mktemp("injection")
    tokenizer = byte_tokenizer()
    model = gpt2(layers=3, width=48, vocabulary=len(tokenizer))
    model.config.n_positions = 512
    model.transformer.wpe = torch.nn.Embedding(512, 48)
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    paragraphs = "\n\n".join(f"Paragraph {n} says little. " * 160 for n in range(8))
    (folder / "text.txt").write_text(paragraphs)
    (folder / "tiny_shakespeare.txt").write_text(paragraphs)
    rows = {
        "sst2": [{"sentence": "good", "label": 1}, {"sentence": "bad", "label": 0}],
        "mrpc": [{"sentence1": "a", "sentence2": "b", "label": 0}],
        "lambada": [{"text": "the cat sat on the mat"}],
    }
    for name, lines in rows.items():
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / f"{name}.jsonl").write_text(text + "\n")
    config = {
        "tasks": ["count"],
        "base": str(folder / "base"),
        "text": [str(folder / "text.txt")],
        "data": str(folder),
        "train_examples": 60,
        "test_examples": 20,
        "ood_examples": 5,
        "steps": 4,
        "batch": 4,
        "text_batch": 1,
        "text_length": 20,
        "text_places": 3,
        "text_windows": 10,
        "measure_steps": 2,
        "noise_norms": [0, 1],
    }
    (folder / "config.json").write_text(json.dumps({"injection": config}))
    return folder


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture(scope="module")
def injected(place):
    """The folder of a model that `tracrlab inject` wrote."""
    out = place / "count" / "interchange" / "0"
    config = place / "config.json"
    arguments = ["--method", "interchange", "--config", config, "--out", out / "model"]
    arguments += ["--losses", out / "losses.csv", "--timing", out / "timing.json"]
    run("inject", "count", *arguments)
    return out / "model"


def test_the_folder_is_an_ordinary_one(injected):
    model = AutoModelForCausalLM.from_pretrained(injected)
    tokenizer = AutoTokenizer.from_pretrained(injected)
    read = load_model(injected)
    tokens = torch.tensor([tokenizer.encode(PROMPT)])
    with torch.no_grad():
        theirs = model(tokens).logits
        ours = read.model.logits(read.model(tokens).hidden)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert read.linear_map.weight.shape == (len(read.alignment.directions), 48)
    assert load_program(injected).labels == read.labels
    assert not list(injected.parent.glob("*.safetensors"))  # the checkpoint is gone
    assert not [p for p in injected.rglob("*") if p.suffix in (".bin", ".pt", ".pkl")]


def test_losses_and_timing_are_written(injected):
    losses = pd.read_csv(injected.parent / "losses.csv")
    assert losses["step"].tolist() == [2, 4]
    assert np.isfinite(losses.to_numpy()).all()
    timing = json.loads((injected.parent / "timing.json").read_text())
    assert timing["steps"] == 4
    assert timing["step_seconds"] > 0


def test_a_prompt_is_read_as_the_task_writes_it(injected):
    read = load_model(injected)
    tokens, texts, symbols = read_prompt(read, PROMPT)
    assert texts[1:] == [" x", " y", " x", ". Answer:", " "]
    assert symbols == ["other", "x", "other", "x", "other", "compute"]
    assert len(tokens) == len(symbols)
    with pytest.raises(TracrLabError, match="does not end in ' '"):
        read_prompt(read, "What?")


def test_decode_prints_every_variable_at_every_token(injected, tmp_path):
    shown = run("decode", injected, PROMPT, "--out", tmp_path / "decoded.csv")
    table = pd.read_csv(tmp_path / "decoded.csv", keep_default_na=False)
    assert list(table.columns) == ["token", "tokens", "indices", "count", "written", "answer"]
    assert "answer" in shown
    assert len(table) == len(read_prompt(load_model(injected), PROMPT)[0])
    with pytest.raises(TracrLabError, match="layer is 9; the program was aligned with 0"):
        run("decode", injected, PROMPT, "--layer", 9)


def test_evaluate_measures_every_set_and_the_tables_hold_it(place, injected, tmp_path):
    config = place / "config.json"
    run("evaluate", injected, "--config", config, "--out", tmp_path / "ours.csv")
    run("evaluate", "--task", "count", "--config", config, "--out", tmp_path / "base.csv")
    ours = pd.read_csv(tmp_path / "ours.csv")
    assert ours["set"].tolist() == ["held_out", "x_only", "length_3x", "replace_y_by_z"]
    assert ours["count"].tolist() == [20, 5, 5, 5]
    assert ours["solved"].tolist() == [True, True, False, True]
    assert ours[["perplexity", "lambada", "sst2", "mrpc"]].notna().all(axis=None)
    assert ours["perplexity_text"].str.endswith("tiny_shakespeare.txt").all()
    outputs = ["--task-table", tmp_path / "task.csv", "--ood-table", tmp_path / "ood.md"]
    run("injection", "tables", tmp_path / "ours.csv", tmp_path / "base.csv", *outputs)
    table = pd.read_csv(tmp_path / "task.csv")
    assert table["method"].tolist() == ["no_edit", "interchange"]
    assert table["paper_accuracy"].tolist()[0] == 0.0
    assert "x_only" in (tmp_path / "ood.md").read_text()
    with pytest.raises(TracrLabError, match="--task says what"):
        run("evaluate", "--config", config, "--out", tmp_path / "x.csv")


def test_looking_into_a_model_writes_its_tables_and_pictures(place, injected, tmp_path):
    names = ("variables", "noise", "interchange")
    outputs = [part for name in names for part in (f"--{name}", tmp_path / f"{name}.csv")]
    run("injection", "look", injected, "--config", place / "config.json", *outputs)
    for name in names:
        out = tmp_path / f"{name}.png"
        run("figure", "injection", name, tmp_path / f"{name}.csv", "--out", out)
        assert out.stat().st_size > 1000
    for name in ("decoded", "streams"):
        out = tmp_path / f"{name}.svg"
        run("figure", "injection", name, injected, "--prompt", PROMPT, "--out", out)
        assert out.stat().st_size > 1000
    out = tmp_path / "losses.png"
    run("figure", "injection", "losses", injected.parent / "losses.csv", "--out", out)
    assert out.is_file()


def test_a_wrong_method_and_a_wrong_folder_are_named(place, tmp_path):
    with pytest.raises(TracrLabError, match="--method is 'magic'"):
        run("inject", "count", "--method", "magic", "--out", tmp_path / "x")
    with pytest.raises(TracrLabError, match="is no injected model"):
        run("decode", place / "base", PROMPT)


def test_a_damaged_model_is_named(injected, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(injected, broken)
    (broken / "injection.json").write_text("{")
    with pytest.raises(TracrLabError, match=r"the model in .* is damaged"):
        load_model(broken)


def test_words_that_begin_alike_are_refused():
    model, tokenizer = StreamModel(gpt2()), byte_tokenizer()
    with pytest.raises(TracrLabError, match="begin with the same token"):
        classification(model, tokenizer, ["x"], ("yes", "yet"), [0], 64)
