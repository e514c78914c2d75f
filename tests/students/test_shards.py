"""Zoos of students: from the standard zoo to shards, manifest and tables."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracrlab.config import load_config
from tracrlab.errors import TracrLabError
from tracrlab.sealing import BLANK_SEAL, seal
from tracrlab.students.loss_table import LOSSES, loss_table
from tracrlab.students.outcomes import STORED, load_outcomes, summary
from tracrlab.students.selecting import select_teachers
from tracrlab.students.shards import make_shard, write_student_manifest
from tracrlab.zoo import load_manifest, read_rows, verify_shard
from tracrlab.zoo.building import build_shard
from tracrlab.zoo.manifest import write_manifest
from tracrlab.zoo.sampling import sample_shard
from tracrlab.zoo.schema import SCHEMA_VERSION, open_parquet
from tracrlab.zoo.selecting import select_programs

TRAINING = {"steps": 40, "chunk": 20, "lanes": 2, "pool": 64, "batch": 16}
STUDENTS = {"models": 6, "shard_size": 4, "ratio": 0.9, "ops": [3, 4], "training": TRAINING}
SETTINGS = {
    "zoo": {"programs": 12, "ops": [3, 5], "vocab": 3, "max_seq_len": 4, "shard_size": 12},
    "students": {
        "compressed": STUDENTS,
        "natural": STUDENTS,
        "loss_table": {"programs": 2, "ops": [3, 5], "steps": 20},
    },
}


@pytest.fixture(scope="module")
def config():
    return load_config(SETTINGS)


@pytest.fixture(scope="module")
def standard(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("standard")
    programs = [folder / f"programs{number}.parquet" for number in range(config.zoo.program_shards)]
    for number, path in enumerate(programs):
        sample_shard(config, number, path)
    select_programs(config, programs, [folder / "selected.parquet"])
    build_shard(config, folder / "selected.parquet", folder / "shard.parquet")
    manifest = folder / "manifest.json"
    write_manifest(config, [folder / "selected.parquet"], [folder / "shard.parquet"], manifest)
    return manifest


def zoo_of(config, kind, standard, folder):
    teachers = [folder / f"teachers{number}.parquet" for number in range(2)]
    shards = [folder / f"shard{number}.parquet" for number in range(2)]
    select_teachers(config, kind, standard, teachers)
    for listed, shard in zip(teachers, shards, strict=True):
        make_shard(config, kind, listed, shard)
    write_student_manifest(config, kind, standard, teachers, shards, folder / "manifest.json")
    return folder / "manifest.json"


@pytest.fixture(scope="module", params=["compressed", "natural"])
def zoo(request, config, standard, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, zoo_of(config, request.param, standard, folder)


def test_every_teacher_is_counted_and_only_accepted_students_are_stored(zoo):
    kind, path = zoo
    manifest = load_manifest(path)
    counts = manifest.content["students"]
    assert manifest.content["kind"] == kind
    assert counts["attempted"] == 6
    stored = sum(counts["by_outcome"].get(name, 0) for name in STORED)
    assert manifest.rows == stored
    left_out = manifest.content["teachers"]["left_out"]
    assert set(left_out) <= {"ops", "d_model", "mlp_hidden"}
    assert manifest.rows > 0


def test_stored_students_verify_from_their_file_alone(zoo):
    for shard in load_manifest(zoo[1]).checked_shards():
        assert verify_shard(shard, None).failures == ()
        for row in read_rows(shard):
            assert row["accuracy"] >= 0.9
            assert row["loss"] <= 0.05
            assert row["exact"] == (row["accuracy"] == 1)
            assert row["d_model"] == -(-9 * row["teacher_d_model"] // 10)
            assert len(row["readout"]) == row["d_model"] * row["teacher_d_model"]
            assert 3 <= row["n_ops"] <= 4


def test_refined_rows_say_so_and_verify(standard, tmp_path):
    compressed = STUDENTS | {
        "models": 4,
        "ratio": 0.5,
        "refinement": {"steps": 200},
        "training": TRAINING | {"steps": 20},
    }
    config = load_config(SETTINGS | {"students": {"compressed": compressed}})
    select_teachers(config, "compressed", standard, [tmp_path / "teachers.parquet"])
    make_shard(config, "compressed", tmp_path / "teachers.parquet", tmp_path / "shard.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard.parquet", "teachers.parquet"]
    _, info = open_parquet(tmp_path / "shard.parquet", "zoo")
    assert verify_shard(tmp_path / "shard.parquet", None).failures == ()
    rows = [row for row in read_rows(tmp_path / "shard.parquet") if row["refined"]]
    assert len(rows) == sum(
        count for *_, outcome, count in info.counts["outcomes"] if outcome.endswith("_refined")
    )
    assert rows
    for row in rows:
        assert 20 <= row["steps"] <= 220
        assert min(row["mlp_hidden"]) >= 32, "a refined student has the layers of a natural one"
        assert row["d_model"] == -(-row["teacher_d_model"] // 2)


def test_a_finished_shard_leaves_no_checkpoint(zoo):
    assert not list(zoo[1].parent.glob("*.checkpoint*"))


def test_a_second_run_gives_the_same_bytes(config, standard, zoo, tmp_path):
    kind, path = zoo
    again = zoo_of(config, kind, standard, tmp_path)
    assert again.read_bytes() == path.read_bytes()


def test_a_student_that_claims_too_much_fails_its_verification(config, standard, tmp_path):
    path = zoo_of(config, "natural", standard, tmp_path)
    shard = load_manifest(path).shard_paths()[0]
    table = pq.read_table(shard)
    broken = [[0.0] * len(row) for row in table["weights"].to_pylist()]
    column = table.schema.get_field_index("weights")
    field = table.schema.field(column)
    table = table.set_column(column, field, pa.array(broken, field.type))
    _, info = open_parquet(shard, "zoo")
    pq.write_table(table.replace_schema_metadata(info.schema.metadata), shard)
    seal(shard)
    assert len(verify_shard(shard, None).failures) == table.num_rows


def test_a_shard_of_other_teachers_is_named(config, standard, tmp_path):
    zoo_of(config, "compressed", standard, tmp_path)
    teachers = [tmp_path / f"teachers{number}.parquet" for number in range(2)]
    shards = [tmp_path / f"shard{number}.parquet" for number in range(2)]
    arguments = (config, "compressed", standard, teachers)
    with pytest.raises(TracrLabError, match=r"shard1\.parquet was not made from .*teachers0"):
        write_student_manifest(*arguments, shards[::-1], tmp_path / "other.json")
    shards[1].unlink()
    with pytest.raises(TracrLabError, match=r"shard1\.parquet"):
        write_student_manifest(*arguments, shards, tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()


def test_teachers_of_a_shard_are_ordered_by_shape(config, standard, tmp_path):
    select_teachers(config, "natural", standard, [tmp_path / "a.parquet", tmp_path / "b.parquet"])
    rows = []
    for name in ("a", "b"):
        file, _ = open_parquet(tmp_path / f"{name}.parquet", "teachers")
        rows += [(row["shape"], row["id"]) for row in file.read().to_pylist()]
    assert len(rows) == 6
    assert rows == sorted(rows)


def test_a_zoo_without_a_teacher_that_fits(config, standard, tmp_path):
    narrow = load_config(SETTINGS | {"students": {"natural": {"ops": [9, 9]}}})
    with pytest.raises(TracrLabError, match=r"has 9 to 9 ops .* widen students\.natural"):
        select_teachers(narrow, "natural", standard, [tmp_path / "a.parquet"])
    with pytest.raises(TracrLabError, match="'tiny' is not a kind of students"):
        select_teachers(narrow, "tiny", standard, [tmp_path / "a.parquet"])


def test_outcomes_by_hand(tmp_path):
    content = {
        "checksum": BLANK_SEAL,
        "schema_version": SCHEMA_VERSION,
        "kind": "natural",
        "shards": [],
        "students": {
            "columns": ["n_ops", "width", "outcome", "count"],
            "outcomes": [
                [3, 8, "exact", 4],
                [3, 8, "exact_refined", 2],
                [3, 9, "accuracy", 2],
                [4, 9, "accepted", 1],
                [4, 9, "accepted_refined", 1],
            ],
        },
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(content))
    seal(path)
    table = summary(load_outcomes([path])).set_index("n_ops")
    assert table.loc["3", ["attempted", "stored", "exact"]].tolist() == [8, 0.75, 0.75]
    assert table.loc["4", ["attempted", "stored", "exact"]].tolist() == [2, 1.0, 0.0]
    assert table.loc["all", "attempted"] == 10
    assert table.loc["3", ["exact_refined", "stored_refined"]].tolist() == [0.25, 0.25]
    assert table.loc["4", ["exact_refined", "stored_refined"]].tolist() == [0, 0.5]
    assert table.loc["all", "stored"] == pytest.approx(0.8)
    assert table.loc["all", "refused_accuracy"] == pytest.approx(0.2)


def test_outcomes_of_a_standard_zoo(standard):
    with pytest.raises(TracrLabError, match="manifest of a standard zoo, not of students"):
        load_outcomes([standard])


def test_the_loss_table_has_every_figure_of_the_thesis():
    assert len(LOSSES) == 9
    best = max(LOSSES, key=lambda loss: loss.accuracy)
    assert (best.output, best.combine, best.samples) == ("cross_entropy", "sum", "vocabulary")
    combined = next(loss for loss in LOSSES if loss.samples == "combined")
    assert (combined.accuracy, combined.loss) == ((87.0, 20.0), (0.31, 0.59))


def test_the_loss_table(config, standard):
    chosen = [loss for loss in LOSSES if loss.samples == "combined" or loss.layer == "l1"]
    table = loss_table(config, standard, chosen)
    assert table["samples"].tolist() == ["vocabulary", "combined"]
    assert table["programs"].tolist() == [2, 2]
    assert table["accuracy_mean"].between(0, 100).all()
    assert (table["loss_mean"] > 0).all()
    assert table["thesis_accuracy_mean"].tolist() == [67.8, 87.0]
