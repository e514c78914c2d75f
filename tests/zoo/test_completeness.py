"""Steps that read other jobs' files say which one is missing, cut off, or not the one they want."""

import shutil

import pyarrow.parquet as pq
import pytest

from tracrlab.config import load_config
from tracrlab.errors import TracrLabError
from tracrlab.sealing import seal
from tracrlab.zoo.manifest import write_manifest
from tracrlab.zoo.sampling import sample_shard
from tracrlab.zoo.selecting import select_programs


class Copy:
    """A copy of the zoo, and the two steps that read what many jobs wrote."""

    def __init__(self, zoo, folder):
        shutil.copytree(zoo.folder, folder)
        self.config, self.folder = zoo.config, folder
        self.programs, self.selected, self.shards = (
            [folder / path.relative_to(zoo.folder) for path in paths]
            for paths in (zoo.programs, zoo.selected, zoo.shards)
        )

    def select(self):
        select_programs(self.config, self.programs, self.selected)

    def manifest(self):
        write_manifest(self.config, self.selected, self.shards, self.folder / "manifest.json")


@pytest.fixture
def copy(zoo, tmp_path):
    return Copy(zoo, tmp_path / "zoo")


def keep_rows(path, count):
    """Writes the file again with its first rows only: a good Parquet file that is not all of it."""
    meta = pq.ParquetFile(path).metadata.metadata
    meta = {key: meta[key] for key in (b"tracrlab", b"tracrlab_checksum")}
    table = pq.read_table(path).slice(0, count).replace_schema_metadata(meta)
    pq.write_table(table, path, write_page_checksum=True)
    seal(path)


def test_whole_files_pass_and_give_the_same_bytes(copy, zoo):
    copy.select()
    copy.manifest()
    for made, first in zip([*copy.selected], [*zoo.selected], strict=True):
        assert made.read_bytes() == first.read_bytes()
    assert (copy.folder / "manifest.json").read_bytes() == zoo.manifest.read_bytes()


def test_missing_files_are_counted_and_named(copy):
    copy.programs[1].unlink()
    with pytest.raises(
        TracrLabError, match=r"^1 of 4 files of sampled .*again: \S*00001\.parquet$"
    ):
        copy.select()
    copy.shards[0].unlink()
    copy.shards[2].unlink()
    with pytest.raises(
        TracrLabError, match=r"^2 of 3 shards are .*00000\.parquet, .*00002\.parquet"
    ):
        copy.manifest()
    copy.selected[0].unlink()
    with pytest.raises(TracrLabError, match=r"^1 of 3 files of selected programs are missing"):
        copy.manifest()


def test_a_sampled_file_with_too_few_rows(copy):
    keep_rows(copy.programs[2], 5)
    with pytest.raises(TracrLabError, match=r"00002\.parquet has 5 rows and .* it is not whole"):
        copy.select()


def test_a_sampled_file_of_another_shard_or_size(copy):
    first, second = copy.programs[:2]
    shutil.copy(second, first)
    with pytest.raises(
        TracrLabError, match=r"00000\.parquet holds the candidates of another shard"
    ):
        copy.select()
    values = copy.config.model_dump(mode="json")
    values["zoo"]["shard_size"] = 10
    sample_shard(load_config(values), 0, first)
    with pytest.raises(TracrLabError, match=r"from 10 candidates and zoo\.shard_size is 20"):
        copy.select()


@pytest.mark.parametrize("name", ["programs", "shards"])
def test_a_cut_off_file(copy, name):
    path = getattr(copy, name)[1]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TracrLabError, match=r"00001\.parquet is damaged"):
        copy.select() if name == "programs" else copy.manifest()


def test_a_changed_weight_is_found_before_its_checksum_is_written(copy):
    path = copy.shards[1]
    content = bytearray(path.read_bytes())
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    column = next(column for column in columns if column.path_in_schema.startswith("weights"))
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 0x01
    path.write_bytes(content)
    with pytest.raises(TracrLabError, match=r"00001\.parquet is damaged"):
        copy.manifest()


def test_a_shard_with_too_few_or_other_rows(copy):
    shutil.copy(copy.shards[1], copy.shards[0])
    with pytest.raises(TracrLabError, match=r"shards/00000\.parquet holds other programs than"):
        copy.manifest()
    keep_rows(copy.shards[0], 7)
    with pytest.raises(TracrLabError, match=r"00000\.parquet has 7 rows and .* selects 20"):
        copy.manifest()


def test_a_selected_file_with_too_few_rows(copy):
    keep_rows(copy.selected[2], 3)
    with pytest.raises(TracrLabError, match=r"00002\.parquet has 3 rows and .* make 10"):
        copy.manifest()
