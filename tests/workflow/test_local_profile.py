"""One machine: the threads of a job bind its libraries, and one flag gives jobs a GPU."""

import subprocess
import sys

import pytest

from tests.workflow.conftest import ROOT

pytestmark = pytest.mark.workflow

THREADS = """
import os, pathlib, pyarrow, torch, jax.numpy as jnp
(jnp.ones((64, 64)) @ jnp.ones((64, 64))).block_until_ready()
names = [path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
print(torch.get_num_threads(), sum(name.startswith("tf_XLAEigen") for name in names),
      pyarrow.cpu_count(), os.environ["OPENBLAS_NUM_THREADS"])
"""
SNAKEFILE = f"""
include: "{ROOT}/workflow/rules/common.smk"
rule all:
    input: expand("threads.{{threads}}", threads=[1, 2]), expand("gpu.{{job}}", job=["a", "b"])
rule count:
    output: "threads.{{threads}}"
    wildcard_constraints: threads="[12]"
    threads: lambda wildcards: int(wildcards.threads)
    shell: "python {{workflow.basedir}}/threads.py > {{output}}"
rule use_gpu:
    output: "gpu.{{job}}"
    wildcard_constraints: job="[ab]"
    resources: gpu=1
    shell:
        "echo {{resources.gpu}} $(date +%s.%N) > {{output}}; sleep 0.5; "
        "date +%s.%N >> {{output}}"
"""


def run(folder, *arguments):
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "threads.py").write_text(THREADS)
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(folder / "Snakefile")]
    words += ["--profile", "profiles/local", "--directory", str(folder), "--cores", "2"]
    finished = subprocess.run(
        [*words, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr


def test_threads_bind_torch_jax_arrow_and_blas(tmp_path):
    run(tmp_path, "threads.1", "threads.2")
    assert (tmp_path / "threads.1").read_text().split() == ["1"] * 4
    assert (tmp_path / "threads.2").read_text().split() == ["2"] * 4


def test_without_the_flag_jobs_that_can_use_a_gpu_have_none(tmp_path):
    run(tmp_path, "gpu.a", "gpu.b")
    for name in "ab":
        assert (tmp_path / f"gpu.{name}").read_text().split()[0] == "0"


def test_a_single_gpu_goes_to_one_job_at_a_time(tmp_path):
    run(tmp_path, "gpu.a", "gpu.b", "--resources", "gpu=1")
    spans = []
    for name in "ab":
        count, start, end = (tmp_path / f"gpu.{name}").read_text().split()
        assert count == "1"
        spans.append((float(start), float(end)))
    first, second = sorted(spans)
    assert first[1] <= second[0]
