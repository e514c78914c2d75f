"""The standard zoo: programs, limits, splits."""

import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tracrlab.sections.section import (
    MAX_SEQ_LEN,
    MAX_SHARDS,
    RESERVED_SYMBOLS,
    Count,
    OpsRange,
    Section,
    Share,
    takes,
)


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
    ops: OpsRange = Field(
        (3, 8),
        description="fewest and most ops of a program; each length is sampled equally often",
    )
    vocab: Count | tuple[int | str, ...] = Field(
        5,
        description="symbols of the input: a number n for the integers 0 to n-1, or their list",
        json_schema_extra=takes("an integer of at least 1, or a list of distinct symbols"),
    )
    max_seq_len: int = Field(
        5, ge=1, le=MAX_SEQ_LEN, description="longest input, in tokens, BOS not counted"
    )
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
