"""Compressed and natural students, and the comparison of losses."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from tracrlab.sections.section import Count, OpsRange, Ratio, Section, Share


class StudentTraining(Section):
    """How students are trained, many side by side."""

    steps: Count = Field(1200, description="most training steps of a model")
    cycles: Count = Field(
        2, description="parts of the steps that each have a schedule of their own, from its warm-up"
    )
    extra_cycles: int = Field(
        0, ge=0, description="further ones, of a model that comes near the gate and does not pass"
    )
    chunk: Count = Field(50, description="steps between two looks at a model")
    lanes: int = Field(
        0,
        ge=0,
        description="models trained side by side in one job; 0: one on a CPU, 64 on an accelerator",
    )
    batch: Count = Field(32, description="inputs of a step")
    pool: Count = Field(512, description="inputs that the batches of a chunk are drawn from")
    looked: Count = Field(
        1024, description="inputs that a model is run on after a chunk, or all while none is wrong"
    )
    mined: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="share of the pool drawn from inputs that are wrong or nearly so",
    )
    learning_rate: float = Field(1e-2, gt=0, description="peak of the schedule")
    warm_up: Share = Field(0.1, description="share of a cycle over which the rate rises")
    clip: float = Field(1.0, gt=0, description="largest norm of a model's gradient")
    averaging: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the past in the running mean of the weights that a student has; "
        "0 gives it those of the last step",
    )
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
    """How W is trained: what it alone can do it mostly does in 100 steps."""

    steps: Count = Field(100, description="most training steps of a model")
    cycles: Count = Field(
        1, description="parts of the steps that each have a schedule of their own"
    )
    hopeful: float = Field(
        0.8,
        ge=0,
        le=1,
        description="share of the positions that must be right at the first look, or W is trained "
        "no further; only where all weights may be solved for after it",
    )


class RefinementTraining(Section):
    """How every weight is changed after W: solved for, then trained on; else as in `training`."""

    solve: bool = Field(
        True,
        description="solve for all weights where W alone makes no exact student; false leaves what "
        "W alone gives, the papers' method",
    )
    steps: int = Field(
        0, ge=0, description="most training steps of all weights where solving makes none either"
    )
    cycles: Count = Field(
        1, description="parts of the steps that each have a schedule of their own"
    )
    learning_rate: float = Field(1e-2, gt=0, description="peak of the schedule")

    @model_validator(mode="after")
    def _training_follows_solving(self) -> Self:
        if self.steps and not self.solve:
            raise ValueError(f"steps is {self.steps} and solve is false: training follows solving")
        return self


class NaturalTraining(StudentTraining):
    """How every weight is trained from a Xavier start: few inputs a step, mined again and again."""

    extra_cycles: int = Field(
        1,
        ge=0,
        description="further cycles, of a model that comes near the gate and does not pass",
    )
    chunk: Count = Field(25, description="steps between two looks at a model")
    batch: Count = Field(16, description="inputs of a step")
    pool: Count = Field(256, description="inputs that the batches of a chunk are drawn from")
    looked: Count = Field(
        768, description="inputs that a model is run on after a chunk, or all while none is wrong"
    )
    mined: float = Field(
        0.75,
        ge=0,
        lt=1,
        description="share of the pool drawn from inputs that are wrong or nearly so",
    )
    warm_up: Share = Field(0.04, description="share of a cycle over which the rate rises")
    averaging: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="share of the past in the running mean of the weights that a student has; "
        "0 gives it those of the last step",
    )


class StudentZoo(Section):
    """Keys that the compressed and the natural zoo share."""

    models: Count = Field(2400, description="teachers taken from the standard zoo, in its order")
    ops: OpsRange = Field((3, 8), description="fewest and most ops of a teacher's program")
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
    shard_size: Count = Field(240, description="teachers of a shard, and of a job")
    shape_teachers: Count = Field(
        32, description="students that could be trained while one padded shape is compiled"
    )
    training: StudentTraining = Field(StudentTraining(), description="how they are trained")

    @property
    def shards(self) -> int:
        """Number of shards."""
        return math.ceil(self.models / self.shard_size)


class CompressedZoo(StudentZoo):
    """The compressed zoo: W is trained, and all weights where W alone does not make it exact."""

    training: CompressionTraining = Field(CompressionTraining(), description="how W is trained")
    refinement: RefinementTraining = Field(
        RefinementTraining(), description="what changes every weight, and may follow"
    )
    start: Literal["data", "random"] = Field(
        "data", description="start of W: from second moments of the data, or random orthonormal"
    )
    noise: float = Field(0.0, ge=0, description="noise on the start, over its standard deviation")


class NaturalZoo(StudentZoo):
    """The natural zoo: every weight is trained from a Xavier start."""

    training: NaturalTraining = Field(NaturalTraining(), description="how they are trained")
    shape_teachers: Count = Field(
        16, description="students that could be trained while one padded shape is compiled"
    )

    @model_validator(mode="after")
    def _inputs_are_symbols(self) -> Self:
        if self.training.samples != "vocabulary":
            raise ValueError("training.samples must be vocabulary: W alone has random streams")
        return self


class LossTable(Section):
    """The comparison of losses for compression (thesis, Tables 6.1 to 6.3)."""

    programs: Count = Field(12, description="programs that are compressed with every loss")
    ops: OpsRange = Field((4, 6), description="fewest and most ops of them")
    steps: Count = Field(300, description="training steps of each")


class StudentsConfig(Section):
    """Students of the standard zoo's models."""

    compressed: CompressedZoo = Field(CompressedZoo(), description="the compressed zoo")
    natural: NaturalZoo = Field(NaturalZoo(), description="the natural zoo")
    loss_table: LossTable = Field(LossTable(), description="the comparison of losses")
