# Helpers of the decompiler's rules: which runs there are, and what each reads.

#: What every training of a decompiler reads, beside its method and its variant.
DECOMPILERS_TRAINED_WITH = tuple(
    f"decompiler.{key}"
    for key in ("rows", "precision", "loader_workers", "similar", "validate_steps")
    + ("validation_programs", "patience", "checkpoint_steps", "threads")
)


def decompiler_config(wildcards) -> str:
    """Give what a training run reads of the configuration, and nothing of the other runs."""
    own, zoo, name = settings.decompiler, wildcards.zoo, wildcards.decompiler
    method = f"decompiler.{own.method_of(name)}"
    variant = [f"decompiler.variants.{name}"] if name in own.variants else []
    return section(
        settings,
        "seed",
        "zoo.preset",
        method,
        f"decompiler.augmentation.{zoo}",
        *variant,
        *DECOMPILERS_TRAINED_WITH,
        without=(f"{method}.fine_tuning",) if zoo == "standard" else (),
    )


def standard_decompiler(wildcards) -> list[str]:
    """Give the model on the standard zoo that a fine-tuning run starts from."""
    own, zoo, name = settings.decompiler, wildcards.zoo, wildcards.decompiler
    if own.start_of(zoo, name) != "standard":
        return []
    return [f"results/decompiler/standard/{own.method_of(name)}/model.safetensors"]


def standard_decompiler_flag(wildcards, input) -> str:
    """Give the option that names its folder."""
    return f"--start {Path(input.start[0]).parent}" if input.start else ""


def decompiler_files(name: str) -> list[str]:
    """Give one file of every decompiler: each method on each zoo, and the variants."""
    return [
        f"results/decompiler/{zoo}/{decompiler}/{name}"
        for zoo, decompiler in settings.decompiler.runs()
    ]
