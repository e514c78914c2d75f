"""The whole workflow on a small configuration, and what a changed key reruns."""

import csv
import json
import re
from itertools import product

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

SMOKE = ("--configfile", "config/smoke.yaml")
TRAINED_AUTOENCODER = {"train_autoencoder": 1, "autoencoder_table": 1}
#: Tables and pictures of all predictions; the library's are of decompilers of the standard zoo.
AFTER_PREDICTIONS = {
    "decompiler_table": 1,
    "decompiler_counts": 3,
    "decompiler_table_figure": 2,
}
AFTER_MANIFEST = {
    "predict_programs": 8,
    "decompiler_programs_figure": 6,
    "decompiler_library": 1,
    **AFTER_PREDICTIONS,
    "train_decompiler": 9,
    "decompiler_curves_figure": 1,
    **TRAINED_AUTOENCODER,
    "zoo_manifest": 1,
    "zoo_statistics": 1,
    "zoo_statistics_figure": 1,
    "zoo_rejections_figure": 1,
    "select_compressed_teachers": 1,
    "select_natural_teachers": 1,
    "compress_shard": 2,
    "distil_shard": 2,
    "compressed_manifest": 1,
    "natural_manifest": 1,
    "leaks": 1,
    "student_outcomes": 1,
    "students_figure": 1,
    "student_loss_table": 1,
}
AFTER_NATURAL = {
    "predict_programs": 2,
    "decompiler_programs_figure": 2,
    **AFTER_PREDICTIONS,
    "train_decompiler": 2,
    "decompiler_curves_figure": 1,
    "select_natural_teachers": 1,
    "distil_shard": 2,
    "natural_manifest": 1,
    "leaks": 1,
    "student_outcomes": 1,
    "students_figure": 1,
}
INJECTION_FIGURES = {
    "injection_losses_figure": 1,
    "injection_ood_figure": 1,
    "injection_table_figure": 3,
    "injection_model_figure": 2,
}
AFTER_INJECT = {
    "inject": 2,
    "evaluate_injected": 2,
    "injection_tables": 1,
    "look_into_model": 1,
    **INJECTION_FIGURES,
}

AFTER_STUDY_PROGRAM = {
    "study_loss_figure": 1,
    "study_layers_figure": 1,
    "study_matrices_figure": 1,
}


def test_every_result_is_there(finished_smoke_run):
    results = finished_smoke_run.directory / "results"
    manifest = json.loads((results / "zoo" / "standard" / "manifest.json").read_text())
    assert manifest["rows"] == 300
    with (results / "library.csv").open(newline="") as file:
        assert "frac_prevs" in {row["program"] for row in csv.DictReader(file)}
    with (results / "study" / "summary.csv").open(newline="") as file:
        assert "best accuracy" in {row["quantity"] for row in csv.DictReader(file)}
    with (results / "decompiler_table.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "this run"]
    assert {(row["zoo"], row["method"]) for row in rows} == {
        ("standard", "weights_alone"),
        ("compressed", "circuits_plain"),
        *product(("standard", "compressed", "natural"), ("lines", "circuits")),
    }
    assert all(float(row["token_accuracy"]) >= 0 for row in rows)
    for name in ("task_table.csv", "ood_table.md", "injection/count/interchange/0/variables.csv"):
        assert (results / name).stat().st_size > 100
    model = results / "injection" / "count" / "interchange" / "0" / "model"
    assert {"model.safetensors", "injection.json", "program.safetensors"} <= {
        path.name for path in model.iterdir()
    }
    for name in (
        "study_loss_frac_prevs",
        "study_library",
        "student_outcomes",
        "zoo_statistics",
        "zoo_rejections",
        "blocks_hist",
        "residuals_frac_prevs",
        "decompiler_accuracy",
        "decompiler_confusion",
        "decompiler_programs_natural_circuits",
    ):
        assert (results / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (results / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_written_elsewhere(finished_smoke_run):
    written = {path.name for path in finished_smoke_run.directory.iterdir()}
    assert written == {"config", "results", "logs", ".snakemake"}


def test_a_second_run_has_nothing_to_do(finished_smoke_run):
    assert finished_smoke_run.planned(*SMOKE, "all") == {}


@pytest.mark.parametrize(
    ("changed", "rerun"),
    [
        ('figures={"residuals": ["frac_prevs", "sort"]}', {"residuals_figure": 1}),
        (
            'figures={"dpi": 100}',
            {
                "residuals_figure": 1,
                "blocks_figure": 1,
                "zoo_statistics_figure": 1,
                "zoo_rejections_figure": 1,
                "students_figure": 1,
                "decompiler_curves_figure": 1,
                "decompiler_table_figure": 2,
                "decompiler_programs_figure": 6,
                **INJECTION_FIGURES,
            }
            | AFTER_STUDY_PROGRAM
            | {"study_library_figure": 1},
        ),
        (
            'study={"steps": 10}',
            {"study_program": 1, "study_summary": 1} | AFTER_STUDY_PROGRAM,
        ),
        (
            'study={"library": {"steps": 10}}',
            {"study_library": 1, "study_library_figure": 1},
        ),
        (
            'students={"natural": {"training": {"clip": 2}}}',
            AFTER_NATURAL,
        ),
        ('injection={"steps": 8}', AFTER_INJECT),
        (
            'decompiler={"circuits": {"fine_tuning": {"steps": 3}}}',
            {"train_decompiler": 3, "decompiler_curves_figure": 1, "predict_programs": 3}
            | {"decompiler_programs_figure": 2}
            | AFTER_PREDICTIONS,
        ),
        (
            'decompiler={"circuits": {"fine_tuning": {"stand_ins": {"steps": 3}}}}',
            {"train_decompiler": 4, "decompiler_curves_figure": 1, "predict_programs": 3}
            | {"decompiler_programs_figure": 2}
            | AFTER_PREDICTIONS,
        ),
        (
            'decompiler={"evaluation": {"test_programs": 5}}',
            {"predict_programs": 8, "decompiler_programs_figure": 6} | AFTER_PREDICTIONS,
        ),
        ('decompiler={"evaluation": {"examples": 2}}', {"decompiler_programs_figure": 6}),
        ('decompiler={"autoencoder": {"steps": 3}}', TRAINED_AUTOENCODER),
        ('injection={"text_windows": 10}', {"injection_text": 1} | AFTER_INJECT),
        ('zoo={"verify_inputs": 100}', {"build_shard": 2} | AFTER_MANIFEST),
        (
            'zoo={"splits": {"train": 0.55, "test": 0.2}}',
            {"select_programs": 1, "build_shard": 2} | AFTER_MANIFEST,
        ),
        (
            'zoo={"programs": 450}',
            {"sample_programs": 2, "select_programs": 1, "build_shard": 3} | AFTER_MANIFEST,
        ),
        (
            "seed=1",
            {"sample_programs": 3, "select_programs": 1, "build_shard": 2}
            | {"pretrain_tiny": 1, "check_tasks": 1, "injection_text": 1, "evaluate_base": 1}
            | AFTER_MANIFEST
            | {"study_program": 1, "study_summary": 1}
            | AFTER_STUDY_PROGRAM
            | {"study_library": 1, "study_library_figure": 1}
            | AFTER_INJECT,
        ),
    ],
)
def test_a_changed_key_reruns_exactly_its_descendants(finished_smoke_run, changed, rerun):
    assert finished_smoke_run.planned("all", *SMOKE, "--config", changed) == rerun


@pytest.fixture(scope="module")
def report(finished_smoke_run) -> str:
    """The report's page."""
    path = finished_smoke_run.directory / "results" / "report.html"
    run = finished_smoke_run.snakemake(*SMOKE, "all", "--report", str(path))
    assert run.returncode == 0, run.stdout
    return path.read_text()


def test_the_report_shows_figures_with_their_captions(report):
    assert "frac_prevs" in report


def test_the_index_has_a_line_for_every_result(finished_smoke_run):
    """Every table and picture that `all` names is linked, and every link leads to a file."""
    results = finished_smoke_run.directory / "results"
    index = (results / "index.md").read_text()
    linked = set(re.findall(r"\]\(([^)]+)\)", index))
    assert all((results / path).exists() for path in linked)
    plan = finished_smoke_run.snakemake(*SMOKE, "--dry-run", "--forcerun", "results_index", "all")
    inputs = re.search(r"rule all:\n    input: (.*)", plan.stdout).group(1).split(", ")
    named = {path.removeprefix("results/") for path in inputs}
    assert len(named) > 40
    # Pages show tables that are linked; weights lie beside what describes them.
    left = {path for path in named - linked if not path.startswith("pages/")}
    assert {path for path in left if not path.endswith(".safetensors")} == {"index.md"}


def in_page(name: str, page: str) -> dict:
    """What the report's page has under a name, in a script element of that id."""
    text = page.split(f'<script id="{name}">')[1].split("</script>", maxsplit=1)[0]
    return json.loads(text.split("=", 1)[1].strip().removesuffix(";"))


def test_the_report_is_one_page_grouped_by_arm(report):
    categories = in_page("categories", report)
    assert {"1 Zoo", "2 Students", "3 Superposition", "5 Injection"} <= set(categories)
    assert all(re.match(r"\d \w+$", category) for category in categories)
    shown = {
        path for members in categories.values() for paths in members.values() for path in paths
    }
    assert {"results/pages/library.html", "results/figures/residuals_frac_prevs.png"} <= shown
    # What a browser would only offer for download is shown as a page, and each figure once.
    assert not {path for path in shown if path.endswith((".csv", ".pdf"))}
    assert all(result["caption"] for result in in_page("results", report).values())
    # Nothing is asked of a network: no element names an address elsewhere.
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=.https?:", report)
