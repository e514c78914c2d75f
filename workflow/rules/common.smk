# Helpers of the rules: the checked configuration, the names of shards and figures, and the shell.
import shlex
import sys
from pathlib import Path

from snakemake.shell import shell
from tracrlab.cluster.array_tasks import become_own_task
from tracrlab.cluster.relaying import relay_termination
from tracrlab.cluster.starting import start_on_slurm
from tracrlab.config import Config, load_config, section
from tracrlab.errors import TracrLabError
from tracrlab.run_lock import hold_folder
from tracrlab.tasks.registry import task_names

# A task of a SLURM job array leaves this process here; every other process goes on.
become_own_task(sys.argv)
if workflow.remote_exec:
    relay_termination()

# Every command finds the `tracrlab` that stands beside the running Python, whether or not its
# environment is active. Snakemake sets OMP_NUM_THREADS and its kin to the threads of the job; XLA
# reads NPROC instead. At SIGTERM the shell waits for its command, which may write a checkpoint. The
# shell of a workflow that uses this one as a module is its own.
if workflow.modifier.is_main_snakefile():
    shell.prefix(
        "set -euo pipefail; trap : TERM; "
        f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH "
        "NPROC=$OMP_NUM_THREADS; "
    )


wildcard_constraints:
    shard=r"\d{5}",
    name=r"[a-z][a-z0-9_]*",
    task=r"[a-z][a-z0-9_]*",
    method="finetune_kl|tracr_injection|interchange",
    run=r"\d+",
    zoo="standard|compressed|natural|stand_ins",
    decompiler=r"[a-z][a-z0-9_]*",


# Before the first job is submitted: a second run in the folder, and what SLURM cannot run, or would
# run wrong, end in a sentence.
onstart:
    try:
        hold_folder(workflow)
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
    """Give the files of one figure; the report shows one of them, with the caption in `flags`.

    A browser shows .png and .svg in place wherever the page is opened, and asks about a .pdf.
    """
    paths = figure_files(name)
    shown = min(paths, key=lambda path: (".png", ".svg", ".pdf").index(Path(path).suffix))
    return [report(path, **flags) if path == shown else path for path in paths]


#: The tables that the report shows as pages, by name; rules/results.smk fills it.
TABLES = {}


def table_page_files(wildcards) -> list[str]:
    """Give the page of every table, once all rules are read."""
    return [f"results/pages/{name}.html" for name in TABLES]


def out_flags(wildcards, output) -> list[str]:
    """Give one --out for every output file of a rule."""
    return [f"--out {path}" for path in output]


def programs_folder(wildcards, input) -> str:
    """Give the folder of a rule's candidate shards: thousands of names fit no command line."""
    return str(Path(input.programs[0]).parent)


def selected_folder(wildcards, input) -> str:
    """Give the folder of a rule's selected shards."""
    return str(Path(input.selected[0]).parent)


def teachers_folder(wildcards, input) -> str:
    """Give the folder of a rule's files of teachers."""
    return str(Path(input.teachers[0]).parent)


def shards_folder(wildcards, input) -> str:
    """Give the folder of a rule's verified shards."""
    return str(Path(input.shards[0]).parent)


#: Where the base model `tiny` is pretrained.
TINY_FOLDER = "results/injection/tiny"

#: Keys of the injection that a run of training does not read, and those that measuring reads.
NOT_TRAINED_WITH = tuple(
    f"injection.{key}" for key in ("tasks", "methods", "seeds", "tiny", "data", "noise_norms")
)
TEXT_MADE_WITH = (
    "injection.seed",
    "injection.weights",
    *(
        f"injection.{key}"
        for key in ("base", "text", "text_batch", "text_draws", "text_length", "text_windows")
    ),
)
MEASURED_WITH = (
    "injection.seed",
    *(
        f"injection.{key}"
        for key in ("base", "data", "train_examples", "test_examples", "ood_examples")
    ),
)


def base_model_folder() -> list[str]:
    """Give the folder that the base model must have been pretrained in, if it is `tiny`."""
    return [TINY_FOLDER] if settings.injection.base == "tiny" else []


def base_model_flag(wildcards, input) -> str:
    """Give the option that names that folder, where a rule has it as input."""
    return f"--base-folder {input.base}" if input.base else ""


def base_model_table() -> list[str]:
    """Give the table of held-out perplexities of the base model, if it is `tiny`."""
    return [f"{TINY_FOLDER}.csv"] if settings.injection.base == "tiny" else []


def own_task_files() -> list[str]:
    """Give the Python files of the user's own tasks."""
    return [path for path in settings.injection.tasks if path.endswith(".py")]


def task_reference(wildcards) -> str:
    """Give what the configuration calls a task: a name, or the path of a Python file."""
    return task_names(settings.injection.tasks)[wildcards.task]


def task_file(wildcards) -> list[str]:
    """Give the Python file of a task of the user's own."""
    reference = task_names(settings.injection.tasks).get(wildcards.task, "")
    return [reference] if reference.endswith(".py") else []


def injection_files(name: str, methods) -> list[str]:
    """Give one file of every task, method and run."""
    return [
        f"results/injection/{task}/{method}/{run}/{name}"
        for task in task_names(settings.injection.tasks)
        for method in methods
        for run in range(settings.injection.seeds)
    ]


def injection_evaluations() -> list[str]:
    """Give the measurements of every injected model, and of the base model on every task."""
    bases = [
        f"results/injection/{task}/no_edit/evaluation.csv"
        for task in task_names(settings.injection.tasks)
    ]
    return bases + injection_files("evaluation.csv", methods=settings.injection.methods)


def injection_pictures() -> list[str]:
    """Give the pictures of the first run of every method that aligns variables."""
    pictures = ("variables", "noise", "interchange", "decoded", "streams")
    return figure_files(
        "injection_losses",
        "injection_ood",
        *(
            f"injection_{picture}_{task}_{method}"
            for picture in pictures
            for task in task_names(settings.injection.tasks)
            for method in settings.injection.methods
            if method != "finetune_kl"
        ),
    )


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
