"""Tables as pages: the report shows HTML in place, and offers a .csv for download only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tracrlab.report.captions import caption_html

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { margin: 1.5rem; font: 14px/1.45 system-ui, sans-serif; color: #1b1b1b; background: white; }
h1 { margin: 0; font-size: 1.2rem; }
.caption { max-width: 46rem; color: #444; }
table { border-collapse: collapse; }
th { position: sticky; top: 0; background: #eef2f6; text-align: left; vertical-align: bottom; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #dde2e7; max-width: 28rem; }
td { vertical-align: top; }
.long { min-width: 18rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr:hover td { background: #f6f8fa; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<div class="caption">{{ caption }}</div>
<table>
<thead><tr>
{% for name, kind in columns %}<th class="{{ kind }}">{{ name | e }}</th>{% endfor %}
</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for cell, kind in row %}<td class="{{ kind }}">{{ cell | e }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
<p class="caption">Made by the rule {{ rule | e }}; to compute with: {{ source | e }}</p>
</body>
</html>
"""


def table_page(table: pd.DataFrame, title: str, caption: str, *, source: Path, rule: str) -> str:
    """Gives a table as a page of HTML that needs nothing else.

    Args:
      table: the table; missing values are left empty, numbers have four significant digits.
      title: heading of the page.
      caption: what the table shows, as reStructuredText.
      source: the file that the page names for those who compute with it.
      rule: the rule of the workflow that made it.
    """
    from jinja2 import Environment

    kinds = [_kind(table[name]) for name in table]
    rows = [
        [(_cell(value), kind) for value, kind in zip(row, kinds, strict=True)]
        for row in table.itertuples(index=False)
    ]
    page = Environment(trim_blocks=True).from_string(_PAGE)
    return page.render(
        title=title,
        caption=caption_html(caption),
        columns=list(zip(table.columns, kinds, strict=True)),
        rows=rows,
        source=source.as_posix(),
        rule=rule,
    )


def _kind(column: pd.Series) -> str:
    if pd.api.types.is_numeric_dtype(column) and column.dtype != bool:
        return "number"
    return "long" if column.astype(str).str.len().max() > 40 else ""


def _cell(value) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if value == round(value) and abs(value) >= 1 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
