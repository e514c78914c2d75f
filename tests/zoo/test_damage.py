"""Files that are missing, cut off, changed or of another kind."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracrlab.errors import TracrLabError
from tracrlab.zoo import load_manifest, read_rows, verify_shard


@pytest.fixture
def copy(zoo, tmp_path):
    shutil.copytree(zoo.folder, tmp_path / "zoo")
    return tmp_path / "zoo"


def shard_of(folder):
    return folder / "shards" / "00001.parquet"


def read_all(path):
    for row in read_rows(path):
        row.model  # noqa: B018


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TracrLabError, match=r"there is no file .*none\.parquet"):
        verify_shard(tmp_path / "none.parquet")
    with pytest.raises(TracrLabError, match=r"there is no manifest .*manifest\.json"):
        load_manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_shard_is_named(copy, part):
    path = shard_of(copy)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(TracrLabError, match=r"00001\.parquet is damaged"):
        read_all(path)


def test_a_flipped_byte_anywhere_in_a_shard_is_found_by_its_manifest(copy):
    path = shard_of(copy)
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), len(content) // 40):
        content[position] ^= 0x10
        path.write_bytes(content)
        with pytest.raises(TracrLabError, match=r"00001\.parquet .*has changed since"):
            list(load_manifest(copy / "manifest.json").checked_shards())
        content[position] ^= 0x10


def test_a_flipped_byte_in_the_data_is_found_without_a_manifest(copy):
    """Page checksums: what is computed from a changed page is never believed."""
    path = shard_of(copy)
    content = bytearray(path.read_bytes())
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    column = next(column for column in columns if column.path_in_schema.startswith("weights"))
    position = column.data_page_offset + column.total_compressed_size // 2
    content[position] ^= 0x01
    path.write_bytes(content)
    with pytest.raises(TracrLabError, match=r"00001\.parquet is damaged"):
        read_all(path)


def test_a_missing_or_resized_shard_is_named(copy):
    manifest = load_manifest(copy / "manifest.json")
    path = shard_of(copy)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(TracrLabError, match=r"00001\.parquet has [\d,]+ bytes and"):
        list(manifest.checked_shards())
    path.unlink()
    with pytest.raises(TracrLabError, match=r"00001\.parquet of .* is missing"):
        list(manifest.checked_shards())


def test_files_of_another_kind_version_or_format(copy, tmp_path):
    with pytest.raises(TracrLabError, match="holds 'selected', not 'zoo'"):
        verify_shard(copy / "selected" / "00000.parquet")
    plain = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"a": [1]}), plain)
    with pytest.raises(TracrLabError, match=r"plain\.parquet is damaged"):
        verify_shard(plain)
    table = pq.read_table(shard_of(copy))
    info = json.loads(pq.ParquetFile(shard_of(copy)).metadata.metadata[b"tracrlab"])
    for changed, message in (
        ({"schema_version": 99}, "schema version 99"),
        ({"kind": "programs"}, "holds 'programs', not 'zoo'"),
    ):
        meta = {b"tracrlab": json.dumps(info | changed).encode()}
        pq.write_table(table.replace_schema_metadata(meta), plain)
        with pytest.raises(TracrLabError, match=message):
            verify_shard(plain)
    meta = {b"tracrlab": json.dumps(info).encode()}
    pq.write_table(table.drop_columns(["labels"]).replace_schema_metadata(meta), plain)
    with pytest.raises(TracrLabError, match="does not have the columns"):
        verify_shard(plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema_version=99), "schema version 99"),
        (lambda c: c.pop("shards"), "is damaged"),
        (lambda c: c["shards"][0].pop("sha256"), "list of shards is malformed"),
        (lambda c: c["shards"][0].update(path="../../x.parquet"), "list of shards is malformed"),
        (lambda c: c["shards"][0].update(path="/x.parquet"), "list of shards is malformed"),
    ],
)
def test_a_wrong_manifest_is_named(copy, change, message):
    path = copy / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(TracrLabError, match=message):
        load_manifest(path)
    path.write_text("{")
    with pytest.raises(TracrLabError, match=r"manifest\.json is damaged"):
        load_manifest(path)
