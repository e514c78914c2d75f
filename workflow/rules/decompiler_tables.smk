# Trained decompilers on test programs and on the library: predictions, tables and pictures.

#: How widely candidates are searched for.
SEARCHED_WITH = tuple(
    f"decompiler.evaluation.{key}" for key in ("beam", "most_beams", "repairs", "endings")
)


rule predict_programs:
    input:
        manifest="results/zoo/{zoo}/manifest.json",
        model="results/decompiler/{zoo}/{decompiler}/model.safetensors",
        description="results/decompiler/{zoo}/{decompiler}/config.json",
    output:
        "results/decompiler/{zoo}/{decompiler}/predictions.parquet",
    log:
        "logs/decompiler_tables/predict_programs/{zoo}_{decompiler}.log",
    benchmark:
        "logs/benchmarks/decompiler_tables/predict_programs/{zoo}_{decompiler}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
        gpu=settings.decompiler.gpus,
    params:
        config=section(
            settings, "decompiler.rows", "decompiler.evaluation.test_programs", *SEARCHED_WITH
        ),
        folder=output_folder,
        device=decompiler_device(),
    message:
        "Decompiling test programs of the {wildcards.zoo} zoo with {wildcards.decompiler}; log in {log}"
    shell:
        "tracrlab decompiler predict {input.manifest} --decompiler {params.folder} "
        "--zoo {wildcards.zoo} --name {wildcards.decompiler} --config {params.config:q} "
        "--device {params.device} --out {output} &> {log}"


rule decompiler_table:
    input:
        decompiler_files("predictions.parquet"),
    output:
        csv=report(
            "results/decompiler_table.csv",
            caption="../report/decompiler_table.rst",
            category="Tables",
        ),
        md="results/decompiler_table.md",
    log:
        "logs/decompiler_tables/decompiler_table.log",
    benchmark:
        "logs/benchmarks/decompiler_tables/decompiler_table.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Putting every decompiler beside the published ones; log in {log}"
    shell:
        "tracrlab decompiler table {input} --out {output.csv} --out {output.md} &> {log}"


rule decompiler_counts:
    input:
        decompiler_files("predictions.parquet"),
    output:
        csv=report(
            "results/decompiler_{counts}.csv",
            caption="../report/decompiler_counts.rst",
            category="Tables",
        ),
        md="results/decompiler_{counts}.md",
    log:
        "logs/decompiler_tables/decompiler_counts/{counts}.log",
    benchmark:
        "logs/benchmarks/decompiler_tables/decompiler_counts/{counts}.tsv"
    wildcard_constraints:
        counts="by_ops|mistakes|confusion",
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    message:
        "Counting over all predictions: {wildcards.counts}; log in {log}"
    shell:
        "tracrlab decompiler {wildcards.counts} {input} --out {output.csv} --out {output.md} "
        "&> {log}"


rule decompiler_library:
    input:
        models=library_decompilers("model.safetensors"),
        descriptions=library_decompilers("config.json"),
    output:
        csv=report(
            "results/decompiler_library.csv",
            caption="../report/decompiler_library.rst",
            category="Tables",
        ),
        md="results/decompiler_library.md",
    log:
        "logs/decompiler_tables/decompiler_library.log",
    benchmark:
        "logs/benchmarks/decompiler_tables/decompiler_library.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        config=section(settings, *SEARCHED_WITH),
        folders=decompiler_folders,
    message:
        "Decompiling the library's programs; log in {log}"
    shell:
        "tracrlab decompiler library {params.folders} --config {params.config:q} "
        "--out {output.csv} --out {output.md} &> {log}"


rule decompiler_table_figure:
    input:
        decompiler_picture_table,
    output:
        reported_figure("decompiler_{picture}", caption="../report/decompiler_pictures.rst"),
    log:
        "logs/decompiler_tables/decompiler_table_figure/{picture}.log",
    benchmark:
        "logs/benchmarks/decompiler_tables/decompiler_table_figure/{picture}.tsv"
    wildcard_constraints:
        picture="accuracy|confusion",
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
        "Drawing decompilers: {wildcards.picture}; log in {log}"
    shell:
        "tracrlab figure decompiler {wildcards.picture} {input} --config {params.config:q} "
        "{params.out} &> {log}"


rule decompiler_programs_figure:
    input:
        "results/decompiler/{zoo}/{decompiler}/predictions.parquet",
    output:
        reported_figure(
            "decompiler_programs_{zoo}_{decompiler}", caption="../report/decompiler_programs.rst"
        ),
    log:
        "logs/decompiler_tables/decompiler_programs_figure/{zoo}_{decompiler}.log",
    benchmark:
        "logs/benchmarks/decompiler_tables/decompiler_programs_figure/{zoo}_{decompiler}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=section(settings, "figures.dpi", "decompiler.evaluation.examples"),
        out=out_flags,
    message:
        "Drawing predicted and true programs of the {wildcards.zoo} zoo; log in {log}"
    shell:
        "tracrlab figure decompiler programs {input} --config {params.config:q} {params.out} "
        "&> {log}"
