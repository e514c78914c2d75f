# What an injection starts from: the tasks' programs, and the base model that is pretrained here.


rule check_tasks:
    input:
        own_task_files(),
    output:
        csv=report("results/injection/tasks.csv", caption="../report/tasks.rst"),
        md="results/injection/tasks.md",
    log:
        "logs/injection/check_tasks.log",
    benchmark:
        "logs/benchmarks/injection/check_tasks.tsv"
    # Needs no model: a wrong task ends the run at once.
    priority: 10
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        config=section(settings, "injection.seed", "injection.base", "injection.tasks"),
    message:
        f"Running the programs of {len(settings.injection.tasks)} tasks; log in {{log}}"
    shell:
        "tracrlab check-tasks --config {params.config:q} --out {output.csv} --out {output.md} "
        "&> {log}"


rule pretrain_tiny:
    output:
        model=directory("results/injection/tiny"),
        csv=report("results/injection/tiny.csv", caption="../report/tiny.rst"),
        md="results/injection/tiny.md",
    log:
        "logs/injection/pretrain_tiny.log",
    benchmark:
        "logs/benchmarks/injection/pretrain_tiny.tsv"
    # Everything else of the injection waits for it.
    priority: 5
    conda:
        "../../envs/conda/tracrlab.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=1,
    params:
        config=section(settings, "injection.seed", "injection.tiny"),
    message:
        f"Pretraining a GPT-2 of {settings.injection.tiny.layers} layers, "
        f"{settings.injection.tiny.steps} steps; log in {{log}}"
    shell:
        "tracrlab pretrain-tiny {output.model} --config {params.config:q} --out {output.csv} "
        "--out {output.md} &> {log}"
