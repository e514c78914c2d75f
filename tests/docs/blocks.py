"""The commands that pages show, with the output that is pasted below them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "config" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: What a page may tell a person to type; a line that begins otherwise is output, or code.
_PROGRAM = re.compile(r"(\.venv/bin/)?(tracrlab|snakemake|make|python)(?=\s|$)")
_COMMENT = re.compile(r"\s\s+#.*")


@dataclass(frozen=True)
class Command:
    """One command of a page.

    Attributes:
      page: where it stands, relative to the repository's root.
      words: the program, without its folder, and its arguments.
      output: what is pasted below it, one line each; None where only the command is shown.
    """

    page: str
    words: tuple[str, ...]
    output: tuple[str, ...] | None

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def commands(page: Path) -> Iterator[Command]:
    """Gives a page's commands in their order, from blocks without a language."""
    name = str(page.relative_to(ROOT))
    for language, block in _BLOCK.findall(page.read_text()):
        if language:
            continue
        lines = block.splitlines()
        for number, line in enumerate(lines):
            pasted = line.startswith("$ ")
            text = _COMMENT.sub("", line.removeprefix("$ "))
            if not _PROGRAM.match(text):
                continue
            words = tuple(shlex.split(text.removeprefix(".venv/bin/")))
            yield Command(name, words, tuple(_below(lines, number)) if pasted else None)


def _below(lines: list[str], number: int) -> Iterator[str]:
    for line in lines[number + 1 :]:
        if line.startswith("$ "):
            return
        yield line


def mentions(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Gives program and arguments of the commands that stand in running text."""
    prose = _BLOCK.sub("", page.read_text())
    for text in re.findall(r"`([^`]+)`", prose):
        program, *words = text.split()
        if program in ("tracrlab", "make", "python") and words:
            yield program, words
