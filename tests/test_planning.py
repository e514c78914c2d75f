"""The cost of a configuration, on numbers worked out by hand."""

import pytest

from tracrlab import planning
from tracrlab.config import load_config


def test_plan_by_hand(monkeypatch):
    rates = {
        "zoo": {
            "default": {
                "sampled_per_core_second": 100,
                "built_per_core_second": 50,
                "bytes_per_program": 250,
            }
        }
    }
    monkeypatch.setattr(planning, "measured_rates", lambda: rates)
    config = load_config({"zoo": {"programs": 1_000_000, "shard_size": 10_000, "oversample": 1.5}})
    table = planning.plan_table(config, cores=64)
    heading, sample, select, build, total, thesis = table[:6]
    columns = ("step", "jobs", "arrays", "programs", "core-hours", "GPU-hours")
    assert heading == (*columns, "wall time on 64", "bytes")
    # 1.5 million candidates at 100/s and 150 jobs of 10 s: 16,500 s, a job 110 s, in 3 waves.
    assert sample[1:7] == ("150", "5 of 32", "1,500,000", "4.6", "", "6 min")
    # 15 s at 100,000 a second, and 10 s.
    assert select[1:7] == ("1", "", "1,500,000", "0.0069", "", "1 min")
    # A million at 50/s and 100 jobs of 10 s: 21,000 s, a job 210 s, in 2 waves; 250 MB.
    assert build[1:] == ("100", "4 of 32", "1,000,000", "5.8", "", "7 min", "250 MB")
    assert total[1:] == ("251", "9", "", "10", "", "13 min", "250 MB")
    # 55 a second on 12 threads: 218,182 core-seconds, 57 minutes on 64 cores.
    assert thesis[3:7] == ("1,000,000", "61", "", "57 min")
    assert [row[4:6] for row in table[6:]] == [("20,000", ""), ("5,000", ""), ("", "10")]
    assert {len(row) for row in table} == {8}


def test_a_step_on_gpus():
    step = planning.Step("train", 3, 0, 3 * 3590, gpus=2)
    assert step.gpu_seconds == 2 * 3 * 3600
    assert step.core_seconds == 3 * 3600
    assert step.wall_seconds(1) == 3 * 3600
    assert step.wall_seconds(2) == 2 * 3600
    assert step.arrays == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 min"), (7140, "119 min"), (7200, "2.0 h"), (172_800, "2.0 days")],
)
def test_duration(seconds, text):
    assert planning.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0"), (36, "0.010"), (3600, "1.0"), (3.6e6, "1,000")]
)
def test_hours(seconds, text):
    assert planning.hours(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, ""), (999, "999 B"), (1500, "1.5 kB"), (2.5e12, "2.5 TB")]
)
def test_amount(size, text):
    assert planning.amount(size) == text
