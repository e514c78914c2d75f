# Whether a program of the test split stands in training too, over all zoos.


rule leaks:
    input:
        standard="results/zoo/standard/manifest.json",
        compressed="results/zoo/compressed/manifest.json",
        natural="results/zoo/natural/manifest.json",
    output:
        csv=report("results/leaks.csv", caption="../report/leaks.rst", category="Tables"),
        md="results/leaks.md",
    log:
        "logs/zoo/leaks.log",
    benchmark:
        "logs/benchmarks/zoo/leaks.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    message:
        "Looking for test programs that stand in training too; log in {log}"
    shell:
        "tracrlab zoo leaks {input.standard} {input.compressed} {input.natural} "
        "--out {output.csv} --out {output.md} &> {log}"
