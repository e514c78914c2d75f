# What people open first: the index of results, and the tables as pages of the report. Included last:
# it reads what the other rules mark with report(...).
import json

from tracrlab.report.marked import file_reports_by_arm, page_flags, prefixed, results_of
from tracrlab.report.results import in_results, label, page_of

RESULTS = results_of(workflow, rules.all.input, config)
TABLES.extend(result for result in RESULTS if result.files[0].endswith(".csv"))
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


rule table_pages:
    input:
        index="results/index.json",
        tables=[prefixed(table.files[0]) for table in TABLES],
    output:
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
        "logs/table_pages.log",
    benchmark:
        "logs/benchmarks/table_pages.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        pages=page_flags,
    message:
        f"Making pages of {len(TABLES)} tables; log in {{log}}"
    shell:
        "tracrlab results pages {input.index} {params.pages:q} &> {log}"
