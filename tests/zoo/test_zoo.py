"""The steps of a zoo: what is in the files, and that neither shards nor jobs change it."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.zoo.conftest import ZOO, make_zoo
from tracrlab.compiler import compile_table, verify
from tracrlab.config import load_config
from tracrlab.errors import TracrLabError
from tracrlab.rasp import Domain, evaluate
from tracrlab.rasp.library import held_out_programs
from tracrlab.rasp.sampler import sample
from tracrlab.sealing import seal
from tracrlab.sections.zoo import Splits
from tracrlab.zoo import load_manifest, read_rows, verify_shard
from tracrlab.zoo.sampling import held_out_behaviours, sample_shard, sampler_settings
from tracrlab.zoo.schema import ZOO_SCHEMA
from tracrlab.zoo.selecting import select_programs, split_of
from tracrlab.zoo.statistics import load_rows


def all_rows(zoo):
    return [row for path in zoo.shards for row in read_rows(path)]


def test_rows_are_the_sampled_programs_and_their_weights(zoo):
    rows = all_rows(zoo)
    settings = sampler_settings(zoo.config)
    assert len(rows) == 50
    for row in rows:
        assert row.program == sample(settings, zoo.config.seed, row["id"]).program
        table = evaluate(row.program, row.domain)
        fresh = compile_table(table)
        model = row.model
        assert model.architecture == fresh.architecture
        assert model.labels == fresh.labels
        for name, weight in fresh.weights.items():
            assert np.array_equal(model.weights[name], weight)
        assert verify(model, table, None).passed
        assert row["text"] == row.program.text()
        assert row["verified_inputs"] == min(256, len(row.domain.codes))


def test_no_two_rows_behave_alike_and_none_like_a_library_program(zoo):
    behaviours = [row["behaviour"] for row in all_rows(zoo)]
    assert len(set(behaviours)) == len(behaviours)
    domain = Domain((0, 1, 2), 4)
    held_out = {evaluate(p, domain).behaviour for p in held_out_programs((0, 1, 2), 4)}
    assert len(held_out) > 10
    assert held_out == held_out_behaviours(sampler_settings(zoo.config))
    assert not held_out & set(behaviours)


def test_held_out_programs_are_refused_where_the_sampler_finds_them(zoo):
    found = 0
    settings = sampler_settings(zoo.config)
    held_out = held_out_behaviours(settings)
    for index in range(zoo.config.zoo.candidates):
        found += sample(settings, 0, index).table.behaviour in held_out
    counts = load_manifest(zoo.manifest).content["sampling"]["refused_programs"]
    assert counts.get("held out", 0) == found


def test_splits_are_cut_by_behaviour():
    splits = Splits(train=0.5, validation=0.25, test=0.25)
    assert split_of("0" * 32, splits) == "train"
    assert split_of("7" + "f" * 11 + "0" * 20, splits) == "train"
    assert split_of("8" + "0" * 31, splits) == "validation"
    assert split_of("c" + "0" * 31, splits) == "test"
    assert split_of("f" * 32, splits) == "test"


def test_any_shard_size_gives_the_same_rows(zoo, tmp_path):
    other = make_zoo(tmp_path, shard_size=40)
    assert len(other.shards) != len(zoo.shards)
    for mine, theirs in zip(all_rows(zoo), all_rows(other), strict=True):
        left, right = dict(mine.columns), dict(theirs.columns)
        assert np.array_equal(left.pop("weights"), right.pop("weights"))
        assert left == right


def test_a_second_run_writes_the_same_bytes(zoo, tmp_path):
    again = make_zoo(tmp_path)
    for mine, theirs in zip(
        [*zoo.programs, *zoo.selected, *zoo.shards, zoo.manifest],
        [*again.programs, *again.selected, *again.shards, again.manifest],
        strict=True,
    ):
        assert mine.read_bytes() == theirs.read_bytes()


def test_manifest_counts_and_checks(zoo):
    manifest = load_manifest(zoo.manifest)
    content = manifest.content
    assert manifest.rows == 50 == sum(content["splits"].values())
    assert sum(content["rows_by_ops"].values()) == 50
    assert [shard["rows"] for shard in content["shards"]] == [20, 20, 10]
    sampling = content["sampling"]
    refused = sum(sampling["refused_programs"].values())
    assert sampling["sampled"] == zoo.config.zoo.candidates == 50 + refused + sampling["surplus"]
    assert list(manifest.checked_shards()) == zoo.shards


def test_every_row_verifies_from_the_file_alone(zoo):
    for path in zoo.shards:
        report = verify_shard(path, None)
        assert report.failures == ()
        assert report.rows * len(Domain((0, 1, 2), 4).codes) == report.inputs


def test_verify_finds_a_wrong_weight_and_a_wrong_label(zoo, tmp_path):
    table = pq.read_table(zoo.shards[0])
    rows = table.to_pylist()
    position = int(np.argmax(np.abs(rows[3]["weights"])))
    rows[3]["weights"][position] = -rows[3]["weights"][position]
    rows[5]["behaviour"] = "0" * 32
    rows[7]["text"] = rows[8]["text"]
    rows[9]["weights"] = rows[9]["weights"][:-1]
    rows[11]["weights"][0] = float("nan")
    changed = tmp_path / "changed.parquet"
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), changed)
    meta = pq.ParquetFile(zoo.shards[0]).metadata.metadata
    meta = {key: meta[key] for key in (b"tracrlab", b"tracrlab_checksum")}
    pq.write_table(pq.read_table(changed).replace_schema_metadata(meta), changed)
    seal(changed)
    failures = verify_shard(changed).failures
    ids = [rows[number]["id"] for number in (3, 5, 7, 9, 11)]
    assert [int(failure.split()[1].rstrip(":")) for failure in failures] == ids
    assert "the program gives" in failures[0]
    assert "behaviour hash" in failures[1]
    assert "text and its token ids" in failures[2]
    assert "this architecture has" in failures[3]
    assert "not finite" in failures[4]


def test_too_few_distinct_programs_says_how_much_more_to_sample(tmp_path):
    few = {"programs": 80, "shard_size": 80, "oversample": 1.0, "ops": [3, 3]}
    config = load_config({"zoo": ZOO | few})
    sample_shard(config, 0, tmp_path / "p.parquet")
    with pytest.raises(TracrLabError, match=r"raise zoo\.oversample to about 1\.\d"):
        select_programs(config, [tmp_path / "p.parquet"], [tmp_path / "s.parquet"])
    assert not (tmp_path / "s.parquet").exists()


def test_size_limits_refuse_programs_and_count_them(tmp_path):
    limits = {"d_model": 18, "mlp_hidden": 1024, "weights": 500_000}
    config = load_config({"zoo": ZOO | {"shard_size": 20, "limits": limits}})
    sample_shard(config, 0, tmp_path / "p.parquet")
    file = pq.ParquetFile(tmp_path / "p.parquet")
    counts = json.loads(file.metadata.metadata[b"tracrlab"])["counts"]
    assert counts["refused_programs"]["too large"] > 0
    refused = sum(counts["refused_programs"].values())
    assert file.metadata.num_rows == 20 - refused


def test_datasets_reads_the_shards(zoo, tmp_path):
    datasets = pytest.importorskip("datasets")
    dataset = datasets.load_dataset(
        "parquet",
        data_files=[str(path) for path in zoo.shards],
        split="train",
        cache_dir=str(tmp_path),
    )
    assert dataset.num_rows == 50
    assert dataset.column_names == ZOO_SCHEMA.names
    row = next(iter(read_rows(zoo.shards[0])))
    assert np.array_equal(np.array(dataset[0]["weights"], dtype=np.float32), row["weights"])


def test_statistics_describe_every_row(zoo):
    frame, rejections, proposed = load_rows(zoo.manifest)
    assert len(frame) == 50
    first, row = frame.iloc[0], next(iter(read_rows(zoo.shards[0])))
    assert first["ops"] == [op.kind for op in row.program.ops]
    assert first["weights"] == len(row["weights"])
    assert first["heads"] == sum(row["heads"])
    counts = load_manifest(zoo.manifest).content["sampling"]
    assert rejections["constant"] == counts["rejected_ops"]["constant"]
    assert proposed > counts["ops"] > 0
    assert len(load_rows(zoo.manifest, max_rows=7)[0]) == 7
