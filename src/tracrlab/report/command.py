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
    """Write the index of results, a line each."""
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


@app.command("pages")
def pages(
    index: Annotated[Path, typer.Argument(help="The index of results, as .json.")],
    page: Annotated[
        list[str], typer.Option(help="TABLE.csv=PAGE.html: a page to write. Again for more.")
    ],
) -> None:
    """Write tables as pages of HTML, each with its caption.

    Example: tracrlab results pages results/index.json --page results/library.csv=library.html
    """
    import pandas as pd

    from tracrlab.files import write_text
    from tracrlab.report.results import Result, label
    from tracrlab.report.table_page import table_page

    results = {
        path: Result(**result)
        for result in json.loads(index.read_text())
        for path in result["files"]
    }
    for pair in page:
        table, _, path = pair.partition("=")
        if table not in results:
            raise TracrLabError(f"{table} is no result that {index} lists.")
        result = results[table]
        shown = table_page(
            pd.read_csv(table),
            label(table),
            result.caption,
            source=Path(table),
            rule=result.rule,
        )
        write_text(Path(path), shown)
