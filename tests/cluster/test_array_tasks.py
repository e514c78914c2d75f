"""The process of an array task finds its own command, and only there."""

import base64
import json
import zlib

import pytest

from tracrlab.cluster.array_tasks import own_command
from tracrlab.errors import TracrLabError


def payload(commands):
    packed = {str(k): zlib.compress(v.encode(), 9).hex() for k, v in commands.items()}
    return base64.b64encode(json.dumps(packed).encode()).decode()


PAYLOAD = payload({2: "run the second", 3: "run the third"})
WORDS = ["snakemake", "--mode", "remote"]


@pytest.mark.parametrize(
    "option",
    [
        [f"--slurm-jobstep-array-execs={PAYLOAD}"],
        ["--slurm-jobstep-array-execs", PAYLOAD],
    ],
)
def test_a_task_runs_its_own_command(option):
    environment = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1"}
    assert own_command([*WORDS, *option], environment) == "run the third"
    assert own_command([*WORDS, *option], environment | {"SLURM_ARRAY_TASK_ID": "1"}) is None


def test_any_other_process_goes_on():
    assert own_command(WORDS, {}) is None
    # The task itself has the array's variables in its environment, but no list of commands.
    assert own_command(WORDS, {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1"}) is None


def test_a_task_that_was_sent_no_command():
    environment = {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_MIN": "1"}
    with pytest.raises(TracrLabError, match="no command for its task 9"):
        own_command([*WORDS, f"--slurm-jobstep-array-execs={PAYLOAD}"], environment)
