"""What every section of the configuration is, and the kinds of values that several of them take."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

RESERVED_SYMBOLS = ("compiler_bos", "compiler_pad")
MAX_OPS = 30
MAX_SHARDS = 100_000
MAX_SEQ_LEN = 4_096

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
LibraryName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Ops = Annotated[int, Field(ge=1, le=MAX_OPS)]
Precision = Literal["auto", "float32", "bfloat16"]
Ratio = Annotated[float, Field(gt=0, le=1)]


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


def takes(text: str) -> dict[str, Any]:
    """Word what a key takes where its type alone does not say it."""
    return {"takes": text}


def _ordered(bounds: tuple[int, int]) -> tuple[int, int]:
    if bounds[0] > bounds[1]:
        raise ValueError("the first number must not exceed the second")
    return bounds


#: Fewest and most ops of a program.
OpsRange = Annotated[
    tuple[Ops, Ops],
    AfterValidator(_ordered),
    Field(json_schema_extra=takes(f"two integers from 1 to {MAX_OPS}, the smaller first")),
]
