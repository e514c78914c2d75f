"""The command line: every rule's work as a command that a person can run alone.

Heavy libraries are imported inside the commands, so that help answers at once.
"""

from __future__ import annotations

import os
import sys

import typer

from tracrlab.cluster.command import cluster_check
from tracrlab.decompiler.command import app as decompiler_app
from tracrlab.decompiler.command import decompile
from tracrlab.decompiler.training_command import autoencoder_row, train_decompiler
from tracrlab.errors import TracrLabError
from tracrlab.exporting.command import export
from tracrlab.figures.command import app as figure_app
from tracrlab.figures.command import figure_command
from tracrlab.figures.decompiler_command import app as decompiler_figure_app
from tracrlab.figures.decompiler_curves_command import decompiler_curves
from tracrlab.figures.injection_command import app as injection_figure_app
from tracrlab.figures.superposition_command import app as study_figure_app
from tracrlab.help_text import show_examples
from tracrlab.injection.base_command import check_tasks, pretrain_tiny
from tracrlab.injection.command import app as injection_app
from tracrlab.injection.command import decode, evaluate, inject
from tracrlab.plan_command import plan
from tracrlab.program_command import compile_command, library, run, sample, show
from tracrlab.report.command import app as results_app
from tracrlab.stopping import STOPPED_EXIT_CODE, StoppedError
from tracrlab.students.command import app as students_app
from tracrlab.students.command import compress, distil
from tracrlab.students.study_command import app as study_app
from tracrlab.terminal import red
from tracrlab.verify_command import verify
from tracrlab.zoo_command import app as zoo_app

app = typer.Typer(
    help="Programs into transformer weights, and back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(zoo_app, name="zoo")
figure_app.add_typer(injection_figure_app, name="injection")
figure_command(figure_app, "decompiler-curves")(decompiler_curves)
app.add_typer(figure_app, name="figure")
app.add_typer(students_app, name="students")
figure_app.add_typer(study_figure_app, name="study")
app.add_typer(study_app, name="study")
app.add_typer(injection_app, name="injection")
app.add_typer(decompiler_app, name="decompiler")
figure_app.add_typer(decompiler_figure_app, name="decompiler")
app.command()(decompile)
for command in (compress, distil, inject, evaluate, decode, pretrain_tiny, check_tasks):
    app.command()(command)
app.command("cluster-check")(cluster_check)
app.command()(export)
app.add_typer(results_app, name="results")
app.command("train-decompiler")(train_decompiler)
app.command("decompiler-autoencoder")(autoencoder_row)
for command in (sample, library):
    app.command()(command)
app.command("compile")(compile_command)
for command in (run, show, verify, plan):
    app.command()(command)


def main() -> None:
    """Runs the command line; wrong input ends in one sentence and exit code 2."""
    if not sys.stderr.isatty():  # bars that draw over themselves fill a log
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        app()
    except TracrLabError as error:
        print(f"{red('error:', sys.stderr)} {error}", file=sys.stderr)
        sys.exit(2)
    except StoppedError as stopped:
        print(f"{stopped}; the same command goes on from there.", file=sys.stderr)
        sys.exit(STOPPED_EXIT_CODE)
    except BrokenPipeError:
        sys.exit(141)
    except (OSError, MemoryError) as error:
        print(
            f"{red('error:', sys.stderr)} the machine refuses: {_refusal(error)}.", file=sys.stderr
        )
        sys.exit(2)


def _refusal(error: OSError | MemoryError) -> str:
    """What the machine refuses, and for which file."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; give the process more, or smaller work"
    where = f" ({error.filename})" if error.filename else ""
    return f"{(error.strerror or str(error)).lower()}{where}"


show_examples(app)

if __name__ == "__main__":
    main()
