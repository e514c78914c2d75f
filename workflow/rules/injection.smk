# Programs distilled into a language model: trained, measured, put into the two tables of results.


rule injection_text:
    input:
        base=base_model_folder(),
    output:
        "results/injection/text.safetensors",
    log:
        "logs/injection/injection_text.log",
    benchmark:
        "logs/benchmarks/injection/injection_text.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        config=section(settings, *TEXT_MADE_WITH),
        base=base_model_flag,
    message:
        f"Cutting {settings.injection.text_windows} windows of text; log in {{log}}"
    shell:
        "tracrlab injection text {params.base} --config {params.config:q} --out {output} &> {log}"


rule inject:
    input:
        base=base_model_folder(),
        text="results/injection/text.safetensors",
        task=task_file,
    output:
        model=directory("results/injection/{task}/{method}/{run}/model"),
        losses="results/injection/{task}/{method}/{run}/losses.csv",
        timing="results/injection/{task}/{method}/{run}/timing.json",
    log:
        "logs/injection/inject/{task}_{method}_{run}.log",
    benchmark:
        "logs/benchmarks/injection/inject/{task}_{method}_{run}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=1440,
        # At most what --resources gpu= allows; without it the job runs on the processor.
        gpu=1,
    params:
        config=section(settings, "injection", without=NOT_TRAINED_WITH),
        task=task_reference,
        base=base_model_flag,
    message:
        "Injecting {wildcards.task} by {wildcards.method}, run {wildcards.run}; log in {log}"
    shell:
        "tracrlab inject {params.task:q} --method {wildcards.method} --run {wildcards.run} "
        "{params.base} --text {input.text} --config {params.config:q} --out {output.model} "
        "--losses {output.losses} --timing {output.timing} &> {log}"


rule evaluate_injected:
    input:
        model="results/injection/{task}/{method}/{run}/model",
        task=task_file,
    output:
        "results/injection/{task}/{method}/{run}/evaluation.csv",
    log:
        "logs/injection/evaluate_injected/{task}_{method}_{run}.log",
    benchmark:
        "logs/benchmarks/injection/evaluate_injected/{task}_{method}_{run}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        config=section(settings, *MEASURED_WITH),
    message:
        "Measuring {wildcards.task} by {wildcards.method}, run {wildcards.run}; log in {log}"
    shell:
        "tracrlab evaluate {input.model} --config {params.config:q} --out {output} &> {log}"


rule evaluate_base:
    input:
        base=base_model_folder(),
        task=task_file,
    output:
        "results/injection/{task}/no_edit/evaluation.csv",
    log:
        "logs/injection/evaluate_base/{task}.log",
    benchmark:
        "logs/benchmarks/injection/evaluate_base/{task}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        config=section(settings, *MEASURED_WITH),
        task=task_reference,
        base=base_model_flag,
    message:
        "Measuring the base model on {wildcards.task}; log in {log}"
    shell:
        "tracrlab evaluate --task {params.task:q} {params.base} --config {params.config:q} "
        "--out {output} &> {log}"


rule injection_tables:
    input:
        injection_evaluations(),
    output:
        task=report("results/task_table.csv", caption="../report/task_table.rst"),
        task_md="results/task_table.md",
        ood=report("results/ood_table.csv", caption="../report/ood_table.rst"),
        ood_md="results/ood_table.md",
    log:
        "logs/injection/injection_tables.log",
    benchmark:
        "logs/benchmarks/injection/injection_tables.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Putting the tables of injected models together; log in {log}"
    shell:
        "tracrlab injection tables {input} --task-table {output.task} --task-table {output.task_md} "
        "--ood-table {output.ood} --ood-table {output.ood_md} &> {log}"


rule look_into_model:
    input:
        model="results/injection/{task}/{method}/{run}/model",
        task=task_file,
    output:
        variables="results/injection/{task}/{method}/{run}/variables.csv",
        noise="results/injection/{task}/{method}/{run}/noise.csv",
        interchange="results/injection/{task}/{method}/{run}/interchange.csv",
    log:
        "logs/injection/look_into_model/{task}_{method}_{run}.log",
    benchmark:
        "logs/benchmarks/injection/look_into_model/{task}_{method}_{run}.tsv"
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        config=section(settings, *MEASURED_WITH, "injection.noise_norms"),
    message:
        "Looking into {wildcards.task} by {wildcards.method}, run {wildcards.run}; log in {log}"
    shell:
        "tracrlab injection look {input.model} --config {params.config:q} "
        "--variables {output.variables} --noise {output.noise} "
        "--interchange {output.interchange} &> {log}"
