"""Snakemake as a person calls it, in a working directory of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: These follow every other rule, whatever it is that reruns.
AFTER_EVERYTHING = ("results_index", "table_page", "all")


class Workflow:
    """The repository's workflow, run in a fresh directory with the repository's `config/`.

    The directory takes the place of the repository's root, so that nothing is written there.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        shutil.copytree(ROOT / "config", directory / "config")

    def snakemake(self, *arguments: str, timeout: int = 120) -> subprocess.CompletedProcess[str]:
        """Run Snakemake from the repository's root, standard error joined to standard output."""
        command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local"]
        command += ["--directory", str(self.directory), *arguments]
        return subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Give the number of jobs by rule that a run would have, but for those after everything."""
        run = self.snakemake("--dry-run", *arguments)
        assert run.returncode == 0, run.stdout
        if "Nothing to be done" in run.stdout:
            return {}
        table = run.stdout.split("Job stats:\n")[1].split("\n\n")[0].splitlines()[2:]
        counts = {rule: int(count) for rule, count in map(str.split, table)}
        return {
            rule: count
            for rule, count in counts.items()
            if rule not in (*AFTER_EVERYTHING, "total")
        }


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    return Workflow(tmp_path)


@pytest.fixture(scope="module")
def finished_smoke_run(tmp_path_factory) -> Workflow:
    """Every rule run once, with `config/smoke.yaml`."""
    workflow = Workflow(tmp_path_factory.mktemp("smoke"))
    run = workflow.snakemake("--configfile", "config/smoke.yaml", "all", timeout=600)
    assert run.returncode == 0, run.stdout
    return workflow
