"""An exported zoo: what `datasets` loads is what the zoo holds, and the card counts it right."""

import json
from collections import Counter

import datasets
import numpy as np
import pytest
import yaml

from tests.zoo.conftest import make_zoo
from tracrlab.errors import TracrLabError
from tracrlab.exporting.dataset_card import size_category
from tracrlab.exporting.dataset_folder import write_dataset
from tracrlab.zoo import load_manifest, read_rows, verify_shard


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    zoo = make_zoo(folder / "zoo")
    counts = write_dataset(zoo.manifest, folder / "dataset", name="small", licence="cc0-1.0")
    return zoo, folder / "dataset", counts


@pytest.fixture(scope="module")
def loaded(exported, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return datasets.load_dataset(str(exported[1]), cache_dir=str(cache))


def test_load_dataset_gives_every_row_in_its_split(exported, loaded):
    rows = {row["id"]: row for shard in exported[0].shards for row in read_rows(shard)}
    assert set(loaded) == {"train", "validation", "test"}
    seen = set()
    for split, table in loaded.items():
        for found in table:
            wanted = rows[found["id"]]
            seen.add(found["id"])
            assert found["split"] == split
            assert found["text"] == wanted["text"]
            np.testing.assert_array_equal(found["weights"], wanted["weights"])
    assert seen == rows.keys()


def test_tracrlab_reads_and_verifies_it_as_a_zoo(exported):
    manifest = load_manifest(exported[1] / "manifest.json")
    reports = [verify_shard(shard) for shard in manifest.checked_shards()]
    assert sum(report.rows for report in reports) == manifest.rows == 50
    assert not any(report.failures for report in reports)


def test_the_card_counts_what_is_there(exported, loaded):
    card = (exported[1] / "README.md").read_text()
    _, header, text = card.split("---\n", 2)
    about = yaml.safe_load(header)
    assert about["license"] == "cc0-1.0"
    assert about["size_categories"] == ["n<1K"]
    assert [entry["split"] for entry in about["configs"][0]["data_files"]] == list(loaded)
    lengths = Counter(length for table in loaded.values() for length in table["n_ops"])
    for length, count in lengths.items():
        by_split = [list(table["n_ops"]).count(length) for table in loaded.values()]
        assert f"| {length} | {' | '.join(map(str, by_split))} | {count} |" in text
    inputs = sum(sum(table["verified_inputs"]) for table in loaded.values())
    assert f"{inputs:,} inputs in all" in text
    assert "Every row is right at every position" in text
    assert exported[2].exact == 50


def test_files_end_at_their_size(exported, tmp_path):
    write_dataset(exported[0].manifest, tmp_path / "cut", file_bytes=1)
    entries = json.loads((tmp_path / "cut" / "manifest.json").read_text())["shards"]
    assert sum(entry["rows"] for entry in entries) == 50
    assert "data/train-00001.parquet" in [entry["path"] for entry in entries]
    assert not list((tmp_path / "cut").rglob("*.partial"))


@pytest.mark.parametrize(
    ("rows", "name"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (900_000, "100K<n<1M"), (10**9, "100M<n<1B")],
)
def test_size_categories(rows, name):
    assert size_category(rows) == name


def test_a_folder_that_is_not_empty_is_left_alone(exported, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(TracrLabError, match="not an empty folder"):
        write_dataset(exported[0].manifest, tmp_path)


def test_a_changed_shard_stops_it_and_leaves_no_manifest(tmp_path):
    zoo = make_zoo(tmp_path / "zoo")
    content = bytearray(zoo.shards[-1].read_bytes())
    content[len(content) // 2] ^= 1
    zoo.shards[-1].write_bytes(content)
    with pytest.raises(TracrLabError, match="has changed"):
        write_dataset(zoo.manifest, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not list((tmp_path / "out").rglob(".*"))
