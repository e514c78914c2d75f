"""`tracrlab results-index`: the index of results and the pages of its tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def results_index(
    results: Annotated[
        str, typer.Argument(help="The results as JSON: a list of files, arm and caption each.")
    ],
    out: Annotated[Path, typer.Option(help="The index to write, as .md.")],
    page: Annotated[
        list[str], typer.Option(help="TABLE.csv=PAGE.html: a page to write. Again for more.")
    ],
) -> None:
    """Write the index of results, a line each, and a page of HTML for every table.

    The workflow calls it with what its rules mark for the report.
    """
    import pandas as pd

    from tracrlab.files import write_text
    from tracrlab.report.index import index_markdown
    from tracrlab.report.results import Result, label
    from tracrlab.report.table_page import table_page

    listed = [
        Result(tuple(one["files"]), one["arm"], one["caption"]) for one in json.loads(results)
    ]
    captions = {path: result.caption for result in listed for path in result.files}
    for pair in page:
        table, _, path = pair.partition("=")
        shown = table_page(pd.read_csv(table), label(table), captions[table], Path(table))
        write_text(Path(path), shown)
    write_text(out, index_markdown(listed, out.parent))
