"""The settings of a profile, and the values that its expressions can take."""

from pathlib import Path

import pytest
import yaml

from tracrlab.cluster.settings import (
    DEFAULT_RULE,
    from_profile,
    possible_values,
    read_partition_file,
    rule_names,
)
from tracrlab.errors import TracrLabError

PROFILE = Path(__file__).parents[2] / "profiles" / "slurm"


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (2, {2}),
        ("cpu", {"cpu"}),
        ("gpu-a40", {"gpu-a40"}),
        ("cpu,long queue", {"cpu,long queue"}),
        ("1500 * attempt", {1500, 3000, 4500}),
        ("min(60 * attempt, 120)", {60, 120}),
        ("'a100' if attempt > 1 or input.size_mb > 2000 else 'a40'", {"a100", "a40"}),
        ("'b' if attempt == 1 else 'c' if attempt == 2 else 'd'", {"b", "c", "d"}),
        ("max(100, input.size_mb)", set()),
        (None, set()),
    ],
)
def test_the_values_that_a_resource_can_take(raw, values):
    assert possible_values(raw, [1, 2, 3]) == values


def test_the_delivered_profile_is_read():
    settings = from_profile(PROFILE)
    assert settings == from_profile(PROFILE / "config.yaml")
    assert settings.status_command == "squeue"
    assert settings.array_rules >= {"sample_programs", "build_shard"}
    assert settings.is_array("build_shard")
    assert not settings.is_array("select_programs")
    assert settings.values("inject", "gpu_model") == {"a40", "a100"}
    assert settings.values("sample_programs", "mem_mb") == {1500, 3000, 4500}
    assert settings.values(DEFAULT_RULE, "runtime") == {60, 120, 180}
    assert settings.partition_file == PROFILE / "partitions.yaml"
    assert sorted(read_partition_file(settings.partition_file)) == ["a100", "a40", "cpu"]
    assert settings.capped == frozenset()


def test_every_rule_of_the_workflow_escalates_in_the_delivered_profile():
    settings = from_profile(PROFILE)
    for rule in settings.resources:
        assert len(settings.values(rule, "mem_mb")) == settings.retries + 1, rule


def test_rules_are_split_as_the_plugin_splits_them():
    assert rule_names(" a, b;c,") == {"a", "b", "c"}
    assert rule_names(None) == frozenset()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"executor": "local"}, r"executor is 'local', but a SLURM profile has 'slurm'"),
        ({"jobs": "many"}, r"jobs is 'many', but it takes a whole number"),
        ({"slurm-array-limit": True}, r"slurm-array-limit is True, but it takes a whole number"),
    ],
)
def test_a_wrong_profile_ends_in_one_sentence(tmp_path, change, message):
    values = yaml.safe_load((PROFILE / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values | change))
    with pytest.raises(TracrLabError, match=message):
        from_profile(tmp_path)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(TracrLabError, match=r"there is no file .*none"):
        from_profile(tmp_path / "none")
    (tmp_path / "config.yaml").write_text("{")
    with pytest.raises(TracrLabError, match=r"config\.yaml cannot be read"):
        from_profile(tmp_path)
    (tmp_path / "config.yaml").write_text("[1]")
    with pytest.raises(TracrLabError, match="must be a mapping"):
        from_profile(tmp_path)
    (tmp_path / "partitions.yaml").write_text("partitions: []")
    with pytest.raises(TracrLabError, match="partitions must be a mapping of names to limits"):
        read_partition_file(tmp_path / "partitions.yaml")
