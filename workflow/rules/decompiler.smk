# Meta-models trained to read weights and write programs, their learning curves, and the check of
# the program form.


rule train_decompiler:
    input:
        manifest=decompiler_zoo,
        start=decompiler_start,
    output:
        model="results/decompiler/{zoo}/{decompiler}/model.safetensors",
        description="results/decompiler/{zoo}/{decompiler}/config.json",
        curve="results/decompiler/{zoo}/{decompiler}/curve.csv",
        events="results/decompiler/{zoo}/{decompiler}/curve.tfevents",
    log:
        "logs/decompiler/train_decompiler/{zoo}_{decompiler}.log",
    benchmark:
        "logs/benchmarks/decompiler/train_decompiler/{zoo}_{decompiler}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: settings.decompiler.threads
    resources:
        mem_mb=settings.decompiler.memory_mb,
        runtime=1440,
        gpu=settings.decompiler.gpus,
    params:
        config=decompiler_config,
        start=decompiler_start_flag,
        out=output_folder,
    message:
        "Training the decompiler {wildcards.decompiler} on the {wildcards.zoo} zoo; log in {log}"
    shell:
        "tracrlab train-decompiler {input.manifest} --zoo {wildcards.zoo} "
        "--method {wildcards.decompiler} {params.start} --config {params.config:q} "
        "--out {params.out} &> {log}"


rule train_autoencoder:
    input:
        "results/zoo/standard/manifest.json",
    output:
        curve="results/decompiler/autoencoder/curve.csv",
        events="results/decompiler/autoencoder/curve.tfevents",
    log:
        "logs/decompiler/train_autoencoder.log",
    benchmark:
        "logs/benchmarks/decompiler/train_autoencoder.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: settings.decompiler.threads
    resources:
        mem_mb=settings.decompiler.memory_mb,
        runtime=720,
        gpu=settings.decompiler.gpus,
    params:
        config=section(
            settings, "seed", "zoo.preset", "decompiler.autoencoder", *DECOMPILERS_TRAINED_WITH
        ),
        out=output_folder,
    message:
        "Training the auto-encoder of programs; log in {log}"
    shell:
        "tracrlab train-decompiler {input} --method autoencoder --config {params.config:q} "
        "--out {params.out} &> {log}"


rule autoencoder_table:
    input:
        "results/decompiler/autoencoder/curve.csv",
    output:
        csv=report(
            "results/decompiler_autoencoder.csv",
            caption="../report/decompiler_autoencoder.rst",
            category="Tables",
        ),
        md="results/decompiler_autoencoder.md",
    log:
        "logs/decompiler/autoencoder_table.log",
    benchmark:
        "logs/benchmarks/decompiler/autoencoder_table.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Putting the auto-encoder's accuracy beside the thesis's; log in {log}"
    shell:
        "tracrlab decompiler-autoencoder {input} --out {output.csv} --out {output.md} &> {log}"


rule decompiler_curves_figure:
    input:
        decompiler_files("curve.csv"),
    output:
        reported_figure("decompiler_curves", caption="../report/decompiler_curves.rst"),
    log:
        "logs/decompiler/decompiler_curves_figure.log",
    benchmark:
        "logs/benchmarks/decompiler/decompiler_curves_figure.tsv"
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
        "Drawing the learning curves of decompilers; log in {log}"
    shell:
        "tracrlab figure decompiler-curves {input} --config {params.config:q} {params.out} &> {log}"
