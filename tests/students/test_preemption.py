"""Students whose training is stopped or killed at a random moment are those left alone."""

import pytest

from tests.preemption import check_stopped_and_then_killed, command
from tracrlab.config import load_config
from tracrlab.students.selecting import select_teachers
from tracrlab.zoo.building import build_shard
from tracrlab.zoo.manifest import write_manifest
from tracrlab.zoo.sampling import sample_shard
from tracrlab.zoo.selecting import select_programs

pytestmark = pytest.mark.slow

CONFIG = {
    "zoo": {"programs": 6, "ops": [3, 4], "vocab": 3, "max_seq_len": 4, "shard_size": 12},
    "students": {
        "compressed": {
            "models": 3,
            "shard_size": 3,
            "ratio": 0.6,
            "ops": [3, 4],
            "target_loss": 1e-9,
            "training": {"steps": 1500, "chunk": 50, "lanes": 2, "pool": 64, "batch": 16},
        }
    },
}


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """A file of teachers, from a zoo of their own."""
    folder = tmp_path_factory.mktemp("teachers")
    config = load_config(CONFIG)
    sample_shard(config, 0, folder / "programs.parquet")
    select_programs(config, [folder / "programs.parquet"], [folder / "selected.parquet"])
    build_shard(config, folder / "selected.parquet", folder / "shard.parquet")
    standard = folder / "manifest.json"
    write_manifest(config, [folder / "selected.parquet"], [folder / "shard.parquet"], standard)
    select_teachers(config, "compressed", standard, [folder / "teachers.parquet"])
    return folder / "teachers.parquet"


def test_stopped_and_then_killed_it_ends_with_the_same_bytes(teachers, tmp_path):
    def command_in(folder):
        words = ["students", "make", "compressed", teachers, "--out", folder / "out/shard.parquet"]
        return command(words, CONFIG, folder)

    check_stopped_and_then_killed(command_in, tmp_path)
