# Pictures of injected models.


rule injection_losses_figure:
    input:
        injection_files("losses.csv", methods=settings.injection.methods),
    output:
        reported_figure("injection_losses", caption="../report/injection_losses.rst"),
    log:
        "logs/injection_figures/losses.log",
    benchmark:
        "logs/benchmarks/injection_figures/losses.tsv"
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
        "Drawing the losses of injected models; log in {log}"
    shell:
        "tracrlab figure injection losses {input} --config {params.config:q} {params.out} &> {log}"


rule injection_ood_figure:
    input:
        "results/ood_table.csv",
    output:
        reported_figure("injection_ood", caption="../report/injection_ood.rst"),
    log:
        "logs/injection_figures/ood.log",
    benchmark:
        "logs/benchmarks/injection_figures/ood.tsv"
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
        "Drawing accuracies outside the training range; log in {log}"
    shell:
        "tracrlab figure injection ood {input} --config {params.config:q} {params.out} &> {log}"


rule injection_table_figure:
    input:
        "results/injection/{task}/{method}/0/{picture}.csv",
    output:
        reported_figure(
            "injection_{picture}_{task}_{method}", caption="../report/injection_measured.rst"
        ),
    log:
        "logs/injection_figures/{picture}_{task}_{method}.log",
    benchmark:
        "logs/benchmarks/injection_figures/{picture}_{task}_{method}.tsv"
    wildcard_constraints:
        picture="variables|noise|interchange",
        method="tracr_injection|interchange",
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
        "Drawing {wildcards.picture} of {wildcards.task} by {wildcards.method}; log in {log}"
    shell:
        "tracrlab figure injection {wildcards.picture} {input} --config {params.config:q} "
        "{params.out} &> {log}"


rule injection_model_figure:
    input:
        "results/injection/{task}/{method}/0/model",
    output:
        reported_figure(
            "injection_{picture}_{task}_{method}", caption="../report/injection_stream.rst"
        ),
    log:
        "logs/injection_figures/{picture}_{task}_{method}.log",
    benchmark:
        "logs/benchmarks/injection_figures/{picture}_{task}_{method}.tsv"
    wildcard_constraints:
        picture="decoded|streams",
        method="tracr_injection|interchange",
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
        "Drawing {wildcards.picture} of {wildcards.task} by {wildcards.method}; log in {log}"
    shell:
        "tracrlab figure injection {wildcards.picture} {input} --config {params.config:q} "
        "{params.out} &> {log}"
