# The superposition study of the Tracr paper: widths and seeds of a program, trained side by side.


rule study_program:
    output:
        runs="results/study/{name}/runs.csv",
        curves="results/study/{name}/curves.csv",
        matrices="results/study/{name}/matrices.safetensors",
        outputs="results/study/{name}/outputs.safetensors",
    log:
        "logs/study/study_program/{name}.log",
    benchmark:
        "logs/benchmarks/study/study_program/{name}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=720,
    params:
        config=section(settings, "seed", "study", without=("study.programs", "study.library")),
        out_dir=output_folder,
    message:
        f"Compressing {{wildcards.name}} at every width, {settings.study.steps} steps; log in {{log}}"
    shell:
        "tracrlab study train {wildcards.name} --config {params.config:q} "
        "--out-dir {params.out_dir} &> {log}"


rule study_library:
    output:
        "results/study/library/{name}.csv",
    log:
        "logs/study/study_library/{name}.log",
    benchmark:
        "logs/benchmarks/study/study_library/{name}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=720,
    params:
        config=section(settings, "seed", "study.library", without=("study.library.programs",)),
    message:
        f"Compressing {{wildcards.name}} for the summary, {settings.study.library.steps} steps; "
        "log in {log}"
    shell:
        "tracrlab study library {wildcards.name} --config {params.config:q} --out {output} &> {log}"


rule study_summary:
    input:
        expand("results/study/{name}/runs.csv", name=settings.study.programs),
    output:
        csv=report(
            "results/study/summary.csv",
            caption="../report/study_summary.rst",
        ),
        md="results/study/summary.md",
    log:
        "logs/study/study_summary.log",
    benchmark:
        "logs/benchmarks/study/study_summary.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Setting the superposition study beside the Tracr paper; log in {log}"
    shell:
        "tracrlab study summary {input} --out {output.csv} --out {output.md} &> {log}"


rule study_loss_figure:
    input:
        runs="results/study/{name}/runs.csv",
        curves="results/study/{name}/curves.csv",
        matrices="results/study/{name}/matrices.safetensors",
    output:
        reported_figure("study_loss_{name}", caption="../report/study_loss.rst"),
    log:
        "logs/study/study_loss_figure/{name}.log",
    benchmark:
        "logs/benchmarks/study/study_loss_figure/{name}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=section(settings, "figures.dpi"),
        folder=study_folder,
        out=out_flags,
    message:
        "Drawing the losses of compressing {wildcards.name}; log in {log}"
    shell:
        "tracrlab figure study loss {params.folder} --config {params.config:q} {params.out} &> {log}"


rule study_layers_figure:
    input:
        runs="results/study/{name}/runs.csv",
        outputs="results/study/{name}/outputs.safetensors",
    output:
        reported_figure("study_layers_{name}", caption="../report/study_layers.rst"),
    log:
        "logs/study/study_layers_figure/{name}.log",
    benchmark:
        "logs/benchmarks/study/study_layers_figure/{name}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=section(settings, "figures.dpi"),
        folder=study_folder,
        out=out_flags,
    message:
        "Drawing the layer outputs of {wildcards.name} compressed; log in {log}"
    shell:
        "tracrlab figure study layers {params.folder} --config {params.config:q} {params.out} &> {log}"


rule study_matrices_figure:
    input:
        runs="results/study/{name}/runs.csv",
        matrices="results/study/{name}/matrices.safetensors",
    output:
        reported_figure("study_matrices_{name}", caption="../report/study_matrices.rst"),
    log:
        "logs/study/study_matrices_figure/{name}.log",
    benchmark:
        "logs/benchmarks/study/study_matrices_figure/{name}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=section(settings, "figures.dpi"),
        folder=study_folder,
        out=out_flags,
    message:
        "Drawing W and folded weights of {wildcards.name}; log in {log}"
    shell:
        "tracrlab figure study matrices {params.folder} --config {params.config:q} {params.out} "
        "&> {log}"


rule study_library_figure:
    input:
        expand("results/study/library/{name}.csv", name=settings.study.library.chosen),
    output:
        reported_figure("study_library", caption="../report/study_library.rst"),
    log:
        "logs/study/study_library_figure.log",
    benchmark:
        "logs/benchmarks/study/study_library_figure.tsv"
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
        "Drawing how far library programs compress; log in {log}"
    shell:
        "tracrlab figure study library {input} --config {params.config:q} {params.out} &> {log}"
