"""The notebook: every cell runs, in order, in a fresh process, and the file is stored clean."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "tour.ipynb"

#: Each cell is compiled under its own name, and a last expression is shown, as a kernel does.
KERNEL = """
import ast, json, sys
names = {"__name__": "__main__"}
for number, source in enumerate(json.load(sys.stdin)):
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, f"cell {number}", "exec"), names)
    if last is not None:
        print(repr(eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)))
"""


def cells():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_every_cell_runs_in_order_and_shows_what_the_text_says(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", KERNEL],
        input=json.dumps([cell.source for cell in cells()]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("[2, 1, 1, 2]") >= 2
    assert "L0.MLP.is_x  -> L1.H0        as value    carries is_x" in done.stdout
    assert "without the rest: 0.0" in done.stdout
    assert "<Figure size" in done.stdout or "Figure(" in done.stdout
    assert not list(tmp_path.iterdir())


def test_it_is_stored_without_outputs():
    assert all(not cell.outputs and cell.execution_count is None for cell in cells())
