"""`python -m tests.docs.repaste`: pastes what commands print now where a page shows something else.

Read the difference before it is committed: a changed output is a changed program, or a mistake.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tests.docs.blocks import PAGES, ROOT, commands
from tests.docs.test_commands import agrees, is_run, printed_by


def repaste(page: Path) -> int:
    """Mends the pasted output of a page; gives how many commands had another."""
    text, mended = page.read_text(), 0
    for command in commands(page):
        if command.words[0] != "tracrlab" or not is_run(command):
            continue
        printed = printed_by(command)
        if not agrees(list(command.output), printed):
            old, new = "\n".join(command.output), "\n".join(line.rstrip() for line in printed)
            text, mended = text.replace(old, new, 1), mended + 1
    page.write_text(text)
    return mended


if __name__ == "__main__":
    for shown in PAGES:
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copytree(ROOT / "config", Path(scratch, "config"))
            os.chdir(scratch)
            print(f"{shown.relative_to(ROOT)}: {repaste(shown)} mended")
            os.chdir(ROOT)
