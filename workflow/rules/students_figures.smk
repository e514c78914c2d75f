# Pictures of students.


rule students_figure:
    input:
        compressed="results/zoo/compressed/manifest.json",
        natural="results/zoo/natural/manifest.json",
    output:
        reported_figure("student_outcomes", caption="../report/student_outcomes.rst"),
    log:
        "logs/figures/student_outcomes.log",
    benchmark:
        "logs/benchmarks/figures/student_outcomes.tsv"
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
        "Drawing accepted and refused students; log in {log}"
    shell:
        "tracrlab figure students {input.compressed} {input.natural} --config {params.config:q} "
        "{params.out} &> {log}"
