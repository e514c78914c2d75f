# Two trainings under the names that the profile knows, small, with the commands of their rules.
include: "../../workflow/rules/common.smk"


rule all:
    input:
        "results/injection/model",
        "results/tiny",


rule inject:
    output:
        model=directory("results/injection/model"),
        losses="results/injection/losses.csv",
    log:
        "logs/inject.log",
    shell:
        "tracrlab inject count --method interchange --out {output.model} "
        "--losses {output.losses} --config injection.json &> {log}"


rule pretrain_tiny:
    output:
        model=directory("results/tiny"),
        table="results/tiny.csv",
    log:
        "logs/pretrain_tiny.log",
    shell:
        "tracrlab pretrain-tiny {output.model} --config pretraining.json --out {output.table} "
        "&> {log}"
