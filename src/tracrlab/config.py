"""The configuration: every key, its default, its meaning and its limits, in one place.

The models below are the only source. The YAML files of `config/` hold what differs from the
defaults, `workflow/schemas/config.schema.json` and the key table of `config/README.md` are written
from the models by `python -m tracrlab.config`, and rules hand a command only the part of the
configuration that it reads (`section`), so that a changed key reruns exactly its descendants.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tracrlab.config_reference import reference_files, sentence
from tracrlab.errors import TracrLabError

RESERVED_SYMBOLS = ("compiler_bos", "compiler_pad")
MAX_OPS = 30
MAX_SHARDS = 100_000

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
LibraryName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    """A group of keys, none but its own.

    Numbers may come as text: Snakemake hands on what stands in `--config` unconverted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_values_are_no_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[info.field_name].annotation is not bool:
            raise PydanticCustomError("no_truth_value", "a truth value where another is wanted")
        return value


def _takes(text: str) -> dict[str, Any]:
    """Word what a key takes where its type alone does not say it."""
    return {"takes": text}


class Limits(Section):
    """The largest model a program may compile to, counted before any array is made."""

    d_model: Count = Field(256, description="widest residual stream, in basis directions")
    mlp_hidden: Count = Field(1024, description="widest hidden layer of any MLP, in neurons")
    weights: Count = Field(500_000, description="most weights in one model, embeddings included")


class Splits(Section):
    """Shares of the zoo, cut by behaviour: no two splits hold programs that compute the same."""

    train: Share = Field(0.9, description="share of programs to train on")
    validation: Share = Field(0.05, description="share of programs to choose models by")
    test: Share = Field(0.05, description="share of programs for the reported figures")

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.validation + self.test
        if not math.isclose(total, 1, abs_tol=1e-9):
            raise ValueError(f"train, validation and test must sum to 1, and sum to {total:g}")
        return self


class ZooConfig(Section):
    """Which programs are sampled, and how the verified zoo is cut into shards."""

    programs: Count = Field(20_000, description="programs in the finished zoo")
    ops: tuple[Annotated[int, Field(ge=1, le=MAX_OPS)], Annotated[int, Field(ge=1, le=MAX_OPS)]] = (
        Field(
            (3, 8),
            description="fewest and most ops of a program; each length is sampled equally often",
            json_schema_extra=_takes(f"two integers from 1 to {MAX_OPS}, the smaller first"),
        )
    )
    vocab: Count | tuple[int | str, ...] = Field(
        5,
        description="symbols of the input: a number n for the integers 0 to n-1, or their list",
        json_schema_extra=_takes("an integer of at least 1, or a list of distinct symbols"),
    )
    max_seq_len: Count = Field(5, description="longest input, in tokens, BOS not counted")
    causal: bool = Field(False, description="compile with causal attention")
    preset: Literal["default", "thesis"] = Field(
        "default",
        description="distribution of ops and lambdas; `thesis` is that of Inverse Tracr, Table 4.1",
    )
    shard_size: Count = Field(2_500, description="programs in a shard, and in a job")
    oversample: float = Field(
        1.5,
        ge=1,
        description="candidates sampled for each program wanted, rounded up to whole shards; "
        "duplicates and refused programs come out of the surplus",
    )
    splits: Splits = Field(Splits(), description="shares of training, validation and test")
    limits: Limits = Field(Limits(), description="size limits of a compiled model")
    max_none: Share = Field(0.5, description="largest share of None among the values of an op")
    max_values: Count = Field(32, description="most distinct values an op may take")
    verify_inputs: Count = Field(
        256, description="inputs on which the stored weights are run against the program"
    )

    @field_validator("ops")
    @classmethod
    def _ordered(cls, ops: tuple[int, int]) -> tuple[int, int]:
        if ops[0] > ops[1]:
            raise ValueError("the first number must not exceed the second")
        return ops

    @field_validator("vocab")
    @classmethod
    def _usable_symbols(cls, vocab: int | tuple[int | str, ...]) -> int | tuple[int | str, ...]:
        if isinstance(vocab, int):
            return vocab
        texts = [str(symbol) for symbol in vocab]
        if not vocab or len(set(texts)) < len(texts):
            raise ValueError("the symbols must be at least one, and differ when printed")
        if reserved := sorted(set(texts) & set(RESERVED_SYMBOLS)):
            raise ValueError(f"{reserved[0]} is a symbol of the compiler's own")
        return vocab

    @model_validator(mode="after")
    def _shard_names_fit(self) -> Self:
        if self.program_shards > MAX_SHARDS:
            raise ValueError(
                f"{self.program_shards} shards are more than {MAX_SHARDS}: raise shard_size"
            )
        return self

    @property
    def vocabulary(self) -> tuple[int | str, ...]:
        """The input symbols themselves."""
        return tuple(range(self.vocab)) if isinstance(self.vocab, int) else self.vocab

    @property
    def candidates(self) -> int:
        """Programs to sample: `oversample` times those wanted, in whole shards.

        Every candidate shard is full: a larger zoo adds shards and leaves the others as they are.
        """
        return self.program_shards * self.shard_size

    @property
    def program_shards(self) -> int:
        """Number of shards of candidates."""
        return math.ceil(math.ceil(self.programs * self.oversample) / self.shard_size)

    @property
    def shards(self) -> int:
        """Number of shards of the finished zoo."""
        return math.ceil(self.programs / self.shard_size)


Ops = Annotated[int, Field(ge=1, le=MAX_OPS)]
Ratio = Annotated[float, Field(gt=0, le=1)]


class StudentTraining(Section):
    """How students are trained, many side by side."""

    steps: Count = Field(600, description="most training steps of a model")
    chunk: Count = Field(50, description="steps between two looks at all inputs")
    lanes: Count = Field(16, description="models trained side by side in one job")
    batch: Count = Field(32, description="inputs of a step")
    pool: Count = Field(512, description="inputs that the batches of a chunk are drawn from")
    mined: float = Field(
        0.5, ge=0, lt=1, description="share of the pool drawn from inputs that are still wrong"
    )
    learning_rate: float = Field(1e-2, gt=0, description="peak of the schedule")
    warm_up: Share = Field(0.1, description="share of the steps over which the rate rises")
    clip: float = Field(1.0, gt=0, description="largest norm of a model's gradient")
    layer_loss: Literal["l2", "l1", "cross_entropy", "none"] = Field(
        "l2", description="distance of half-layer outputs to the teacher's"
    )
    layer_weight: float = Field(0.2, ge=0, description="factor of that distance")
    output_loss: Literal["l2", "cross_entropy", "both", "none"] = Field(
        "both", description="distance of the outputs; always `l2` where the output is a number"
    )
    combine: Literal["sum", "product"] = Field("sum", description="how the two make one loss")
    samples: Literal["vocabulary", "random", "combined"] = Field(
        "vocabulary",
        description="inputs of the vocabulary, random residual streams (W alone), or both as "
        "the thesis combines them (its Figure 6.4)",
    )


class CompressionTraining(StudentTraining):
    """How W is trained: what is not right after 300 steps does not become so."""

    steps: Count = Field(300, description="most training steps of a model")


class StudentZoo(Section):
    """Keys that the compressed and the natural zoo share."""

    models: Count = Field(400, description="teachers taken from the standard zoo, in its order")
    ops: tuple[Ops, Ops] = Field(
        (3, 8),
        description="fewest and most ops of a teacher's program",
        json_schema_extra=_takes(f"two integers from 1 to {MAX_OPS}, the smaller first"),
    )
    ratio: Ratio = Field(0.5, description="width of a student's residual stream over its teacher's")
    max_d_model: Count = Field(96, description="widest teacher; wider ones are counted, not used")
    max_mlp_hidden: Count = Field(256, description="widest MLP of a teacher, likewise")
    target_loss: float = Field(
        0.05, gt=0, description="an exact student leaves training at this mean square loss"
    )
    snapshots: int = Field(
        0, ge=0, le=100, description="further copies of an accepted student, a chunk of steps apart"
    )
    rotate: bool = Field(False, description="turn each student's residual basis at random")
    shard_size: Count = Field(200, description="teachers of a shard, and of a job")
    training: StudentTraining = Field(StudentTraining(), description="how they are trained")

    @field_validator("ops")
    @classmethod
    def _ordered(cls, ops: tuple[int, int]) -> tuple[int, int]:
        if ops[0] > ops[1]:
            raise ValueError("the first number must not exceed the second")
        return ops

    @property
    def shards(self) -> int:
        """Number of shards."""
        return math.ceil(self.models / self.shard_size)


class CompressedZoo(StudentZoo):
    """The compressed zoo: one matrix W is trained, all other weights are as compiled."""

    training: CompressionTraining = Field(CompressionTraining(), description="how they are trained")
    start: Literal["data", "random"] = Field(
        "data", description="start of W: from second moments of the data, or random orthonormal"
    )
    noise: float = Field(0.0, ge=0, description="noise on the start, over its standard deviation")


class NaturalZoo(StudentZoo):
    """The natural zoo: every weight is trained from a Xavier start."""

    @model_validator(mode="after")
    def _inputs_are_symbols(self) -> Self:
        if self.training.samples != "vocabulary":
            raise ValueError("training.samples must be vocabulary: W alone has random streams")
        return self


class LossTable(Section):
    """The comparison of losses for compression (thesis, Tables 6.1 to 6.3)."""

    programs: Count = Field(12, description="programs that are compressed with every loss")
    ops: tuple[Ops, Ops] = Field(
        (4, 6),
        description="fewest and most ops of them",
        json_schema_extra=_takes(f"two integers from 1 to {MAX_OPS}, the smaller first"),
    )
    steps: Count = Field(300, description="training steps of each")

    _ordered = field_validator("ops")(StudentZoo._ordered.__func__)


class StudentsConfig(Section):
    """Students of the standard zoo's models."""

    compressed: CompressedZoo = Field(CompressedZoo(), description="the compressed zoo")
    natural: NaturalZoo = Field(NaturalZoo(), description="the natural zoo")
    loss_table: LossTable = Field(LossTable(), description="the comparison of losses")


class StudyScale(Section):
    """How far one program of the superposition study is trained."""

    seeds: Count = Field(3, description="runs of each width, from different random starts")
    steps: Count = Field(300_000, description="training steps; the Tracr paper's are 300,000")
    batch: Count = Field(256, description="inputs a step; the Tracr paper's are 256")
    widths: Count | tuple[Count, ...] = Field(
        100,
        description="widths of the compressed stream: most of them, spread from 1 to the model's, "
        "or their list",
        json_schema_extra=_takes("an integer of at least 1, or a list of distinct widths"),
    )
    learning_rate: float = Field(
        1e-3,
        gt=0,
        le=1,
        description="rate at the start, falling linearly to 1e-6 over the first half of the steps",
    )
    start: Literal["normal", "scaled"] = Field(
        "normal",
        description="random start: `normal` with standard deviation 1, as in Tracr's code, or "
        "`scaled` by one over the root of the width",
    )

    @field_validator("widths")
    @classmethod
    def _distinct_widths(cls, widths: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if not isinstance(widths, int) and (not widths or len(set(widths)) < len(widths)):
            raise ValueError("give at least one width, and each once")
        return widths


class StudyLibrary(StudyScale):
    """The library programs of the study's summary figure, each at a smaller scale."""

    steps: Count = Field(20_000, description="training steps of each program")
    seeds: Count = Field(1, description="runs of each width, from different random starts")
    batch: Count = Field(32, description="inputs a step")
    widths: Count | tuple[Count, ...] = Field(
        9,
        description="widths of the compressed stream: most of them, spread from 1 to the model's, "
        "or their list",
        json_schema_extra=_takes("an integer of at least 1, or a list of distinct widths"),
    )
    start: Literal["normal", "scaled"] = Field(
        "scaled", description="random start, as of `study.start`"
    )
    programs: Literal["all"] | tuple[LibraryName, ...] = Field(
        "all",
        description="library programs that are compressed for the summary figure",
        json_schema_extra=_takes('"all", or a list of distinct names of library programs'),
    )

    @field_validator("programs")
    @classmethod
    def _in_the_library(cls, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
        return given if isinstance(given, str) else _library_programs(given)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of the programs."""
        from tracrlab.rasp.library import LIBRARY

        return tuple(LIBRARY) if self.programs == "all" else self.programs


class StudyConfig(StudyScale):
    """The superposition study of the Tracr paper: one matrix for every width and seed."""

    programs: tuple[LibraryName, ...] = Field(
        ("frac_prevs", "sort_unique"),
        description="library programs that are compressed at every width",
        json_schema_extra=_takes("a list of distinct names of library programs"),
    )
    library: StudyLibrary = Field(
        StudyLibrary(), description="the smaller study of every library program"
    )

    @field_validator("programs")
    @classmethod
    def _in_the_library(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return _library_programs(given)


def _library_programs(given: tuple[str, ...]) -> tuple[str, ...]:
    """Check a list of library programs."""
    from tracrlab.rasp.library import LIBRARY

    if not given or len(set(given)) < len(given):
        raise ValueError("give at least one name, and each once")
    for name in given:
        if name not in LIBRARY:
            raise ValueError(f"{name!r} is none of {', '.join(LIBRARY)}")
    return given


class LossWeights(Section):
    """Weights of the three losses of Tracr-injection, equation 1."""

    answer: float = Field(1.0, ge=0, description="weight of the cross-entropy of answer tokens")
    alignment: float = Field(
        1.0, ge=0, description="weight of 1 - cos of mapped and compiled streams"
    )
    text: float = Field(
        1.0, ge=0, description="weight of the divergence from the frozen original on plain text"
    )


class AlignmentConfig(Section):
    """What of the compiled residual stream faces what of the language model's."""

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


class InterchangeConfig(Section):
    """Interchange interventions of the method `interchange`, as shares of a batch's examples."""

    prompts: Share = Field(
        0.5, description="share whose prompt has symbols exchanged, answered by the program"
    )
    variables: float = Field(
        0.25,
        ge=0,
        le=0.5,
        description="share in which a variable takes another example's value in the stream",
    )


class TinyConfig(Section):
    """The small GPT-2 that the workflow pretrains itself."""

    text: tuple[str, ...] = Field(
        ("docstrings", "shakespeare"),
        min_length=1,
        description="texts: `docstrings`, `shakespeare`, `newsgroups`, `hub:NAME`, or paths",
        json_schema_extra=_takes("a list of names of texts, or of paths"),
    )
    layers: Count = Field(8, description="blocks; at least as many as the tasks' programs need")
    width: Count = Field(128, description="width of the residual stream")
    heads: Count = Field(4, description="attention heads of a block; they divide the width")
    context: int = Field(
        256, ge=8, description="longest input, and the window that is trained on, in tokens"
    )
    steps: Count = Field(500, description="training steps")
    batch: Count = Field(8, description="windows a step")
    learning_rate: float = Field(3e-3, gt=0, description="peak rate")
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

    tasks: tuple[str, ...] = Field(
        ("count", "addition", "shuffle_dyck"),
        min_length=1,
        description="tasks, each injected into a model of its own: `count`, `addition`, "
        "`shuffle_dyck`, `shuffle_dyck_paper`, `reverse`, `most_frequent`, `parity`, or the path "
        "of a Python file",
        json_schema_extra=_takes("a list of names of tasks, or of paths that end in .py"),
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
        json_schema_extra=_takes("a list of names of texts, or of paths"),
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
        json_schema_extra=_takes(
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
        description="subspace that stays when the rest of the stream is swapped behind the last "
        "aligned layer: that of the whole linear map (the paper's), or of the output's directions",
    )
    swap_share: Share = Field(
        0.5, description="share of a batch's examples that are swapped; the paper swaps all"
    )
    interchange: InterchangeConfig = Field(
        InterchangeConfig(), description="interventions of the method `interchange`"
    )
    text_batch: int = Field(2, ge=0, description="windows of plain text a step")
    text_length: int = Field(70, ge=2, description="tokens of a window")
    text_places: Count = Field(
        10, description="positions of each window at which logits are compared, drawn anew"
    )
    text_windows: Count = Field(2_000, description="most different windows of plain text")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="arithmetic; `auto` is bf16 on a GPU that has it, else fp32"
    )
    checkpoint_steps: Count = Field(500, description="steps between two checkpoints")
    measure_steps: Count = Field(100, description="steps between two lines of the loss table")
    noise_norms: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
        min_length=1,
        description="norms of the noise that is added to the stream, in mean norms of the stream",
        json_schema_extra=_takes("a list of numbers of at least 0"),
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


class FiguresConfig(Section):
    """Which pictures are drawn, and in which formats."""

    formats: tuple[Literal["pdf", "png", "svg"], ...] = Field(
        ("pdf", "png"),
        min_length=1,
        description="file formats; each figure is written in all of them",
        json_schema_extra=_takes('a list of some of "pdf", "png" and "svg"'),
    )
    dpi: int = Field(200, ge=50, le=1200, description="dots per inch of png figures")
    residuals: tuple[LibraryName, ...] = Field(
        ("frac_prevs", "sort_unique", "sort", "pair_balance", "shuffle_dyck2"),
        description="library programs whose residual stream is drawn, one figure each",
        json_schema_extra=_takes("a list of distinct names of library programs"),
    )
    blocks: LibraryName = Field(
        "hist",
        description="library program whose compiled blocks are drawn",
        json_schema_extra=_takes("the name of a library program"),
    )

    @field_validator("formats", "residuals")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("each name may stand there once")
        return names

    @field_validator("residuals", "blocks")
    @classmethod
    def _in_the_library(cls, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
        from tracrlab.rasp.library import LIBRARY

        for name in (given,) if isinstance(given, str) else given:
            if name not in LIBRARY:
                raise ValueError(f"{name!r} is none of {', '.join(LIBRARY)}")
        return given


class Config(Section):
    """The whole configuration; an empty one is valid."""

    seed: int = Field(
        0, ge=0, lt=2**63, description="root of every random number: same seed, same results"
    )
    zoo: ZooConfig = Field(ZooConfig(), description="the sampled and verified programs")
    students: StudentsConfig = Field(
        StudentsConfig(), description="compressed and natural students"
    )
    study: StudyConfig = Field(StudyConfig(), description="the superposition study")
    injection: InjectionConfig = Field(
        InjectionConfig(), description="programs distilled into a language model"
    )
    figures: FiguresConfig = Field(FiguresConfig(), description="the pictures")


def load_config(source: str | Path | dict[str, Any]) -> Config:
    """Read and check a configuration; keys that are not given have their defaults.

    Args:
        source: a path to a YAML file, an inline JSON object (a string that starts with `{`), or a
            mapping such as Snakemake's merged configuration.

    Returns:
        The checked configuration.

    Raises:
        TracrLabError: the source cannot be read, or a key or value is wrong; the sentence names the
            dotted key, the value found there and what the key takes.
    """
    name, values = _read(source)
    if not isinstance(values, dict):
        raise TracrLabError(
            f"{name}: a configuration is a mapping of keys to values, not {values!r}."
        )
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise TracrLabError(f"{name}: {sentence(Config, values, error)}") from None


def _read(source: str | Path | dict[str, Any]) -> tuple[str, Any]:
    """Give the name of a source for messages, and its values before any check."""
    if isinstance(source, dict):
        return "the configuration", source
    if isinstance(source, str) and source.lstrip().startswith("{"):
        try:
            return "the inline configuration", json.loads(source)
        except json.JSONDecodeError as error:
            raise TracrLabError(f"the inline configuration is not valid JSON: {error}.") from None
    try:
        values = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TracrLabError(
            f"{source}: there is no such configuration file; an inline one starts with '{{'."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TracrLabError(f"{source}: the file cannot be read ({error}).") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "unreadable characters"
        raise TracrLabError(f"{source}: the file is not valid YAML{where} ({problem}).") from None
    return str(source), {} if values is None else values


def section(config: Config, *names: str, without: tuple[str, ...] = ()) -> str:
    """Give the named parts of a configuration as one line of JSON, defaults filled in.

    Args:
        config: the whole configuration.
        names: dotted keys to keep, such as `"seed"`, `"zoo"` or `"zoo.limits"`.
        without: dotted keys inside them to leave out.

    Returns:
        JSON with sorted keys and no spaces, itself a valid source for `load_config`.

    Raises:
        KeyError: a name is no key of the configuration.
    """
    values = config.model_dump(mode="json")
    kept: dict[str, Any] = {}
    for name in names:
        *groups, key = name.split(".")
        found, target = values, kept
        for group in groups:
            found, target = found[group], target.setdefault(group, {})
        target[key] = found[key]
    for name in without:
        *groups, key = name.split(".")
        target = kept
        for group in groups:
            target = target[group]
        del target[key]
    return json.dumps(kept, sort_keys=True, separators=(",", ":"))


def generated_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Give the path and the text of each file under `root` that is written from the models."""
    return reference_files(Config, root)


if __name__ == "__main__":
    for path, text in generated_files(Path(__file__).parents[2]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
