"""A small zoo, made once."""

from types import SimpleNamespace

import pytest

from tracrlab.config import load_config
from tracrlab.zoo.building import build_shard
from tracrlab.zoo.manifest import write_manifest
from tracrlab.zoo.sampling import sample_shard
from tracrlab.zoo.selecting import select_programs

ZOO = {
    "programs": 50,
    "shard_size": 20,
    "oversample": 1.6,
    "ops": [3, 5],
    "vocab": 3,
    "max_seq_len": 4,
    "splits": {"train": 0.6, "validation": 0.2, "test": 0.2},
}


def make_zoo(folder, **changes):
    """Runs every step of a zoo into a folder."""
    config = load_config({"zoo": ZOO | changes})
    programs = [folder / f"programs/{k:05d}.parquet" for k in range(config.zoo.program_shards)]
    selected = [folder / f"selected/{k:05d}.parquet" for k in range(config.zoo.shards)]
    shards = [folder / f"shards/{k:05d}.parquet" for k in range(config.zoo.shards)]
    for number, path in enumerate(programs):
        sample_shard(config, number, path)
    select_programs(config, programs, selected)
    for source, out in zip(selected, shards, strict=True):
        build_shard(config, source, out)
    write_manifest(config, selected, shards, folder / "manifest.json")
    return SimpleNamespace(
        config=config,
        folder=folder,
        programs=programs,
        selected=selected,
        shards=shards,
        manifest=folder / "manifest.json",
    )


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"))
