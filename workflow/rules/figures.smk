# Every picture, and the table of library programs.


rule library_table:
    output:
        csv=report("results/library.csv", caption="../report/library.rst"),
        md="results/library.md",
    log:
        "logs/figures/library_table.log",
    benchmark:
        "logs/benchmarks/figures/library_table.tsv"
    # Needs no zoo: the first things a person sees.
    priority: 10
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Compiling every library program for its sizes; log in {log}"
    shell:
        "tracrlab library --out {output.csv} --out {output.md} &> {log}"


rule residuals_figure:
    output:
        reported_figure("residuals_{name}", caption="../report/residuals.rst"),
    log:
        "logs/figures/residuals_{name}.log",
    benchmark:
        "logs/benchmarks/figures/residuals_{name}.tsv"
    # Needs no zoo: the first things a person sees.
    priority: 10
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=section(settings, "figures.dpi"),
        out=out_flags,
    message:
        "Drawing the residual stream of {wildcards.name}; log in {log}"
    shell:
        "tracrlab figure residuals {wildcards.name} --config {params.config:q} {params.out} &> {log}"


rule blocks_figure:
    output:
        reported_figure("blocks_{name}", caption="../report/blocks.rst"),
    log:
        "logs/figures/blocks_{name}.log",
    benchmark:
        "logs/benchmarks/figures/blocks_{name}.tsv"
    # Needs no zoo: the first things a person sees.
    priority: 10
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=section(settings, "figures.dpi"),
        out=out_flags,
    message:
        "Drawing the compiled blocks of {wildcards.name}; log in {log}"
    shell:
        "tracrlab figure blocks {wildcards.name} --config {params.config:q} {params.out} &> {log}"


rule zoo_statistics_figure:
    input:
        "results/zoo/standard/manifest.json",
    output:
        reported_figure("zoo_statistics", caption="../report/zoo_statistics.rst"),
    log:
        "logs/figures/zoo_statistics.log",
    benchmark:
        "logs/benchmarks/figures/zoo_statistics.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=section(settings, "figures.dpi"),
        out=out_flags,
    message:
        "Drawing the sizes of the programs in the zoo; log in {log}"
    shell:
        "tracrlab figure zoo-statistics {input} --config {params.config:q} {params.out} &> {log}"


rule zoo_rejections_figure:
    input:
        "results/zoo/standard/manifest.json",
    output:
        reported_figure("zoo_rejections", caption="../report/zoo_rejections.rst"),
    log:
        "logs/figures/zoo_rejections.log",
    benchmark:
        "logs/benchmarks/figures/zoo_rejections.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=section(settings, "figures.dpi"),
        out=out_flags,
    message:
        "Drawing why candidates were rejected; log in {log}"
    shell:
        "tracrlab figure zoo-rejections {input} --config {params.config:q} {params.out} &> {log}"
