"""The superposition study."""

from typing import Literal

from pydantic import Field, field_validator

from tracrlab.sections.section import Count, LibraryName, Section, takes


class StudyScale(Section):
    """How far one program of the superposition study is trained."""

    seeds: Count = Field(3, description="runs of each width, from different random starts")
    steps: Count = Field(300_000, description="training steps; the Tracr paper's are 300,000")
    batch: Count = Field(256, description="inputs a step; the Tracr paper's are 256")
    widths: Count | tuple[Count, ...] = Field(
        100,
        description="widths of the compressed stream: most of them, spread from 1 to the model's, "
        "or their list",
        json_schema_extra=takes("an integer of at least 1, or a list of distinct widths"),
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
        json_schema_extra=takes("an integer of at least 1, or a list of distinct widths"),
    )
    start: Literal["normal", "scaled"] = Field(
        "scaled", description="random start, as of `study.start`"
    )
    programs: Literal["all"] | tuple[LibraryName, ...] = Field(
        "all",
        description="library programs that are compressed for the summary figure",
        json_schema_extra=takes('"all", or a list of distinct names of library programs'),
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
        json_schema_extra=takes("a list of distinct names of library programs"),
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
