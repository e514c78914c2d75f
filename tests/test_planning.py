"""The cost of a configuration, on numbers worked out by hand."""

import pytest

from tracrlab import planning
from tracrlab.config import load_config

RATES = {
    "zoo": {
        "default": {
            "sampled_per_core_second": 100,
            "built_per_core_second": 50,
            "bytes_per_program": 250,
        }
    },
    "trained": {
        "students": {"compressed_core_seconds": 2, "natural_core_seconds": 1},
        "study": {"core_seconds_per_input": 1e-5},
        "injection": {
            "layers": 8,
            "width": 128,
            "batch": 16,
            "core_seconds_per_step": {"finetune_kl": 0.25, "interchange": 0.5},
        },
        "decompiler": {"core_seconds_per_sample": {"tokens 0.5M": 0.005}},
    },
    "gpu": {"a40": {"inject": {"measured": 0.1}}},
}
CONFIG = {
    "zoo": {"programs": 1_000_000, "shard_size": 10_000, "oversample": 1.5},
    "students": {
        "compressed": {"models": 1000, "shard_size": 100},
        "natural": {"models": 500, "shard_size": 100},
    },
    "study": {
        "programs": ["frac_prevs"],
        "seeds": 2,
        "widths": [4, 8],
        "steps": 1000,
        "batch": 32,
        "library": {"programs": ["hist"], "seeds": 1, "widths": 3, "steps": 1000, "batch": 16},
    },
    "decompiler": {
        "zoos": ["standard", "natural"],
        "methods": ["tokens"],
        "tokens": {"size": "0.5M", "steps": 1000, "batch": 32, "fine_tuning": {"steps": 500}},
    },
    "injection": {
        "tasks": ["count", "addition"],
        "seeds": 2,
        "methods": ["interchange"],
        "steps": 1000,
        "batch": 32,
    },
}


@pytest.fixture
def rates(monkeypatch):
    monkeypatch.setattr(planning, "measured_rates", lambda: RATES)


def lines(config, **options) -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for row in planning.plan_table(load_config(config), **options)}


def test_plan_by_hand(rates):
    table = lines(CONFIG, cores=64)
    columns = ("jobs", "arrays", "programs", "core-hours", "GPU-hours")
    assert table["step"] == (*columns, "wall time on 64", "bytes")
    # 1.5 million candidates at 100/s and 150 jobs of 10 s: 16,500 s, a job 110 s, in 3 waves.
    sample = ("150", "5 of 32", "1,500,000", "4.6", "", "6 min", "")
    assert table["sample candidates"] == sample
    # 15 s at 100,000 a second, and 10 s.
    assert table["select"] == ("1", "", "1,500,000", "0.0069", "", "1 min", "")
    # A million at 50/s and 100 jobs of 10 s: 21,000 s, a job 210 s, in 2 waves; 250 MB.
    build = ("100", "4 of 32", "1,000,000", "5.8", "", "7 min", "250 MB")
    assert table["compile, verify, write"] == build
    # 1,000 at 2 s and 10 jobs of 10 s: 2,100 s; 500 at 1 s and 5 jobs: 550 s.
    assert table["compressed students (CPU)"] == ("10", "1 of 10", "1,000", "0.58", "", "4 min", "")
    assert table["natural students (CPU)"] == ("5", "1 of 5", "500", "0.15", "", "2 min", "")
    # 4 runs of 1,000 steps of 32 inputs: 1.28 s; 3 runs of 16: 0.48 s.
    assert table["superposition study (CPU)"][:4] == ("1", "", "4", "0.0031")
    assert table["its library programs (CPU)"][:4] == ("1", "", "3", "0.0029")
    # 1,500 steps of 32 samples of 5 ms, and 2 jobs: 260 s.
    trained = table["decompilers, tokens 0.5M (CPU)"]
    assert trained == ("2", "", "2", "0.072", "", "3 min", "")
    # 4 runs of 1,000 steps of twice 0.5 s, and 4 jobs: 4,040 s.
    assert table["inject, interchange (CPU)"] == ("4", "", "4", "1.1", "", "17 min", "")
    assert table["pretrain tiny (CPU)"][3] == "not measured"
    # 330 + 25 + 420 + 210 + 110 + 11 + 10 + 130 + 1,010 s, one after the other.
    total = ("275", "11", "", "12", "", "38 min", "250 MB")
    assert table["total, 1 step left out"] == total
    # 55 a second on 12 threads: 218,182 core-seconds, 57 minutes on 64 cores.
    assert table["the thesis's rate for this zoo"][2:6] == ("1,000,000", "61", "", "57 min")
    # 1,000 of 150,000 that took 20,000 core-hours; 500 of 71,000 that took 5,000.
    compressed = table["the thesis's rate for these compressed students"]
    assert compressed[2:6] == ("1,000", "133", "", "2.1 h")
    assert table["the thesis's rate for these natural students"][3] == "35"
    reported = [row[3:5] for name, row in table.items() if row[3:5] in REPORTED]
    assert reported == REPORTED
    assert {len(row) for row in table.values()} == {7}


REPORTED = [("20,000", ""), ("5,000", ""), ("", "10")]


def test_on_gpus_by_hand(rates):
    """4 runs of 1,000 steps of 0.1 s and 4 jobs of 10 s: 440 s; two at a time, 220 s."""
    config = CONFIG | {"injection": CONFIG["injection"] | {"base": "measured"}}
    table = lines(config, cores=64, gpus=2)
    assert table["step"][5] == "wall time on 64 and 2 GPUs"
    assert table["inject, interchange (a40)"] == ("4", "", "4", "", "0.12", "4 min", "")
    assert table["total"][4] == "0.12"
    without = lines(config, cores=64)
    assert without["inject, interchange (a40)"][5] == ""


def test_what_was_not_measured_has_no_figure(rates):
    config = CONFIG | {"injection": CONFIG["injection"] | {"base": "gpt2-large"}}
    table = lines(config, cores=64, gpus=8)
    row = table["inject, interchange (gpt2-large)"]
    assert row == ("4", "", "4", "", "not measured", "", "")
    assert table["total, 1 step left out"][4] == ""
    # 4 runs of an eightieth of the paper's 10 hours.
    assert table["Tracr-injection's rate for these runs, A40"][2:5] == ("4", "", "0.50")


def test_the_delivered_rates_cover_what_the_papers_configuration_can_be_told(capsys):
    table = planning.plan_table(load_config("config/paper.yaml"), cores=256, gpus=8)
    unknown = [row[0] for row in table if planning.UNKNOWN in row]
    assert unknown == [
        "decompilers, lines 700M",
        "decompilers, circuits 125M",
        "inject, finetune_kl (gpt2-large)",
        "inject, tracr_injection (gpt2-large)",
    ]
    assert planning.sources()[-1] == "GPUs: no GPU was there to measure on"


def test_a_step_on_gpus():
    step = planning.Step("train", 3, 0, 3 * 3590, gpus=2)
    assert step.gpu_seconds == 2 * 3 * 3600
    assert step.core_seconds == 3 * 3600
    assert step.wall_seconds(64, 2) == 3 * 3600
    assert step.wall_seconds(64, 4) == 2 * 3600
    assert step.wall_seconds(64, 1) is None
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
