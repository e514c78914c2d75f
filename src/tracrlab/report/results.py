"""A result of the workflow: its files, its arm, its caption, and what people see it called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

#: Arms of the workflow, by the first word of the file of rules that makes their results.
ARMS = {
    "zoo": "1 Zoo",
    "figures": "1 Zoo",
    "students": "2 Students",
    "study": "3 Superposition",
    "decompiler": "4 Decompiler",
    "injection": "5 Injection",
    "base": "5 Injection",
}


@dataclass(frozen=True)
class Result:
    """One table, figure or set of data.

    Attributes:
      files: its files, one a format; the first is the one that the report shows.
      arm: the arm of the workflow that made it.
      caption: what it shows, as reStructuredText.
      rule: the rule that made it.
    """

    files: Sequence[str]
    arm: str
    caption: str
    rule: str

    def as_dict(self) -> dict:
        """The result as JSON has it."""
        return {
            "files": list(self.files),
            "arm": self.arm,
            "caption": self.caption,
            "rule": self.rule,
        }


def arm_of(rules_file: str) -> str:
    """The arm that a file of rules belongs to; a file of no known arm makes one of its own."""
    word = Path(rules_file).stem.split("_")[0]
    return ARMS.get(word, f"{len(set(ARMS.values())) + 1} {word.capitalize()}")


def label(path: str) -> str:
    """A result's name in the report: its kind, and its file's path in the results."""
    shown = PurePosixPath(in_results(path))
    if shown.parts[0] == "figures":
        return f"Figure {shown.stem}"
    if shown.suffix == ".csv":
        return f"Table {shown.with_suffix('')}"
    return f"Data {shown} (download)"


def in_results(path: str) -> str:
    """The part of a path behind `results/`; what is before is a module's prefix."""
    return str(path).split("results/", 1)[-1]


def table_name(table: Result) -> str:
    """A table's path in the results, without its ending; its page has the same in `pages/`."""
    return str(PurePosixPath(in_results(table.files[0])).with_suffix(""))
