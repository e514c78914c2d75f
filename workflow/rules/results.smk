# What people open first: results/index.md, and the tables as pages of the report. Included last: it
# reads what the other rules mark with report(...).
import json

from tracrlab.report.results import (
    file_reports_by_arm,
    in_results,
    label,
    page_flags,
    page_of,
    prefixed,
    results_of,
)

RESULTS = results_of(workflow, rules.all.input, config)
TABLES = [result for result in RESULTS if result.files[0].endswith(".csv")]
file_reports_by_arm(workflow)


rule results_index:
    input:
        results=[path for path in rules.all.input if in_results(path) != "index.md"],
        tables=[prefixed(table.files[0]) for table in TABLES],
    output:
        index="results/index.md",
        pages=[
            report(
                page_of(table.files[0]),
                caption=f"../report/{table.caption_file}",
                category=table.arm,
                labels={"Result": label(table.files[0])},
            )
            for table in TABLES
        ],
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
        pages=page_flags,
    message:
        f"Listing {len(RESULTS)} results in {{output.index}}; log in {{log}}"
    shell:
        "tracrlab results-index {params.results:q} {params.pages:q} --out {output.index} &> {log}"
