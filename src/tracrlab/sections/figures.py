"""The pictures."""

from typing import Literal

from pydantic import Field, field_validator

from tracrlab.sections.section import LibraryName, Section, takes


class FiguresConfig(Section):
    """Which pictures are drawn, and in which formats."""

    formats: tuple[Literal["pdf", "png", "svg"], ...] = Field(
        ("pdf", "png"),
        min_length=1,
        description="file formats; each figure is written in all of them",
        json_schema_extra=takes('a list of some of "pdf", "png" and "svg"'),
    )
    dpi: int = Field(200, ge=50, le=1200, description="dots per inch of png figures")
    residuals: tuple[LibraryName, ...] = Field(
        ("frac_prevs", "sort_unique", "sort", "pair_balance", "shuffle_dyck2"),
        description="library programs whose residual stream is drawn, one figure each",
        json_schema_extra=takes("a list of distinct names of library programs"),
    )
    blocks: LibraryName = Field(
        "hist",
        description="library program whose compiled blocks are drawn",
        json_schema_extra=takes("the name of a library program"),
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
