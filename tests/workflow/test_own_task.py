"""A task of the user's own: one file and one line of configuration."""

import pytest

from tests.workflow.conftest import Workflow

pytestmark = pytest.mark.workflow

OWN = 'injection={"tasks": ["count", "config/tasks/last_vowel.py"]}'


def test_it_is_planned_like_the_others(workflow: Workflow):
    """Every rule of a task runs for both, and says the path where it is the user's."""
    run = workflow.snakemake(
        "--dry-run", "--printshellcmds", "results/task_table.csv", "--config", OWN
    )
    assert run.returncode == 0, run.stdout
    for rule in ("inject", "evaluate_injected", "evaluate_base"):
        jobs = [part for part in run.stdout.split("\n\n") if f"rule {rule}:" in part]
        assert len([job for job in jobs if "task=last_vowel" in job]) == len(
            [job for job in jobs if "task=count" in job]
        )
    assert "tracrlab inject config/tasks/last_vowel.py --method" in run.stdout
    assert "tracrlab evaluate --task config/tasks/last_vowel.py" in run.stdout


def test_its_program_is_checked(workflow: Workflow):
    run = workflow.snakemake("results/injection/tasks.csv", "--config", OWN)
    assert run.returncode == 0, run.stdout
    table = (workflow.directory / "results" / "injection" / "tasks.csv").read_text()
    assert "\nlast_vowel,held_out," in table
    assert "\nlast_vowel,vowels_only," in table


def test_a_task_that_is_none_stops_the_run_with_a_sentence(workflow: Workflow):
    run = workflow.snakemake("--dry-run", "--config", 'injection={"tasks": ["cuont"]}')
    assert run.returncode != 0
    assert "Traceback" not in run.stdout
    assert "'cuont' is none of count, addition, shuffle_dyck" in run.stdout
