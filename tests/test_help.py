"""Help: every command says what it does and has an example that its own parser takes."""

import os
import pty
import resource
import shlex
import subprocess
import sys

import click
import pytest
import typer
from typer.testing import CliRunner

from tracrlab.cli import app
from tracrlab.help_text import examples_of

ROOT = typer.main.get_command(app)


def commands(group=ROOT, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = {" ".join(path): command for path, command in commands()}


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_an_example_that_its_parser_takes(name):
    callback = ALL[name].callback
    examples = examples_of(getattr(callback, "__wrapped__", callback))
    assert examples, f"tracrlab {name} has no example"
    called = set()
    for example in examples:
        for part in example.split("&&"):
            command = called_of(part)
            called.add(command)
            # Parses, converts and checks what is given, and calls nothing.
            arguments = shlex.split(part)[1 + len(command.split()) :]
            ALL[command].make_context(command, arguments)
    assert name in called


def called_of(line):
    """The command that a line calls."""
    program, *words = shlex.split(line)
    assert program == "tracrlab", line
    found = [name for name in ALL if words[: len(name.split())] == name.split()]
    assert found, f"no command in: {line}"
    return max(found, key=len)


def test_examples_are_whole_lines():
    shown = CliRunner().invoke(app, ["export", "--help"], terminal_width=60).stdout
    line = "    tracrlab export frac_prevs --to circuit --out circuit.json --out circuit.pdf"
    assert line in shown.splitlines()
    assert "Examples:" in shown


def test_help_takes_under_half_a_second():
    """Of a core, the best of three: what else the machine does is not the command's fault."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "tracrlab", "--help"], check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(seconds) < 0.5


@pytest.mark.parametrize(
    ("shell", "mark"),
    [
        ("bash", "complete -o default -F _tracrlab_completion tracrlab"),
        ("zsh", "compdef _tracrlab_completion tracrlab"),
        ("fish", "complete --command tracrlab --no-files"),
    ],
)
def test_completion_is_written_for_each_shell(shell, mark):
    done = complete({"_TRACRLAB_COMPLETE": f"source_{shell}"})
    assert mark in done


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("tracrlab exp", {"export"}),
        ("tracrlab export hist --to t", {"torch", "transformer-lens"}),
        ("tracrlab zoo s", {"select", "stats"}),
    ],
)
def test_bash_is_offered_commands_and_choices(typed, offered):
    words = typed.split()
    answer = complete(
        {
            "_TRACRLAB_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(words) - 1),
        }
    )
    assert set(answer.split()) == offered


def complete(environment):
    """What the shell gets when it asks the command itself."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'tracrlab'; from tracrlab.cli import main; main()",
        ],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def in_terminal(arguments, **environment):
    """Output of a command on a pseudo-terminal."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tracrlab", *arguments],
        stdout=child,
        stderr=child,
        env=os.environ | {"TERM": "xterm-256color"} | environment,
    )
    os.close(child)
    output = b""
    try:
        while chunk := os.read(parent, 4096):
            output += chunk
    except OSError:  # the other end is closed
        pass
    process.wait()
    os.close(parent)
    return output.decode()


def test_colours_only_on_a_terminal_that_wants_them():
    wrong = ["show", "nothing"]
    assert "\033[31m" in in_terminal(wrong)
    assert "\033[" not in in_terminal(wrong, NO_COLOR="1")
    done = subprocess.run(
        [sys.executable, "-m", "tracrlab", *wrong], capture_output=True, text=True, check=False
    )
    assert done.stderr.startswith("error: ")
    assert "\033[" not in done.stderr


def test_usage_errors_keep_clicks_exit_code():
    assert CliRunner().invoke(app, ["show"]).exit_code == click.UsageError.exit_code
