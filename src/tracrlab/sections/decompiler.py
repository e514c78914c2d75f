"""The decompiler: which meta-models are trained on which zoos, how, and how they are judged."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tracrlab.sections.section import MAX_OPS, Count, Ops, Precision, Section, Share, takes

Zoo = Literal["standard", "compressed", "natural"]
Architecture = Literal["lines", "tokens", "circuits"]
Augmentation = Literal["none", "permute", "rotate", "skew"]
VariantName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Rows(Section):
    """Which models of a zoo are read; the same for every method."""

    ops: tuple[Ops, Ops] = Field(
        (3, 8),
        description="fewest and most ops of a program",
        json_schema_extra=takes(f"two integers from 1 to {MAX_OPS}, the smaller first"),
    )
    max_tokens: int = Field(
        512, ge=16, description="most parameter tokens of a model; larger models are left out"
    )
    max_blocks: int = Field(
        256, ge=8, description="most 512-weight blocks of a model; larger models are left out"
    )

    @field_validator("ops")
    @classmethod
    def _ordered(cls, ops: tuple[int, int]) -> tuple[int, int]:
        if ops[0] > ops[1]:
            raise ValueError("the first number must not exceed the second")
        return ops


class FineTuning(Section):
    """How compressed and natural runs go on from the standard model."""

    start: Literal["standard", "random"] = Field(
        "standard", description="start from the weights trained on the standard zoo, or afresh"
    )
    steps: Count = Field(600, description="training steps on each of the two zoos")
    learning_rate: float = Field(3e-3, gt=0, description="peak of the schedule on them")
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="in place of the method's; these zoos have fewer programs",
        json_schema_extra=takes("a number from 0 to 1, or null"),
    )


class StandIns(Section):
    """What a standard model learns on next: compiled models changed as training changes them."""

    steps: Count = Field(1000, description="training steps on them")
    learning_rate: float = Field(5e-3, gt=0, description="peak of the schedule on them")


class CircuitsFineTuning(FineTuning):
    """How compressed and natural runs go on, by way of stand-ins for students."""

    start: Literal["stand_ins", "standard", "random"] = Field(
        "stand_ins",
        description="start from the weights trained on stand-ins (and before on the standard zoo), "
        "on the standard zoo alone, or afresh",
    )
    stand_ins: StandIns = Field(
        StandIns(), description="compiled models changed as training would change them"
    )


class MethodTraining(Section):
    """One method: its size and its training."""

    size: str = Field("0.5M", description="size of the meta-model, by its parameters")
    steps: Count = Field(1000, description="training steps on the standard zoo")
    batch: Count = Field(32, description="samples of a step, over all processes")
    accumulate: Count = Field(1, description="parts that a step's samples are computed in")
    learning_rate: float = Field(8e-3, gt=0, description="peak of the schedule")
    warm_up: Share = Field(0.05, description="share of the steps over which the rate rises")
    weight_decay: float = Field(0.01, ge=0, description="decoupled, on matrices")
    optimizer: Literal["muon", "adamw"] = Field(
        "muon",
        description="Muon for the matrices of the blocks with AdamW for the rest, or AdamW for all",
    )
    clip: float = Field(1.0, ge=0, description="largest norm of the gradient; 0: no limit")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout, everywhere")
    weight_noise: float = Field(
        0.0, ge=0, description="noise on a model's weights, over their root mean square"
    )

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Self:
        if self.batch % self.accumulate:
            raise ValueError("batch must be a multiple of accumulate")
        return self


class LinesTraining(MethodTraining):
    """The thesis's meta-model."""

    size: Literal["0.5M", "1M", "10M", "30M", "85M", "300M", "700M", "800M"] = Field(
        "0.5M", description="size of the meta-model, by its parameters"
    )
    fine_tuning: FineTuning = Field(FineTuning(), description="the compressed and natural zoo")


class AutoEncoderTraining(MethodTraining):
    """The thesis's check that the program form can be learned; it reads programs alone."""

    size: Literal["0.5M", "1M", "5M", "30M", "125M", "400M", "800M"] = Field(
        "0.5M", description="size of the meta-model, by its parameters"
    )
    bottleneck: Count = Field(64, description="numbers that a program passes through")


class TokensTraining(MethodTraining):
    """Our meta-model."""

    size: Literal["0.5M", "1M", "5M", "30M", "125M", "400M", "800M"] = Field(
        "0.5M", description="size of the meta-model, by its parameters"
    )
    fine_tuning: FineTuning = Field(FineTuning(), description="the compressed and natural zoo")


class CircuitsTraining(TokensTraining):
    """Our meta-model that also sees what models do on probes."""

    augmentation: Augmentation = Field(
        "skew", description="in place of the zoo's; no rotation and no scale changes a circuit"
    )
    fine_tuning: CircuitsFineTuning = Field(
        CircuitsFineTuning(), description="the compressed and natural zoo"
    )


class Variant(Section):
    """A further run beside the methods: one of them with something changed."""

    method: Architecture = Field("tokens", description="the method that it is, but for the rest")
    zoos: tuple[Zoo, ...] = Field(("compressed",), description="zoos that it is trained on")
    augmentation: Augmentation | None = Field(None, description="in place of the zoo's")
    dropout: float | None = Field(None, ge=0, lt=1, description="in place of the method's")
    weight_noise: float | None = Field(None, ge=0, description="in place of the method's")
    start: Literal["stand_ins", "standard", "random"] | None = Field(
        None, description="in place of the method's, on compressed and natural zoos"
    )
    steps: Count | None = Field(None, description="in place of the method's")


class AugmentationByZoo(Section):
    """What is drawn afresh each epoch, of changes that leave a model's function as it is."""

    standard: Augmentation = Field(
        "permute",
        description="compiled models: `permute` keeps their basis directions, `rotate` rotates and "
        "scales them, `skew` takes any invertible basis",
    )
    compressed: Augmentation = Field("rotate", description="likewise")
    natural: Augmentation = Field("rotate", description="likewise")


class Evaluation(Section):
    """How trained decompilers are judged."""

    test_programs: Count = Field(200, description="models of the test split that are decompiled")
    beam: Count = Field(4, description="candidates that are searched for and run at first")
    most_beams: Count = Field(
        32, description="most candidates, where none of fewer is verified; the search doubles"
    )
    repairs: int = Field(
        3,
        ge=0,
        description="rounds in which, where none is verified still, tokens of those that came "
        "closest are exchanged",
    )
    endings: int = Field(
        256,
        ge=0,
        description="programs that are run, where none is verified still, of those that end in "
        "what the candidates compute; 0: none",
    )
    examples: Count = Field(4, description="programs in the picture of predicted and true ones")

    @model_validator(mode="after")
    def _search_widens(self) -> Self:
        if self.beam > self.most_beams:
            raise ValueError("beam must not exceed most_beams")
        return self


class DecompilerConfig(Section):
    """The decompiler."""

    zoos: tuple[Zoo, ...] = Field(
        ("standard", "compressed", "natural"),
        min_length=1,
        description="zoos that every method is trained on; fine-tuning needs the standard one",
        json_schema_extra=takes("a list of standard, compressed and natural"),
    )
    methods: tuple[Architecture, ...] = Field(
        ("lines", "circuits"),
        min_length=1,
        description="`lines`: the thesis's meta-model; ours: `tokens` reads weights alone, "
        "`circuits` also what they do on a few inputs",
        json_schema_extra=takes("a list of lines, tokens and circuits"),
    )
    variants: dict[VariantName, Variant] = Field(
        {},
        description="further runs by name, such as an ablation",
        json_schema_extra=takes("names, each with the keys of a variant"),
    )
    rows: Rows = Field(Rows(), description="models that are read")
    lines: LinesTraining = Field(LinesTraining(), description="the thesis's meta-model")
    tokens: TokensTraining = Field(TokensTraining(), description="our meta-model")
    circuits: CircuitsTraining = Field(
        CircuitsTraining(), description="our meta-model that reads weights and execution"
    )
    autoencoder: AutoEncoderTraining = Field(
        AutoEncoderTraining(), description="the check of the program form"
    )
    augmentation: AugmentationByZoo = Field(
        AugmentationByZoo(), description="changes of weights drawn afresh each epoch"
    )
    precision: Precision = Field(
        "auto", description="arithmetic; `auto` is bfloat16 on a GPU that has it, else float32"
    )
    loader_workers: int = Field(
        0, ge=0, description="processes that read and encode ahead; 0: none, in the trainer itself"
    )
    similar: Count = Field(
        16, description="batches drawn together and cut by size, which leaves less padding"
    )
    validate_steps: Count = Field(100, description="steps between two lines of the curve")
    validation_programs: Count = Field(
        256, description="models of the validation split that a line is measured on"
    )
    patience: int = Field(
        0, ge=0, description="lines without a lower validation loss that end training; 0: never"
    )
    checkpoint_steps: Count = Field(200, description="steps between two checkpoints")
    threads: Count = Field(1, description="processor cores of a training job")
    gpus: int = Field(0, ge=0, description="accelerators of a training job")
    memory_mb: Count = Field(6000, description="memory of a training job, in MB")
    evaluation: Evaluation = Field(Evaluation(), description="how they are judged")

    @field_validator("zoos", "methods")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("each name may stand there once")
        return names

    @model_validator(mode="after")
    def _variants_have_names_of_their_own(self) -> Self:
        taken = {"lines", "tokens", "circuits", "autoencoder"} & set(self.variants)
        if taken:
            raise ValueError(f"variants may not be named {sorted(taken)[0]}, which is a method")
        return self

    @model_validator(mode="after")
    def _stand_ins_are_for_circuits(self) -> Self:
        for name, one in self.variants.items():
            if one.start == "stand_ins" and one.method != "circuits":
                raise ValueError(
                    f"variants.{name}.start is stand_ins, which only circuits are trained on; its "
                    f"method is {one.method}"
                )
        return self

    def runs(self) -> list[tuple[str, str]]:
        """Zoo and name of every run whose model decompiles, the methods first."""
        plain = [(zoo, method) for zoo in self.zoos for method in self.methods]
        further = [(zoo, name) for name, one in self.variants.items() for zoo in one.zoos]
        return plain + further

    def method_of(self, name: str) -> str:
        """The method of a run: its name, or what the variant of that name is."""
        return self.variants[name].method if name in self.variants else name

    def start_of(self, zoo: str, name: str) -> str:
        """What a run starts from: the weights of `standard` or `stand_ins`, or `random`."""
        if zoo == "standard" or name == "autoencoder":
            return "random"
        if zoo == "stand_ins":
            return "standard"
        changed = self.variants[name].start if name in self.variants else None
        return changed or getattr(self, self.method_of(name)).fine_tuning.start
