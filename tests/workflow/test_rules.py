"""Every rule says what it does and where its log is, and every configuration plans."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    OutputSettings,
    ResourceSettings,
    StorageSettings,
)

from tests.workflow.conftest import ROOT

pytestmark = pytest.mark.workflow

SMALLEST_RULE_FILE, LARGEST_RULE_FILE = 500, 8000


@pytest.fixture(scope="module")
def rules():
    """The rules of the workflow as Snakemake parses them, `all` left out."""
    with SnakemakeApi(OutputSettings(quiet={"all"})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[ROOT / "config" / "config.yaml"]),
            storage_settings=StorageSettings(),
            snakefile=ROOT / "Snakefile",
        )._workflow
        return [rule for rule in workflow.rules if rule.name != "all"]


def test_every_rule_is_one_command_with_a_log_a_benchmark_and_a_message(rules):
    assert len(rules) >= 10
    for rule in rules:
        command = " ".join(rule.shellcmd.split())
        assert command.startswith("tracrlab "), rule.name
        assert command.endswith("&> {log}"), rule.name
        assert [str(log).startswith("logs/") for log in rule.log] == [True], rule.name
        assert str(rule.benchmark).startswith("logs/benchmarks/"), rule.name
        assert "{log}" in rule.message, rule.name


def test_every_rule_states_its_threads_memory_and_time(rules):
    for rule in rules:
        assert {"_cores", "mem_mb", "runtime"} <= set(rule.resources), rule.name


def test_logs_and_benchmarks_are_named_after_their_rule_and_its_wildcards(rules):
    for rule in rules:
        log, benchmark = str(rule.log[0]), str(rule.benchmark)
        assert benchmark.removeprefix("logs/benchmarks/").removesuffix(".tsv") == (
            log.removeprefix("logs/").removesuffix(".log")
        ), rule.name


def test_every_caption_is_used_and_every_used_caption_is_there():
    used = set()
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        used |= set(re.findall(r"report/(\w+\.rst)", path.read_text()))
    captions = {path.name for path in (ROOT / "workflow" / "report").glob("*.rst")}
    assert captions == used | {"workflow.rst"}


def test_rule_files_are_one_stage_long():
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        assert SMALLEST_RULE_FILE < path.stat().st_size < LARGEST_RULE_FILE, path.name


#: Jobs by configuration, for the rules that have more than one.
JOBS = {
    "config": {"sample_programs": 12, "build_shard": 8, "compress_shard": 10, "distil_shard": 10},
    "smoke": {"sample_programs": 3, "build_shard": 2, "compress_shard": 2, "distil_shard": 2},
    "overnight": {"sample_programs": 60, "build_shard": 40, "compress_shard": 20}
    | {"distil_shard": 20},
    "paper": {"sample_programs": 135, "build_shard": 90, "compress_shard": 150}
    | {"distil_shard": 71},
    "large": {"sample_programs": 300, "build_shard": 200, "compress_shard": 10, "distil_shard": 10},
}


#: Decompilers that are tested: two methods on three zoos, and the variants.
DECOMPILERS = {"config": 7, "smoke": 8, "overnight": 9, "paper": 8, "large": 7}


@pytest.mark.parametrize(
    ("name", "residuals", "studied", "library", "tasks", "methods"),
    [
        ("config", 5, 2, 8, 3, 3),
        ("smoke", 1, 1, 1, 1, 2),
        ("overnight", 5, 2, 22, 3, 3),
        ("paper", 5, 2, 22, 3, 2),
        ("large", 5, 2, 8, 3, 3),
    ],
)
def test_every_configuration_plans(workflow, name, residuals, studied, library, tasks, methods):
    aligned = methods - 1  # all but finetune_kl
    assert workflow.planned("--configfile", f"config/{name}.yaml", "all") == JOBS[name] | {
        "select_programs": 1,
        "select_compressed_teachers": 1,
        "select_natural_teachers": 1,
        "compressed_manifest": 1,
        "natural_manifest": 1,
        "leaks": 1,
        "student_outcomes": 1,
        "students_figure": 1,
        "student_loss_table": 1,
        "zoo_manifest": 1,
        "zoo_statistics": 1,
        "zoo_statistics_figure": 1,
        "zoo_rejections_figure": 1,
        "residuals_figure": residuals,
        "blocks_figure": 1,
        "library_table": 1,
        "study_program": studied,
        "study_loss_figure": studied,
        "study_layers_figure": studied,
        "study_matrices_figure": studied,
        "study_library": library,
        "study_library_figure": 1,
        "study_summary": 1,
        "check_tasks": 1,
        **({} if name == "paper" else {"pretrain_tiny": 1}),
        "injection_text": 1,
        "inject": tasks * methods,
        "evaluate_base": tasks,
        "evaluate_injected": tasks * methods,
        "injection_tables": 1,
        "look_into_model": tasks * aligned,
        "injection_losses_figure": 1,
        "injection_ood_figure": 1,
        "injection_table_figure": 3 * tasks * aligned,
        "injection_model_figure": 2 * tasks * aligned,
        "train_decompiler": DECOMPILERS[name] + 1,  # and one on stand-ins for students
        "train_autoencoder": 1,
        "autoencoder_table": 1,
        "decompiler_curves_figure": 1,
        "predict_programs": DECOMPILERS[name],
        "decompiler_table": 1,
        "decompiler_counts": 3,
        "decompiler_library": 1,
        "decompiler_table_figure": 2,
        "decompiler_programs_figure": 6,
    }


def test_ten_million_programs_plan_in_a_minute_and_two_gigabytes(tmp_path):
    """In a process of its own, whose only child is Snakemake."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    words = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", "--dry-run", "all"]
    words += ["--directory", str(tmp_path), "--configfile", "config/large.yaml", "--quiet"]
    measure = "import json, resource, subprocess, sys, time; start = time.monotonic(); "
    measure += "subprocess.run(json.loads(sys.argv[1]), check=True, capture_output=True); "
    measure += "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    measure += "print(time.monotonic() - start, used.ru_maxrss / 1000)"
    run = subprocess.run(
        [sys.executable, "-c", measure, json.dumps(words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    seconds, megabytes = map(float, run.stdout.split())
    assert seconds < 60
    assert megabytes < 2000


def test_all_is_the_default_target(workflow):
    assert workflow.planned() == workflow.planned("all")


def test_one_file_is_planned_without_the_rest(workflow):
    assert workflow.planned("results/library.csv") == {"library_table": 1}


def test_a_shard_has_a_name_of_five_digits(workflow):
    run = workflow.snakemake("--dry-run", "results/zoo/standard/shards/1.parquet")
    assert run.returncode != 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--config", 'zoo={"progams": 3}'],
            "error: the configuration: zoo.progams is not a key (the nearest is zoo.programs)",
        ),
        (["--config", "seed=one"], 'error: the configuration: seed is "one", but it takes an'),
        (
            ["--config", 'figures={"blocks": "hits"}'],
            'error: the configuration: figures.blocks is "hits", but it takes the name of a',
        ),
    ],
)
def test_a_wrong_configuration_ends_in_one_sentence(workflow, arguments, expected):
    run = workflow.snakemake("--dry-run", *arguments)
    assert run.returncode != 0
    assert "Traceback" not in run.stdout
    assert 'File "' not in run.stdout
    assert [line for line in run.stdout.splitlines() if "rror" in line] == [
        line for line in run.stdout.splitlines() if line.startswith(expected)
    ]
    assert run.stdout.count(expected) == 1


def test_a_file_laid_over_the_default_merges_groups_and_replaces_lists(workflow):
    (workflow.directory / "own.yaml").write_text("zoo: {ops: [4, 4], limits: {d_model: 99}}\n")
    own = str(Path(workflow.directory) / "own.yaml")
    target = "results/zoo/standard/programs/00000.parquet"
    shown = workflow.snakemake("--dry-run", "--printshellcmds", target, "--configfile", own).stdout
    assert '"ops":[4,4]' in shown
    assert '"limits":{"d_model":99,"mlp_hidden":1024,"weights":500000}' in shown
