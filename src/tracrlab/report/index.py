"""`results/index.md`: every result with its files and one line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from tracrlab.report.captions import first_sentence
from tracrlab.report.results import Result

_HEAD = """# Results

Every result of this run, by arm of the workflow; the line is the first sentence of its caption.
`make report` puts them on one page with their whole captions and run times.
"""


def index_markdown(results: Sequence[Result], folder: Path) -> str:
    """Gives the index as Markdown, a table an arm, with links relative to the folder it lies in."""
    parts = [_HEAD]
    for arm, members in groupby(results, key=lambda result: result.arm):
        parts += [f"\n## {arm.partition(' ')[2]}\n", "| result | files | what |", "|---|---|---|"]
        parts += [_line(result, folder) for result in members]
    return "\n".join(parts) + "\n"


def _line(result: Result, folder: Path) -> str:
    links = [Path(os.path.relpath(path, folder)) for path in result.files]
    shown = ", ".join(f"[{path.suffix[1:]}]({path.as_posix()})" for path in links)
    return f"| {links[0].with_suffix('')} | {shown} | {first_sentence(result.caption)} |"
