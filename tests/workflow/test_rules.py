"""Every rule says what it does and where its log is, and every configuration plans."""

import re
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


@pytest.mark.parametrize(
    ("name", "candidates", "shards", "residuals", "tasks", "methods"),
    [
        ("config", 12, 8, 5, 3, 3),
        ("smoke", 3, 2, 1, 1, 2),
        ("overnight", 60, 40, 5, 3, 3),
        ("paper", 135, 90, 5, 3, 2),
    ],
)
def test_every_configuration_plans(workflow, name, candidates, shards, residuals, tasks, methods):
    aligned = methods - 1  # all but finetune_kl
    assert workflow.planned("--configfile", f"config/{name}.yaml", "all") == {
        "sample_programs": candidates,
        "select_programs": 1,
        "build_shard": shards,
        "zoo_manifest": 1,
        "zoo_statistics": 1,
        "zoo_statistics_figure": 1,
        "zoo_rejections_figure": 1,
        "residuals_figure": residuals,
        "blocks_figure": 1,
        "library_table": 1,
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
    }


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
