"""Processes that train together: how many, what they say, and that a signal reaches them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tracrlab.cluster.launching import launch, processes_of_job
from tracrlab.errors import TracrLabError
from tracrlab.stopping import STOPPED_EXIT_CODE, StoppedError, stopping

SECONDS = 120


@pytest.mark.parametrize(
    ("given", "processes"),
    [
        ({}, 1),
        ({"CUDA_VISIBLE_DEVICES": ""}, 1),
        ({"CUDA_VISIBLE_DEVICES": "3"}, 1),
        ({"CUDA_VISIBLE_DEVICES": "0,2"}, 2),
        ({"CUDA_VISIBLE_DEVICES": "0,-1,2"}, 1),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1a, GPU-2b"}, 2),
        ({"CUDA_VISIBLE_DEVICES": "1", "SLURM_GPUS_ON_NODE": "4"}, 1),
        ({"SLURM_GPUS_ON_NODE": "4"}, 4),
        ({"SLURM_GPUS_ON_NODE": "0"}, 1),
    ],
)
def test_a_process_for_each_gpu_of_the_job(given, processes):
    assert processes_of_job(given) == processes


def test_a_count_that_is_no_number_is_named():
    with pytest.raises(TracrLabError, match="SLURM_GPUS_ON_NODE is 'two'"):
        processes_of_job({"SLURM_GPUS_ON_NODE": "two"})


def environment() -> dict[str, str]:
    """Of a process that finds the tests and the package where this one does."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def write_sum(folder: str) -> None:
    """Adds up the ranks of all processes; the main one writes the sum."""
    import torch
    from accelerate import Accelerator

    accelerator = Accelerator()
    total = accelerator.reduce(torch.tensor(1 + accelerator.process_index), "sum")
    (Path(folder) / f"ran.{accelerator.process_index}").touch()
    if accelerator.is_main_process:
        (Path(folder) / "sum").write_text(f"{total.item()} of {accelerator.num_processes}")


def fail_in_the_second(what: str) -> None:
    """The other process would be at work for long: it is ended."""
    if os.environ["RANK"] == "1":
        raise TracrLabError(f"there is no file {what}; make one.")
    time.sleep(SECONDS)


def wait_for_signal(folder: str) -> None:
    with stopping() as stop:
        (Path(folder) / f"ready.{os.environ['RANK']}").touch()
        while not stop.asked:
            time.sleep(0.05)
        (Path(folder) / f"kept.{os.environ['RANK']}").touch()
        raise StoppedError("stopped at step 7")


@pytest.mark.parametrize("processes", [1, 2])
def test_every_process_takes_part_and_one_writes(tmp_path, processes):
    code = (
        "from tests.cluster.test_launching import launch, write_sum\n"
        f"if __name__ == '__main__': launch(write_sum, {processes}, {str(tmp_path)!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())
    assert len([*tmp_path.glob("ran.*")]) == processes
    total = processes * (processes + 1) // 2
    assert (tmp_path / "sum").read_text() == f"{total} of {processes}"


def test_the_sentence_of_a_process_reaches_the_caller():
    with pytest.raises(TracrLabError, match=r"^there is no file x; make one\.$"):
        launch(fail_in_the_second, 2, "x")


def test_sigterm_reaches_every_process_and_ends_with_its_exit_code(tmp_path):
    code = (
        "import sys\n"
        "from tests.cluster.test_launching import launch, wait_for_signal\n"
        "from tracrlab.stopping import STOPPED_EXIT_CODE, StoppedError\n"
        "if __name__ == '__main__':\n"
        f"    try: launch(wait_for_signal, 2, {str(tmp_path)!r})\n"
        "    except StoppedError as stopped: print(stopped); sys.exit(STOPPED_EXIT_CODE)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE, text=True
    )
    end = time.monotonic() + SECONDS
    while len([*tmp_path.glob("ready.*")]) < 2:
        assert time.monotonic() < end
        assert child.poll() is None
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    said, _ = child.communicate(timeout=SECONDS)
    assert child.returncode == STOPPED_EXIT_CODE
    assert said == "stopped at step 7\n"
    assert len([*tmp_path.glob("kept.*")]) == 2
