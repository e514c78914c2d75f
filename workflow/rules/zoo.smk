# The standard zoo: candidates are sampled, distinct ones selected, compiled and verified.


rule sample_programs:
    output:
        "results/zoo/standard/programs/{shard}.parquet",
    log:
        "logs/zoo/sample_programs/{shard}.log",
    benchmark:
        "logs/benchmarks/zoo/sample_programs/{shard}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=120,
    params:
        # A shard of candidates does not depend on how many are wanted or what becomes of them.
        config=section(
            settings,
            "seed",
            "zoo",
            without=("zoo.programs", "zoo.oversample", "zoo.splits", "zoo.verify_inputs"),
        ),
    message:
        f"Sampling shard {{wildcards.shard}} of {settings.zoo.program_shards}, "
        f"{settings.zoo.shard_size} candidate programs; log in {{log}}"
    shell:
        "tracrlab sample --config {params.config:q} --shard {wildcards.shard} --out {output} &> {log}"


rule select_programs:
    input:
        programs=expand(
            "results/zoo/standard/programs/{shard}.parquet",
            shard=shard_names(settings.zoo.program_shards),
        ),
    output:
        selected=expand(
            "results/zoo/standard/selected/{shard}.parquet",
            shard=shard_names(settings.zoo.shards),
        ),
    log:
        "logs/zoo/select_programs.log",
    benchmark:
        "logs/benchmarks/zoo/select_programs.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        config=section(settings, "seed", "zoo", without=("zoo.verify_inputs",)),
        programs_dir=programs_folder,
        out_dir=output_folder,
    message:
        f"Selecting {settings.zoo.programs} distinct programs of {settings.zoo.candidates} "
        "candidates; log in {log}"
    shell:
        "tracrlab zoo select --config {params.config:q} --programs-dir {params.programs_dir} "
        "--out-dir {params.out_dir} &> {log}"


rule build_shard:
    input:
        "results/zoo/standard/selected/{shard}.parquet",
    output:
        "results/zoo/standard/shards/{shard}.parquet",
    log:
        "logs/zoo/build_shard/{shard}.log",
    benchmark:
        "logs/benchmarks/zoo/build_shard/{shard}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        config=section(settings, "seed", "zoo"),
    message:
        f"Compiling and verifying shard {{wildcards.shard}} of {settings.zoo.shards}, up to "
        f"{settings.zoo.shard_size} programs; log in {{log}}"
    shell:
        "tracrlab zoo build --config {params.config:q} {input} --out {output} &> {log}"


rule zoo_manifest:
    input:
        selected=expand(
            "results/zoo/standard/selected/{shard}.parquet",
            shard=shard_names(settings.zoo.shards),
        ),
        shards=expand(
            "results/zoo/standard/shards/{shard}.parquet",
            shard=shard_names(settings.zoo.shards),
        ),
    output:
        report("results/zoo/standard/manifest.json", caption="../report/zoo_manifest.rst"),
    log:
        "logs/zoo/zoo_manifest.log",
    benchmark:
        "logs/benchmarks/zoo/zoo_manifest.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=section(settings, "seed", "zoo"),
        selected_dir=selected_folder,
        shards_dir=shards_folder,
    message:
        f"Writing the manifest of {settings.zoo.shards} shards; log in {{log}}"
    shell:
        "tracrlab zoo manifest --config {params.config:q} --selected-dir {params.selected_dir} "
        "--shards-dir {params.shards_dir} --out {output} &> {log}"


rule zoo_statistics:
    input:
        "results/zoo/standard/manifest.json",
    output:
        csv=report(
            "results/zoo/standard/statistics.csv",
            caption="../report/zoo_statistics_table.rst",
        ),
        md="results/zoo/standard/statistics.md",
    log:
        "logs/zoo/zoo_statistics.log",
    benchmark:
        "logs/benchmarks/zoo/zoo_statistics.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    message:
        f"Counting {settings.zoo.programs} programs by their ops; log in {{log}}"
    shell:
        "tracrlab zoo stats {input} --out {output.csv} --out {output.md} &> {log}"
