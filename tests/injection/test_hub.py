"""Data sets from local files and through `datasets`, and what happens without a network."""

import json
import socket
import time

import pytest

from tracrlab.errors import TracrLabError
from tracrlab.injection import hub
from tracrlab.injection.hub import (
    DATA_SETS,
    HubUnreachableError,
    hub_answers,
    load_data_set,
    load_rows,
    require_hub,
)

ROWS = {
    "sst2": [{"sentence": "a fine film", "label": 1}, {"sentence": "dull", "label": 0}],
    "mrpc": [{"sentence1": "It rains.", "sentence2": "Rain falls.", "label": 1}],
    "lambada": [{"text": "He gave her the ring"}],
    "tiny_shakespeare": [{"text": "First Citizen: Before we proceed"}],
}


@pytest.fixture
def no_network(monkeypatch):
    """A hub at a port where nothing listens."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.mark.parametrize("name", DATA_SETS)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_local_files_of_the_same_columns(tmp_path, no_network, name, suffix):
    import pandas as pd

    path = tmp_path / f"{name}{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(row | {"idx": 7}) + "\n" for row in ROWS[name]))
    elif suffix == ".csv":
        pd.DataFrame(ROWS[name]).to_csv(path, index=False)
    else:
        pd.DataFrame(ROWS[name]).to_parquet(path)
    found = load_data_set(name, tmp_path)
    assert found.rows == ROWS[name]
    assert found.source == str(path)


def test_a_text_file_is_one_row(tmp_path):
    (tmp_path / "tiny_shakespeare.txt").write_text("First Citizen:\nBefore")
    assert load_data_set("tiny_shakespeare", tmp_path).rows == [{"text": "First Citizen:\nBefore"}]


def test_without_file_and_network_there_is_none(tmp_path, no_network):
    start = time.monotonic()
    assert load_data_set("sst2", tmp_path) is None
    assert time.monotonic() - start < 10


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "mrpc.jsonl").write_text('{"sentence1": "a", "label": 0}\n')
    with pytest.raises(TracrLabError, match=r"mrpc\.jsonl has no column 'sentence2'; it has sent"):
        load_data_set("mrpc", tmp_path)


def test_a_file_without_rows_is_named(tmp_path):
    (tmp_path / "sst2.jsonl").write_text("")
    with pytest.raises(TracrLabError, match=r"sst2\.jsonl has no rows"):
        load_data_set("sst2", tmp_path)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "sst2.jsonl").write_text('{"sentence": ')
    with pytest.raises(TracrLabError, match=r"sst2\.jsonl cannot be read as a table"):
        load_data_set("sst2", tmp_path)


def test_an_unknown_data_set_is_named():
    with pytest.raises(TracrLabError, match="there is no data set 'cola'; give one of sst2"):
        load_data_set("cola")


def test_rows_come_through_datasets(tmp_path, monkeypatch):
    """The loading code itself, on a folder that `datasets` takes in place of a name."""
    import datasets

    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS["sst2"]))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    assert load_rows(str(folder), None, "train", None) == ROWS["sst2"]
    assert load_rows(str(folder), None, "train", 1) == ROWS["sst2"][:1]
    with pytest.raises(TracrLabError, match="cannot be loaded"):
        load_rows(str(folder), None, "test", None)


def test_a_silent_hub_is_given_up_after_seconds(monkeypatch):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(hub, "PATIENCE", 0.3)
        start = time.monotonic()
        assert not hub_answers()
        assert time.monotonic() - start < 5


def test_offline_mode_asks_nobody(no_network, monkeypatch):
    with pytest.raises(HubUnreachableError, match="the model x is not on this machine"):
        require_hub("the model x")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    require_hub("the model x")
