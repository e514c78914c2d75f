# Helpers of the rules: the checked configuration, the names of shards and figures, and the shell.
import shlex
import sys
from pathlib import Path

from snakemake.shell import shell
from tracrlab.cluster.array_tasks import become_own_task
from tracrlab.cluster.starting import start_on_slurm
from tracrlab.config import Config, load_config, section
from tracrlab.errors import TracrLabError

# A task of a SLURM job array leaves this process here; every other process goes on.
become_own_task(sys.argv)

# Every command finds the `tracrlab` that stands beside the running Python, whether or not its
# environment is active. Snakemake sets OMP_NUM_THREADS and its kin to the threads of the job; XLA
# reads NPROC instead.
shell.prefix(
    f"set -euo pipefail; export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH "
    "NPROC=$OMP_NUM_THREADS; "
)


wildcard_constraints:
    shard=r"\d{5}",
    name=r"[a-z][a-z0-9_]*",


# Before the first job is submitted: what SLURM cannot run, or would run wrong, ends in a sentence.
onstart:
    try:
        start_on_slurm(workflow)
    except TracrLabError as error:
        sys.exit(f"error: {error}")


def checked(values: dict) -> Config:
    """Check the merged configuration; a wrong one ends the run in one sentence.

    Snakemake prints the frames of any exception, WorkflowError too, so the run exits here.
    """
    try:
        return load_config(values)
    except TracrLabError as error:
        sys.exit(f"error: {error}")


def shard_names(count: int) -> list[str]:
    """Give the zero-padded names of the first shards: 00000, 00001, ..."""
    return [f"{index:05d}" for index in range(count)]


def figure_files(*names: str) -> list[str]:
    """Give the files of figures, each in every configured format."""
    return [
        f"results/figures/{name}.{suffix}" for name in names for suffix in settings.figures.formats
    ]


def reported_figure(name: str, **flags) -> list[str]:
    """Give the files of one figure, each shown in the report with the caption in `flags`."""
    return [report(path, category="Figures", **flags) for path in figure_files(name)]


def out_flags(wildcards, output) -> list[str]:
    """Give one --out for every output file of a rule."""
    return [f"--out {path}" for path in output]


def programs_folder(wildcards, input) -> str:
    """Give the folder of a rule's candidate shards: thousands of names fit no command line."""
    return str(Path(input.programs[0]).parent)


def selected_folder(wildcards, input) -> str:
    """Give the folder of a rule's selected shards."""
    return str(Path(input.selected[0]).parent)


def shards_folder(wildcards, input) -> str:
    """Give the folder of a rule's verified shards."""
    return str(Path(input.shards[0]).parent)


def output_folder(wildcards, output) -> str:
    """Give the folder that a rule writes its first output to."""
    return str(Path(output[0]).parent)


def study_folder(wildcards, input) -> str:
    """Give the folder of a program's superposition study."""
    return str(Path(input.runs).parent)


def study_figures() -> list[str]:
    """Give the files of every figure of the superposition study."""
    kinds = ("study_loss", "study_layers", "study_matrices")
    names = [f"{kind}_{name}" for kind in kinds for name in settings.study.programs]
    return figure_files(*names, "study_library")
