"""A SIGTERM to the process that SLURM knows reaches the command below its shells."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SECONDS = 60
PARENT = """
import signal, subprocess, sys
from tracrlab.cluster.relaying import relay_termination
relay_termination()
signal.signal(signal.SIGTERM, lambda *_: None)  # as Snakemake: it waits for its command
script = f"trap : TERM; {sys.executable} {sys.argv[1]} {sys.argv[2]} | cat"
sys.exit(subprocess.run(["bash", "-o", "pipefail", "-c", script]).returncode)
"""
CHILD = """
import pathlib, signal, sys, time
from tracrlab.stopping import stopping
with stopping() as stop:
    pathlib.Path(sys.argv[1], "ready").touch()
    while not stop.asked:
        time.sleep(0.05)
    time.sleep(0.5)
    pathlib.Path(sys.argv[1], "kept").touch()
sys.exit(143)
"""


def test_the_command_is_told_and_waited_for(tmp_path: Path):
    (tmp_path / "child.py").write_text(CHILD)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "child.py"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    end = time.monotonic() + SECONDS
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(parent.pid, signal.SIGTERM)
    assert parent.wait(SECONDS) == 143
    assert (tmp_path / "kept").exists()
