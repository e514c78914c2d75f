# What people open first: the index of results, and the tables as pages of the report. Included last:
# it reads what the other rules mark with report(...).
import json

from tracrlab.report.marked import file_reports_by_arm, results_of
from tracrlab.report.results import in_results, table_name

RESULTS = results_of(workflow, rules.all.input, config)
TABLES.update(
    {table_name(result): result for result in RESULTS if result.files[0].endswith(".csv")}
)
file_reports_by_arm(workflow)


rule results_index:
    input:
        [path for path in rules.all.input if not callable(path) and in_results(path) != "index.md"],
    output:
        md="results/index.md",
        json="results/index.json",
    log:
        "logs/results_index.log",
    benchmark:
        "logs/benchmarks/results_index.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        results=json.dumps([result.as_dict() for result in RESULTS]),
    message:
        f"Listing {len(RESULTS)} results; log in {{log}}"
    shell:
        "tracrlab results index {params.results:q} --out {output.md} --out {output.json} &> {log}"


rule table_page:
    input:
        "results/{table}.csv",
    output:
        report(
            "results/pages/{table}.html",
            caption="../report/table.rst",
            category=lambda wildcards: TABLES[wildcards.table].arm,
            labels={"Result": "Table {table}"},
        ),
    log:
        "logs/table_page/{table}.log",
    benchmark:
        "logs/benchmarks/table_page/{table}.tsv"
    wildcard_constraints:
        table=r"[\w/]+",
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        caption=lambda wildcards: TABLES[wildcards.table].caption,
        made_by=lambda wildcards: TABLES[wildcards.table].rule,
    message:
        "Making a page of the table {wildcards.table}; log in {log}"
    shell:
        "tracrlab results page {input} --caption {params.caption:q} --made-by {params.made_by} "
        "--out {output} &> {log}"
