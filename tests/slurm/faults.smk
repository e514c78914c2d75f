# Short rules under names that the profile knows, for what goes wrong on a cluster: an array whose
# tasks are slow, fail, hang or take too long in their first attempt, and rules that want a GPU.
include: "../../workflow/rules/common.smk"


SHARDS = shard_names(int(config.get("shards", 5)))
REST = config.get("rest", "no") == "yes"


rule all:
    input:
        "merged.txt",
        expand(
            "seen/{rule}",
            rule=[
                "train_decompiler",
                "inject",
                "pretrain_tiny",
                "compress_00000",
                "compress_00001",
            ],
        )
        if REST
        else [],


rule build_shard:
    output:
        "work/{shard}.txt",
    log:
        "logs/build_shard/{shard}.log",
    params:
        script=f"{workflow.basedir}/faults.sh",
        scenario=config.get("scenario", "quick"),
    shell:
        "bash {params.script} {params.scenario} {wildcards.shard} {output} &> {log}"


rule merge:
    input:
        expand("work/{shard}.txt", shard=SHARDS),
    output:
        "merged.txt",
    shell:
        "cat {input} > {output}"


rule train_decompiler:
    input:
        "small.bin",
    output:
        "seen/train_decompiler",
    shell:
        "env | grep -E '^(CUDA_VISIBLE_DEVICES|SLURM_JOB_PARTITION|OMP_NUM_THREADS)=' > {output}"


rule inject:
    input:
        "large.bin",
    output:
        "seen/inject",
    shell:
        "env | grep -E '^(CUDA_VISIBLE_DEVICES|SLURM_JOB_PARTITION|OMP_NUM_THREADS)=' > {output}"


rule pretrain_tiny:
    output:
        "seen/pretrain_tiny",
    shell:
        "env | grep -E '^(CUDA_VISIBLE_DEVICES|SLURM_JOB_PARTITION|OMP_NUM_THREADS)=' > {output}"


rule compress_shard:
    output:
        "seen/compress_{shard}",
    shell:
        "env | grep -E '^(CUDA_VISIBLE_DEVICES|SLURM_JOB_PARTITION|OMP_NUM_THREADS)=' > {output}"
