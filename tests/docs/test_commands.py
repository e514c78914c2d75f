"""Every command in README.md, config/README.md and docs/ is run, or planned, or parsed.

- `$ tracrlab ...` is run in a scratch folder, the commands of a page one after the other, and what
  is pasted below it is compared; times and losses may differ, a line `...` stands for any lines.
- A command that needs what only a run of the workflow makes, or that takes minutes (`LONG`), is
  parsed by the real command line: a wrong name, option or value fails.
- `snakemake ...` is planned with `-n`, once for each set of arguments; where output is pasted, its
  last line is compared.
- `make TARGET` is planned with `make -n`.
- `python -m MODULE` names a module that is there.
- In running text, the names of commands, targets and modules are looked up.

`python -m tests.docs.repaste` pastes what commands print now where a page shows something else.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.docs.blocks import PAGES, ROOT, Command, commands, mentions
from tracrlab.cli import app
from tracrlab.errors import TracrLabError

ALL = [command for page in PAGES for command in commands(page)]
#: What takes minutes, or reads what takes minutes to make.
LONG = ("inject", "evaluate", "decode", "pretrain-tiny", "train-decompiler")
#: What differs between runs or machines: times, and figures that rounding in training decides.
LOOSE = (
    (re.compile(r"\b[\d.]+ s\b"), "<time>"),
    (re.compile(r"\bloss [\d.e-]+"), "<loss>"),
    (re.compile(r"\b[\d,]+ steps\b"), "<steps>"),
    (re.compile(r"\blargest error [\d.e+-]+"), "<error>"),
)


def of(program: str) -> list[Command]:
    return [command for command in ALL if command.words[0] == program]


def is_run(command: Command) -> bool:
    """Whether a `tracrlab` command is run here, and not only parsed."""
    made_by_a_run = any(word.startswith("results/") for word in command.words)
    return command.output is not None and command.words[1] not in LONG and not made_by_a_run


def printed_by(command: Command) -> list[str]:
    """Runs a `tracrlab` command in the working directory; gives what a person would see."""
    result = CliRunner().invoke(app, list(command.words[1:]))
    printed = result.output.rstrip().splitlines()
    if isinstance(result.exception, TracrLabError):
        printed.append(f"error: {result.exception}")
    return printed


def agrees(pasted: list[str], printed: list[str]) -> bool:
    """Whether printed lines are the pasted ones, but for `LOOSE`, and `...` for any lines."""
    pattern = "".join(
        "(?:.*\n)*?" if line == "..." else re.escape(_line(line)) + "\n" for line in pasted
    )
    return re.fullmatch(pattern, "".join(_line(line) + "\n" for line in printed)) is not None


def _line(line: str) -> str:
    line = line.rstrip()
    for pattern, name in LOOSE:
        line = pattern.sub(name, line)
    return line


def test_pasted_output_agrees_but_for_times_and_what_is_left_out():
    printed = ["a 2.5 s", "b", "c", "d 1"]
    assert agrees(["a 31 s", "b", "c", "d 1"], printed)
    assert agrees(["a 31 s", "...", "d 1"], printed)
    assert agrees(["..."], printed)
    assert not agrees(["a 2.5 s", "b", "d 1"], printed)
    assert not agrees(["a 2.5 s", "b", "c", "d 2"], printed)


def test_every_page_is_read():
    assert len(of("tracrlab")) > 20
    assert len([command for command in ALL if command.page == "README.md"]) > 12
    assert {command.words[0] for command in ALL} == {"tracrlab", "snakemake", "make"}


@pytest.fixture
def scratch(tmp_path, monkeypatch) -> Path:
    """A folder with the repository's `config/`, which commands take for its root."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parsed(words: tuple[str, ...]) -> None:
    """Reads a command line as `tracrlab` does, without the work; what is wrong raises."""
    command = typer.main.get_command(app)
    context = None
    for place, word in enumerate(words):
        if not hasattr(command, "commands"):
            command.make_context(words[place - 1], list(words[place:]), parent=context)
            return
        assert word in command.commands, f"tracrlab has no command {word}"
        command = command.commands[word]
    if not hasattr(command, "commands"):
        command.make_context(words[-1], [], parent=context)


@pytest.mark.parametrize("page", sorted({command.page for command in of("tracrlab")}))
def test_tracrlab(page, scratch):
    for command in of("tracrlab"):
        if command.page != page:
            continue
        if not is_run(command):
            if command.words[1:] != ("--help",):
                parsed(command.words[1:])
            continue
        printed = printed_by(command)
        pasted = list(command.output)
        assert agrees(pasted, printed), f"{command}\nprints\n" + "\n".join(printed)


def snakemake(scratch: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Plans what a page would have a person run, in the scratch folder."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *words, "--directory", str(scratch), "-n", "--quiet"],
        cwd=ROOT,
        env=os.environ | {"TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.workflow
@pytest.mark.parametrize(
    "words", sorted({command.words[1:] for command in of("snakemake")}), ids=" ".join
)
def test_snakemake(words, scratch):
    shown = next(command for command in of("snakemake") if command.words[1:] == words)
    # The report is made of results, which are not there; SLURM is not either.
    planned = [word for word in words if word != "--report" and not word.endswith(".html")]
    planned = ["profiles/local" if word == "profiles/slurm" else word for word in planned]
    done = snakemake(scratch, *planned)
    if shown.output is None:
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        assert shown.output[-1] in done.stdout + done.stderr


@pytest.mark.parametrize("command", of("make"), ids=str)
def test_make(command):
    done = subprocess.run(
        ["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_in_running_text(page):
    makefile = (ROOT / "Makefile").read_text()
    for program, words in mentions(page):
        if program == "make":
            assert re.search(rf"^{words[0]}:", makefile, re.MULTILINE), words
        elif program == "python":
            assert words[0] != "-m" or importlib.util.find_spec(words[1]), words
        elif program == "tracrlab":
            command = typer.main.get_command(app)
            for word in words:
                if not hasattr(command, "commands") or word.startswith("-") or word == "...":
                    break
                assert word in command.commands, f"tracrlab {' '.join(words)}"
                command = command.commands[word]


def test_the_readmes_python_runs_and_gives_what_its_comments_say(scratch):
    block = next(
        text
        for text in re.findall(
            r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S
        )
        if text.startswith("import tracrlab")
    )
    names: dict = {}
    exec(block, names)
    said = [line.split("  # ") for line in block.splitlines() if "  # [" in line or "  # (" in line]
    assert len(said) >= 2
    for call, value in said:
        assert str(eval(call, names)) == value.split(": ")[0], call


def test_links_lead_to_files():
    for page in PAGES:
        text = page.read_text()
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links {target}"


def test_the_index_of_the_documentation_lists_every_page():
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index, page.name


def test_no_page_repeats_another():
    """No sentence of some length stands on two pages."""
    seen: dict[str, str] = {}
    for page in PAGES:
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        paragraphs = (" ".join(part.split()) for part in prose.split("\n\n"))
        for sentence in chain.from_iterable(re.split(r"(?<=[.?!]) ", part) for part in paragraphs):
            if len(sentence) > 60 and not sentence.startswith("|"):
                other = seen.setdefault(sentence, page.name)
                assert other == page.name, f"{other} and {page.name}: {sentence}"
