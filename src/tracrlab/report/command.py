"""`tracrlab results ...`: the index of results and the pages of tables; rules call them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tracrlab.errors import TracrLabError

app = typer.Typer(help="The index of results, and pages of tables.", no_args_is_help=True)


@app.command("index")
def index(
    results: Annotated[
        str,
        typer.Argument(help="The results as JSON: a list of files, arm, caption and rule each."),
    ],
    out: Annotated[
        list[Path], typer.Option("--out", help="File to write; .md or .json. Again for more.")
    ],
) -> None:
    """Write the index of results, a line each.

    Example: tracrlab results index '[]' --out results/index.md
    """
    from tracrlab.files import write_text
    from tracrlab.report.index import index_markdown
    from tracrlab.report.results import Result

    listed = json.loads(results)
    for path in out:
        if path.suffix not in (".md", ".json"):
            raise TracrLabError(f"{path} must end in .md or .json.")
    for path in out:
        if path.suffix == ".md":
            write_text(path, index_markdown([Result(**one) for one in listed], path.parent))
        else:
            write_text(path, json.dumps(listed, indent=1, ensure_ascii=False) + "\n")


@app.command("page")
def page(
    table: Annotated[Path, typer.Argument(help="The table, as .csv.")],
    caption: Annotated[str, typer.Option(help="What it shows, as reStructuredText.")],
    made_by: Annotated[str, typer.Option(help="The rule of the workflow that made it.")],
    out: Annotated[Path, typer.Option(help="The page to write, as .html.")],
) -> None:
    """Write a table as a page of HTML, with its caption.

    Example: tracrlab results page results/library.csv --caption "Sizes." --made-by library_table
    --out library.html
    """
    import pandas as pd

    from tracrlab.files import write_text
    from tracrlab.report.results import label
    from tracrlab.report.table_page import table_page

    shown = table_page(pd.read_csv(table), label(str(table)), caption, source=table, rule=made_by)
    write_text(out, shown)
