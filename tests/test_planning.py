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
    heading, sample, select, build, total, thesis = planning.plan_table(config)
    # 1.5 million candidates at 100/s and 150 jobs of 4 s: 15,600 s.
    assert sample[1:4] == ("150", "1,500,000", "4.3")
    assert select[1] == "1"
    # A million at 50/s and 100 jobs of 4 s: 20,400 s; 250 MB.
    assert build[1:] == ("100", "1,000,000", "5.7", "250 MB")
    assert total[1] == "251"
    # 55 a second on 12 threads: 218,182 core-seconds.
    assert thesis[3] == "61"
    assert len(heading) == len(total)


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
