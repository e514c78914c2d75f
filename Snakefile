include: "workflow/Snakefile"


# An included file cannot choose the default target, so a bare `snakemake` would do nothing.
workflow.default_target = "all"
