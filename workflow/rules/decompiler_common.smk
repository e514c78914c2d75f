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
    further = [f"decompiler.variants.{name}"] if name in own.variants else []
    if zoo != "stand_ins":
        further.append(f"decompiler.augmentation.{zoo}")
    tuning = f"{method}.fine_tuning"
    without = {
        "standard": [tuning],
        "stand_ins": [f"{tuning}.{key}" for key in ("start", "steps", "learning_rate", "dropout")],
    }
    return section(
        settings,
        "seed",
        "zoo.preset",
        method,
        *further,
        *DECOMPILERS_TRAINED_WITH,
        without=without.get(zoo, [f"{tuning}.stand_ins"] if method.endswith("circuits") else []),
    )


def decompiler_zoo(wildcards) -> str:
    """Give the manifest that a training reads: stand-ins are made of the standard zoo's models."""
    zoo = "standard" if wildcards.zoo == "stand_ins" else wildcards.zoo
    return f"results/zoo/{zoo}/manifest.json"


def decompiler_start(wildcards) -> list[str]:
    """Give the trained model that a run starts from."""
    own, zoo, name = settings.decompiler, wildcards.zoo, wildcards.decompiler
    start = own.start_of(zoo, name)
    if start == "random":
        return []
    return [f"results/decompiler/{start}/{own.method_of(name)}/model.safetensors"]


def decompiler_start_flag(wildcards, input) -> str:
    """Give the option that names its folder."""
    return f"--start {Path(input.start[0]).parent}" if input.start else ""


def decompiler_files(name: str) -> list[str]:
    """Give one file of every decompiler: each method on each zoo, and the variants."""
    return [
        f"results/decompiler/{zoo}/{decompiler}/{name}"
        for zoo, decompiler in settings.decompiler.runs()
    ]


def decompiler_device() -> str:
    """Give the device that decompilers are tested on."""
    return "cuda" if settings.decompiler.gpus else "cpu"


def library_decompilers(name: str) -> list[str]:
    """Give one file of every decompiler that the library is given to: those of compiled models."""
    return [path for path in decompiler_files(name) if "/standard/" in path]


def decompiler_folders(wildcards, input) -> list[str]:
    """Give the folders of the decompilers that a rule takes."""
    return [str(Path(path).parent) for path in input.models]


def decompiler_picture_table(wildcards) -> str:
    """Give the table that a picture is drawn from."""
    table = {"accuracy": "by_ops", "confusion": "confusion"}[wildcards.picture]
    return f"results/decompiler_{table}.csv"


def decompiler_results() -> list[str]:
    """Give every table and picture of decompilers' test results."""
    tables = ("table", "by_ops", "mistakes", "confusion", "library")
    programs = [
        f"decompiler_programs_{zoo}_{method}"
        for zoo in settings.decompiler.zoos
        for method in settings.decompiler.methods
    ]
    return [f"results/decompiler_{table}.csv" for table in tables] + figure_files(
        "decompiler_accuracy", "decompiler_confusion", *programs
    )
