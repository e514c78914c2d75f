"""Where the machine refuses, a command ends in one sentence and earlier results stay whole."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.workflow.conftest import ROOT
from tracrlab.zoo import load_manifest, verify_shard

COMMANDS = {
    "sample": ("sample", "--shard", "0", "--out", "{out}.parquet"),
    "library": ("library", "--out", "{out}.csv"),
    "compile": ("compile", "hist", "--out", "{out}.safetensors"),
    "figure": ("figure", "blocks", "hist", "--out", "{out}.png"),
}
SMALL = '{"zoo": {"shard_size": 20, "programs": 20, "ops": [3, 4], "vocab": 3, "max_seq_len": 3}}'
#: Becomes a user whom no limit and no permission to write is waived for; the Python that runs
#: the tests may lie in a folder of root's, so reading stays allowed.
CAPABILITY = "+dac_read_search"
AS_NOBODY = ["setpriv", "--reuid", "65534", "--clear-groups"]
AS_NOBODY += ["--inh-caps", CAPABILITY, "--ambient-caps", CAPABILITY]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


def limited(limit):
    """The words before a command that runs under limits."""
    return ["prlimit", *limit] if limit else []


def tracrlab(name, out, limit=(), user=()):
    """A command as a person calls it, under limits: options of prlimit."""
    words = [word.format(out=out) for word in COMMANDS[name]]
    if name == "sample":
        words += ["--config", SMALL]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*limited(limit), *user, sys.executable, "-m", "tracrlab.cli", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )


def one_sentence(run, *expected):
    assert run.returncode == 2, (run.returncode, run.stderr[-2000:])
    assert "Traceback" not in run.stderr, run.stderr[-2000:]
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    for part in expected:
        assert part in line, line


@pytest.fixture
def full_disk(tmp_path):
    """A disk of 64 kB, mounted for the test; with it a model that was there before."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("name", ["sample", "compile", "figure", "library"])
def test_a_full_disk(name, full_disk, tmp_path, tally):
    earlier = full_disk / "earlier"
    earlier.write_bytes(b"whole")
    with open(full_disk / "filler", "wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(512)):
            pass
    run = tracrlab(name, full_disk / "out")
    one_sentence(run, str(full_disk / "out"), "No space left on device", "free some space")
    assert earlier.read_bytes() == b"whole"
    assert sorted(path.name for path in full_disk.iterdir()) == ["earlier", "filler"]
    tally(8, "refusals of the machine, one sentence each", 1)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_limit_on_the_size_of_files(name, tmp_path, tally):
    run = tracrlab(name, tmp_path / "out", ["--fsize=512"])
    one_sentence(run, str(tmp_path / "out"), "File too large", "ulimit -f")
    assert not list(tmp_path.iterdir())
    tally(8, "refusals of the machine, one sentence each", 1)


@pytest.mark.parametrize("name", ["sample", "library"])
def test_a_folder_that_may_not_be_written(name, tmp_path, tally):
    """As another user, whom no permission is waived for."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != folder.parent and "pytest" in str(folder):
            folder.chmod(0o755)
    earlier = tmp_path / "out.csv"
    earlier.write_text("whole")
    run = tracrlab(name, tmp_path / "out", user=AS_NOBODY)
    one_sentence(run, str(tmp_path / "out"), "Permission denied", "may write")
    assert earlier.read_text() == "whole"
    tally(8, "refusals of the machine, one sentence each", 1)


def test_a_read_only_file_system(tmp_path, tally):
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / "out.csv").write_text("whole")
    bind = subprocess.run(["mount", "--bind", str(folder), str(folder)], check=False)
    if bind.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        run = tracrlab("library", folder / "out")
        one_sentence(run, str(folder / "out.csv"), "Read-only file system")
        assert (folder / "out.csv").read_text() == "whole"
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    tally(8, "refusals of the machine, one sentence each", 1)


@pytest.mark.parametrize("limit", ["--nofile=12", "--nproc=1"])
def test_a_limit_on_open_files_or_processes(limit, tmp_path, tally):
    """It ends well or in a sentence; what is there is whole either way."""
    earlier = tmp_path / "earlier.csv"
    earlier.write_text("whole")
    tmp_path.chmod(0o777)
    user = AS_NOBODY if limit.startswith("--nproc") else ()
    run = tracrlab("sample", tmp_path / "out", [limit], user)
    assert "Traceback" not in run.stderr, run.stderr[-3000:]
    assert run.returncode in (0, 2), run.stderr[-2000:]
    assert earlier.read_text() == "whole"
    tally(8, "refusals of the machine, one sentence each", 1)


def test_an_earlier_zoo_is_whole_after_a_failed_step(zoo_copy, tally):
    """Its disk is full when a shard is made again: the shard and the manifest are as they were."""
    shard = zoo_copy.shards[0]
    before = shard.read_bytes()
    words = ["zoo", "build", str(zoo_copy.selected[0]), "--out", str(shard)]
    run = subprocess.run(
        [*limited(["--fsize=4096"]), sys.executable, "-m", "tracrlab.cli", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    one_sentence(run, str(shard), "File too large")
    assert shard.read_bytes() == before
    assert list(load_manifest(zoo_copy.manifest).checked_shards())
    assert not verify_shard(shard, 16).failures
    tally(8, "refusals of the machine, one sentence each", 1)


@pytest.fixture
def zoo_copy(tmp_path):
    from tests.zoo.conftest import make_zoo

    made = make_zoo(tmp_path / "zoo", programs=20, shard_size=20)
    yield made
    shutil.rmtree(made.folder)
