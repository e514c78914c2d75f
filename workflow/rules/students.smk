# Compressed and natural students of the standard zoo, and the comparison of losses.


rule select_compressed_teachers:
    input:
        "results/zoo/standard/manifest.json",
    output:
        expand(
            "results/zoo/compressed/teachers/{shard}.parquet",
            shard=shard_names(settings.students.compressed.shards),
        ),
    log:
        "logs/students/select_compressed_teachers.log",
    benchmark:
        "logs/benchmarks/students/select_compressed_teachers.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=section(settings, "seed", "students.compressed"),
        out_dir=output_folder,
    message:
        f"Choosing {settings.students.compressed.models} teachers of compressed students; log in {{log}}"
    shell:
        "tracrlab students select compressed {input} --config {params.config:q} "
        "--out-dir {params.out_dir} &> {log}"


rule compress_shard:
    input:
        "results/zoo/compressed/teachers/{shard}.parquet",
    output:
        "results/zoo/compressed/shards/{shard}.parquet",
    log:
        "logs/students/compress_shard/{shard}.log",
    benchmark:
        "logs/benchmarks/students/compress_shard/{shard}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        config=section(
            settings,
            "seed",
            "zoo.limits",
            "students.compressed",
            without=("students.compressed.models", "students.compressed.shard_size"),
        ),
    message:
        f"Compressing shard {{wildcards.shard}} of {settings.students.compressed.shards}; log in {{log}}"
    shell:
        "tracrlab students make compressed {input} --config {params.config:q} --out {output} &> {log}"


rule compressed_manifest:
    input:
        standard="results/zoo/standard/manifest.json",
        teachers=expand(
            "results/zoo/compressed/teachers/{shard}.parquet",
            shard=shard_names(settings.students.compressed.shards),
        ),
        shards=expand(
            "results/zoo/compressed/shards/{shard}.parquet",
            shard=shard_names(settings.students.compressed.shards),
        ),
    output:
        report("results/zoo/compressed/manifest.json", caption="../report/compressed_manifest.rst"),
    log:
        "logs/students/compressed_manifest.log",
    benchmark:
        "logs/benchmarks/students/compressed_manifest.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=section(settings, "seed", "students.compressed"),
        teachers_dir=teachers_folder,
        shards_dir=shards_folder,
    message:
        f"Writing the manifest of {settings.students.compressed.shards} shards; log in {{log}}"
    shell:
        "tracrlab students manifest compressed {input.standard} --config {params.config:q} "
        "--teachers-dir {params.teachers_dir} --shards-dir {params.shards_dir} --out {output} &> {log}"


rule select_natural_teachers:
    input:
        "results/zoo/standard/manifest.json",
    output:
        expand(
            "results/zoo/natural/teachers/{shard}.parquet",
            shard=shard_names(settings.students.natural.shards),
        ),
    log:
        "logs/students/select_natural_teachers.log",
    benchmark:
        "logs/benchmarks/students/select_natural_teachers.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=section(settings, "seed", "students.natural"),
        out_dir=output_folder,
    message:
        f"Choosing {settings.students.natural.models} teachers of natural students; log in {{log}}"
    shell:
        "tracrlab students select natural {input} --config {params.config:q} "
        "--out-dir {params.out_dir} &> {log}"


rule distil_shard:
    input:
        "results/zoo/natural/teachers/{shard}.parquet",
    output:
        "results/zoo/natural/shards/{shard}.parquet",
    log:
        "logs/students/distil_shard/{shard}.log",
    benchmark:
        "logs/benchmarks/students/distil_shard/{shard}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        config=section(
            settings,
            "seed",
            "zoo.limits",
            "students.natural",
            without=("students.natural.models", "students.natural.shard_size"),
        ),
    message:
        f"Distilling shard {{wildcards.shard}} of {settings.students.natural.shards}; log in {{log}}"
    shell:
        "tracrlab students make natural {input} --config {params.config:q} --out {output} &> {log}"


rule natural_manifest:
    input:
        standard="results/zoo/standard/manifest.json",
        teachers=expand(
            "results/zoo/natural/teachers/{shard}.parquet",
            shard=shard_names(settings.students.natural.shards),
        ),
        shards=expand(
            "results/zoo/natural/shards/{shard}.parquet",
            shard=shard_names(settings.students.natural.shards),
        ),
    output:
        report("results/zoo/natural/manifest.json", caption="../report/natural_manifest.rst"),
    log:
        "logs/students/natural_manifest.log",
    benchmark:
        "logs/benchmarks/students/natural_manifest.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=section(settings, "seed", "students.natural"),
        teachers_dir=teachers_folder,
        shards_dir=shards_folder,
    message:
        f"Writing the manifest of {settings.students.natural.shards} shards; log in {{log}}"
    shell:
        "tracrlab students manifest natural {input.standard} --config {params.config:q} "
        "--teachers-dir {params.teachers_dir} --shards-dir {params.shards_dir} --out {output} &> {log}"


rule student_outcomes:
    input:
        compressed="results/zoo/compressed/manifest.json",
        natural="results/zoo/natural/manifest.json",
    output:
        csv=report(
            "results/student_outcomes.csv",
            caption="../report/student_outcomes_table.rst",
        ),
        md="results/student_outcomes.md",
    log:
        "logs/students/student_outcomes.log",
    benchmark:
        "logs/benchmarks/students/student_outcomes.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Counting accepted and refused students; log in {log}"
    shell:
        "tracrlab students outcomes {input.compressed} {input.natural} --out {output.csv} "
        "--out {output.md} &> {log}"


rule student_loss_table:
    input:
        "results/zoo/standard/manifest.json",
    output:
        csv=report(
            "results/student_loss_table.csv",
            caption="../report/student_loss_table.rst",
        ),
        md="results/student_loss_table.md",
    log:
        "logs/students/student_loss_table.log",
    benchmark:
        "logs/benchmarks/students/student_loss_table.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        config=section(
            settings,
            "seed",
            "zoo.limits",
            "students.loss_table",
            "students.compressed.ratio",
            "students.compressed.max_d_model",
        ),
    message:
        "Compressing the same programs with every loss; log in {log}"
    shell:
        "tracrlab students losses {input} --config {params.config:q} --out {output.csv} "
        "--out {output.md} &> {log}"
