"""The index of results, pages of tables and captions, on results made by hand."""

import json
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pandas as pd
import pytest
from typer.testing import CliRunner

from tracrlab.cli import app
from tracrlab.errors import TracrLabError
from tracrlab.report.captions import caption_text, first_sentence
from tracrlab.report.index import index_markdown
from tracrlab.report.results import Result, arm_of, in_results, label, table_name
from tracrlab.report.table_page import table_page

RESULTS = [
    Result(["results/a.csv", "results/a.md"], "1 Zoo", "What *a* has, by b. And more.", "make_a"),
    Result(
        ["results/figures/b.png", "results/figures/b.pdf"],
        "1 Zoo",
        "A picture\nof ``b``.",
        "draw_b",
    ),
    Result(["results/zoo/natural/manifest.json"], "2 Students", "The zoo", "list_zoo"),
]


def test_the_first_sentence_is_one_line_of_markdown():
    assert first_sentence("One\nline of ``code``. Two.") == "One line of `code`."
    assert first_sentence("Is it (section 5.1)? Yes.") == "Is it (section 5.1)?"
    assert first_sentence("At most 0.05, or 99 %. **x** is.") == "At most 0.05, or 99 %."
    assert first_sentence("No end") == "No end"


def test_captions_are_filled_in_and_name_nothing_unknown():
    template = (
        "{{ snakemake.wildcards.name }} of {{ snakemake.config['zoo']['ops'] | join(' to ') }}"
    )
    assert caption_text(template, {"name": "x"}, {"zoo": {"ops": [3, 5]}}) == "x of 3 to 5"
    with pytest.raises(jinja2.UndefinedError, match="nmae"):
        caption_text("{{ snakemake.wildcards.nmae }}", {"name": "x"}, {})


def test_the_index_has_a_table_an_arm_and_a_line_a_result():
    assert (
        index_markdown(RESULTS, Path("results")).split("\n\n", 2)[2]
        == """
## Zoo

| result | files | what |
|---|---|---|
| a | [csv](a.csv), [md](a.md) | What *a* has, by b. |
| figures/b | [png](figures/b.png), [pdf](figures/b.pdf) | A picture of `b`. |

## Students

| result | files | what |
|---|---|---|
| zoo/natural/manifest | [json](zoo/natural/manifest.json) | The zoo |
"""
    )


def test_a_result_belongs_to_the_arm_of_its_file_of_rules():
    assert arm_of("/x/workflow/rules/base_models.smk") == arm_of("injection_figures.smk")
    assert arm_of("figures.smk") == "1 Zoo"
    assert arm_of("decompiler_tables.smk") == "4 Decompiler"
    assert arm_of("exports.smk") == "6 Exports"


def test_names_in_the_report():
    assert label("results/figures/a_{name}.png") == "Figure a_{name}"
    assert label("lab/results/study/summary.csv") == "Table study/summary"
    assert label("results/zoo/manifest.json") == "Data zoo/manifest.json (download)"
    assert [table_name(result) for result in RESULTS] == ["a", "figures/b", "zoo/natural/manifest"]
    assert in_results("index.md") == in_results("lab/results/index.md") == "index.md"


class Cells(HTMLParser):
    """The rows of the table of a page, and every address that the page names."""

    def __init__(self, page: str):
        super().__init__()
        self.rows, self.addresses, self.inside = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        self.inside = tag in ("td", "th")
        if self.inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def test_a_page_has_every_cell_and_asks_for_nothing():
    table = pd.DataFrame(
        {"name": ["a<b", "c"], "count": [1234, 5], "share": [0.123456, None], "whole": [2.0, 30000]}
    ).assign(right=[True, False])
    cells = Cells(
        table_page(table, "Table x", "What **x** is.", source=Path("results/x.csv"), rule="r")
    )
    assert cells.rows == [
        ["name", "count", "share", "whole", "right"],
        ["a<b", "1,234", "0.1235", "2", "yes"],
        ["c", "5", "", "30,000", "no"],
    ]
    assert cells.addresses == []


def run(*arguments):
    return CliRunner().invoke(app, ["results", *map(str, arguments)])


def test_the_commands_write_index_and_pages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    pd.DataFrame({"n": [1]}).to_csv("results/a.csv", index=False)
    listed = json.dumps([result.as_dict() for result in RESULTS])
    outs = ("--out", "results/index.md", "--out", "results/index.json")
    assert run("index", listed, *outs).exit_code == 0
    assert Path("results/index.md").read_text() == index_markdown(RESULTS, Path("results"))
    assert json.loads(Path("results/index.json").read_text()) == json.loads(listed)
    asked = (
        "--caption",
        RESULTS[0].caption,
        "--made-by",
        "make_a",
        "--out",
        "results/pages/a.html",
    )
    assert run("page", "results/a.csv", *asked).exit_code == 0
    page = Path("results/pages/a.html").read_text()
    assert "What <em>a</em> has" in page
    assert "Made by the rule make_a" in page


def test_wrong_input_ends_in_one_sentence(tmp_path):
    wrong = run("index", "[]", "--out", tmp_path / "index.txt").exception
    assert isinstance(wrong, TracrLabError)
    assert "must end in .md or .json" in str(wrong)
