"""What SLURM's commands print, read."""

import pytest

from tracrlab.cluster import slurm
from tracrlab.cluster.slurm import command, parse_config, parse_partitions
from tracrlab.errors import TracrLabError

SINFO = """\
cpu|(null)|1-00:00:00|8000|4|node01
cpu|(null)|1-00:00:00|16000+|8|node02
gpu|gpu:a40:2(S:0-1),lustre:1|infinite|64000|16|node03
gpu|gpu:a100:4|infinite|64000|16|node04
old|gpu:1|30:00|4000|4|node05
"""


def test_partitions_are_read():
    partitions = parse_partitions(SINFO)
    assert sorted(partitions) == ["cpu", "gpu", "old"]
    cpu, gpu, old = partitions["cpu"], partitions["gpu"], partitions["old"]
    assert (cpu.gpus, cpu.minutes, cpu.node_mb, cpu.node_cpus) == ({}, 1440, 16000, 8)
    assert cpu.hosts == {"node01", "node02"}
    assert (gpu.gpus, gpu.minutes) == ({"a40": 2, "a100": 4}, None)
    assert (old.gpus, old.minutes) == ({"": 1}, 30)


def test_settings_of_the_cluster_are_read():
    text = "MinJobAge   = 600 sec\nMaxArraySize = 1001\nAccountingStorageType = a/slurmdbd\n"
    cluster = parse_config(text, {})
    assert (cluster.min_job_age, cluster.max_array_size, cluster.accounting) == (600, 1001, True)
    assert parse_config("", {}).min_job_age == 300
    assert not parse_config("AccountingStorageType = accounting_storage/none", {}).accounting


def test_a_machine_without_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TracrLabError, match=r"^there is no sbatch on this machine, and executor: "):
        command("sbatch", "--version")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no such thing >&2; exit 1", r"^sinfo -h fails: no such thing\.$"),
        ("exec sleep 20", r"^sinfo has no answer after 0.3 seconds; is the SLURM controller up"),
    ],
)
def test_a_controller_that_refuses_or_is_silent(monkeypatch, tmp_path, script, message):
    program = tmp_path / "sinfo"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(slurm, "ANSWER_SECONDS", 0.3)
    with pytest.raises(TracrLabError, match=message):
        command("sinfo", "-h")
