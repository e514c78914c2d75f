"""Programs distilled into a language model."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tracrlab.sections.section import Count, Precision, Section, Share, takes


class LossWeights(Section):
    """Weights of the three losses of Tracr-injection, equation 1."""

    answer: float = Field(1.0, ge=0, description="weight of the cross-entropy of answer tokens")
    alignment: float = Field(
        1.0,
        ge=0,
        description="weight of the loss of mapped against compiled streams (`alignment.loss`)",
    )
    text: float = Field(
        1.0, ge=0, description="weight of the divergence from the frozen original on plain text"
    )


class AlignmentConfig(Section):
    """What of the compiled residual stream faces what of the language model's."""

    loss: Literal["cosine", "variables"] = Field(
        "variables",
        description="the loss: the paper's cosine of the mapped and the compiled stream, or how "
        "well each variable is read, all counting alike",
    )
    pairing: Literal["same", "spread"] = Field(
        "same",
        description="`same`: compiled layer i faces layer i; `spread`: over the model's depth",
    )
    stages: Literal["layers", "half_layers"] = Field(
        "layers", description="align after every layer, or also between attention and MLP"
    )
    positions: Literal["supervised", "all"] = Field(
        "supervised", description="tokens whose streams are aligned"
    )
    directions: Literal["all", "carried", "varying"] = Field(
        "carried",
        description="basis directions that are aligned: all; those not always zero at supervised "
        "positions; of these, those that differ between examples",
    )
    min_share: Share = Field(
        0.0, description="leave out directions that are zero at all but this share of positions"
    )
    divisor: Literal["stages", "layers"] = Field(
        "stages",
        description="the sum over the aligned stages is divided by their number, or by that of "
        "the compiled layers, as the paper prints it",
    )
    bias: bool = Field(False, description="give the linear map a bias")
    start: Literal["random", "fitted"] = Field(
        "random",
        description="the linear map's start: random, or the least squares from the base model's "
        "streams to the compiled ones",
    )


class InterchangeConfig(Section):
    """Interchange interventions of the method `interchange`, as shares of a batch's examples."""

    prompts: Share = Field(
        0.5, description="share whose prompt has symbols exchanged, answered by the program"
    )
    balanced: bool = Field(
        True,
        description="draw the other examples so that first answers are as frequent as in training",
    )
    variables: float = Field(
        0.25,
        ge=0,
        le=0.5,
        description="share in which a variable takes another example's value in the stream",
    )


class TaskTraining(Section):
    """What a task's training has of its own; none: as for all tasks."""

    steps: Count | None = Field(None, description="training steps")
    batch: int | None = Field(None, ge=2, description="task examples a step")
    learning_rate: float | None = Field(None, gt=0, description="peak rate of the model's weights")
    map_learning_rate: float | None = Field(None, gt=0, description="peak rate of the linear map")


class TinyConfig(Section):
    """The small GPT-2 that the workflow pretrains itself."""

    text: tuple[str, ...] = Field(
        ("docstrings", "shakespeare"),
        min_length=1,
        description="texts: `docstrings`, `shakespeare`, `newsgroups`, `hub:NAME`, or paths",
        json_schema_extra=takes("a list of names of texts, or of paths"),
    )
    layers: Count = Field(8, description="blocks; at least as many as the tasks' programs need")
    width: Count = Field(128, description="width of the residual stream")
    heads: Count = Field(4, description="attention heads of a block; they divide the width")
    context: int = Field(
        256, ge=8, description="longest input, and the window that is trained on, in tokens"
    )
    steps: Count = Field(300, description="training steps")
    batch: Count = Field(8, description="windows a step")
    learning_rate: float = Field(6e-3, gt=0, description="peak rate")
    negatives: Count = Field(
        2_048, description="tokens drawn at each step to estimate the softmax over the vocabulary"
    )
    checkpoint_every: Count = Field(100, description="steps between two checkpoints")
    held_out_windows: Count = Field(
        50, description="windows of each text that the held-out perplexity is measured on, at most"
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        return self


class InjectionConfig(Section):
    """How programs are distilled into a language model, and what is measured of it."""

    seed: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="seed of the injection; null takes the root `seed`",
        json_schema_extra=takes("an integer of at least 0, or null"),
    )
    tasks: tuple[str, ...] = Field(
        ("count", "addition", "shuffle_dyck"),
        min_length=1,
        description="tasks, each injected into a model of its own: `count`, `addition`, "
        "`shuffle_dyck`, `shuffle_dyck_paper`, `reverse`, `most_frequent`, `parity`, or the path "
        "of a Python file",
        json_schema_extra=takes("a list of names of tasks, or of paths that end in .py"),
    )
    base: str = Field(
        "tiny",
        min_length=1,
        description="the language model: `tiny`, `smollm2-135m`, a local folder, or a hub name",
    )
    tiny: TinyConfig = Field(TinyConfig(), description="the base model `tiny`")
    text: tuple[str, ...] = Field(
        ("docstrings", "shakespeare"),
        min_length=1,
        description="plain text on which the model stays close to the original; as `tiny.text`",
        json_schema_extra=takes("a list of names of texts, or of paths"),
    )
    data: str = Field(
        "data",
        min_length=1,
        description="folder where local data sets may be (`sst2.jsonl`, `mrpc.csv`, "
        "`lambada.parquet`, `tiny_shakespeare.txt`); those that are not there come from the hub",
    )
    methods: tuple[Literal["finetune_kl", "tracr_injection", "interchange"], ...] = Field(
        ("finetune_kl", "tracr_injection", "interchange"),
        min_length=1,
        description="methods that are trained; the model as it was (`no_edit`) is always measured",
        json_schema_extra=takes(
            'a list of some of "finetune_kl", "tracr_injection" and "interchange"'
        ),
    )
    seeds: Count = Field(1, description="runs of each method, with seeds from `seed` on")
    train_examples: Count = Field(20_000, description="training examples; none is repeated")
    test_examples: Count = Field(500, description="held-out examples of the training range")
    ood_examples: Count = Field(
        300, description="examples of each out-of-distribution set, where it has as many"
    )
    steps: Count = Field(1_000, description="training steps")
    batch: int = Field(16, ge=2, description="task examples a step")
    per_task: dict[str, TaskTraining] = Field(
        {},
        description="steps, batch, learning_rate and map_learning_rate of single tasks, by name; "
        "a task of short prompts affords larger batches",
        json_schema_extra=takes("a mapping of tasks to some of these keys"),
    )
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw",
        description="AdamW for all weights, or Muon for the matrices of the blocks, with AdamW at "
        "0.4 of the rate for the model's others",
    )
    trained: Literal["all", "blocks"] = Field(
        "all", description="weights of the model that are trained: all, or all but token embeddings"
    )
    learning_rate: float = Field(1e-3, gt=0, description="peak rate of the model's weights")
    map_learning_rate: float = Field(3e-3, gt=0, description="peak rate of the linear map")
    warm_up: Share = Field(0.05, description="share of the steps in which the rates rise")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "cosine", description="what the rates do after the warm-up; both others end at zero"
    )
    clip: float = Field(1.0, ge=0, description="largest norm of a gradient; 0 clips none")
    weights: LossWeights = Field(LossWeights(), description="weights of the losses")
    alignment: AlignmentConfig = Field(AlignmentConfig(), description="what faces what")
    swap: Literal["map", "answer", "none"] = Field(
        "answer",
        description="in `tracr_injection`, the subspace that stays when the rest of the stream is "
        "swapped behind the last aligned layer: that of the whole linear map (the paper's), or of "
        "the output's directions",
    )
    swap_share: Share = Field(
        0.5, description="share of a batch's examples that are swapped; the paper swaps all"
    )
    interchange: InterchangeConfig = Field(
        InterchangeConfig(), description="interventions of the method `interchange`"
    )
    answer_negatives: int = Field(
        0,
        ge=0,
        description="tokens drawn at each step that stand for all which are no part of an answer "
        "in the answer loss; 0 computes it exactly",
    )
    text_batch: int = Field(2, ge=0, description="windows of plain text a step")
    text_length: int = Field(70, ge=2, description="tokens of a window")
    text_places: Count = Field(
        10, description="positions of each window at which logits are compared, drawn anew"
    )
    text_draws: int = Field(
        0,
        ge=0,
        description="tokens drawn from the original's prediction behind every token of the text, "
        "once for all runs, which stand for the vocabulary in the text loss; 0 compares all of it",
    )
    text_windows: Count = Field(2_000, description="most different windows of plain text")
    precision: Precision = Field(
        "auto", description="arithmetic; `auto` is bfloat16 on a GPU that has it, else float32"
    )
    checkpoint_steps: Count = Field(500, description="steps between two checkpoints")
    measure_steps: Count = Field(100, description="steps between two lines of the loss table")
    noise_norms: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
        min_length=1,
        description="norms of the noise that is added to the stream, in mean norms of the stream",
        json_schema_extra=takes("a list of numbers of at least 0"),
    )

    @field_validator("tasks")
    @classmethod
    def _known_tasks(cls, references: tuple[str, ...]) -> tuple[str, ...]:
        from tracrlab.tasks.registry import task_names

        task_names(references)
        return references

    @field_validator("methods")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("each method may stand there once")
        return names

    @field_validator("text_draws")
    @classmethod
    def _several_draws(cls, draws: int) -> int:
        if draws == 1:
            raise ValueError("one draw shows no difference; give 2 or more, or 0")
        return draws

    def of_task(self, name: str) -> Self:
        """This configuration with what the task of a name has of its own."""
        if name not in self.per_task:
            return self
        return self.model_copy(update=self.per_task[name].model_dump(exclude_none=True))
