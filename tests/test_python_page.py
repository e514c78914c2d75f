"""docs/python.md: its Python runs from top to bottom, and gives what its comments say."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text()


def test_the_page_runs_and_gives_what_it_says(tmp_path):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.M | re.S)
    lines = [line for name, text in found if name == "python" for line in text.splitlines()]
    code = []
    for line in lines:
        call, _, said = line.partition("  # ")
        # A comment that begins with a value is what the call gives.
        value = said.split(": ")[0]
        checked = value.startswith("(") or value in ("True", "False")
        code.append(f"assert ({call}) == {value}, {call!r}" if checked else call)
    printed = next(text for name, text in found if name == "")
    code.append(f"assert str(programs[0]) == {printed.strip()!r}")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("assert") for line in code) == 4
