"""The configuration: every key, its default, its meaning and its limits, in one place.

The models of `tracrlab.sections` are the only source; this module puts them together and reads
files. The YAML files of `config/` hold what differs from the defaults,
`workflow/schemas/config.schema.json` and the key table of `config/README.md` are written from the
models by `python -m tracrlab.config`, and rules hand a command only the part of the configuration
that it reads (`section`), so that a changed key reruns exactly its descendants.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from tracrlab.config_reference import reference_files, sentence
from tracrlab.errors import TracrLabError
from tracrlab.sections.decompiler import DecompilerConfig
from tracrlab.sections.figures import FiguresConfig
from tracrlab.sections.injection import InjectionConfig
from tracrlab.sections.section import Section
from tracrlab.sections.students import StudentsConfig
from tracrlab.sections.study import StudyConfig
from tracrlab.sections.zoo import ZooConfig

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


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
    decompiler: DecompilerConfig = Field(
        DecompilerConfig(), description="meta-models that read weights and write programs"
    )
    figures: FiguresConfig = Field(FiguresConfig(), description="the pictures")

    @model_validator(mode="after")
    def _injection_takes_the_seed(self) -> Self:
        """Gives the injection the root seed where it has none, so that it reads its own alone."""
        if self.injection.seed is None:
            own = self.injection.model_copy(update={"seed": self.seed})
            object.__setattr__(self, "injection", own)  # the model is frozen
        return self


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
        except (ValueError, RecursionError) as error:
            raise TracrLabError(f"the inline configuration is not valid JSON: {error}.") from None
    try:
        values = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TracrLabError(
            f"{source}: there is no such configuration file; an inline one starts with '{{'."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TracrLabError(f"{source}: the file cannot be read ({error}).") from None
    except (ValueError, RecursionError) as error:
        raise TracrLabError(f"{source}: the file is not valid YAML ({error}).") from None
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
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    # Snakemake reads a name in braces as a wildcard; JSON's own stand before a quote or bracket.
    return _STRING.sub(lambda found: _escaped(found[0]), text)


def _escaped(text: str) -> str:
    """A JSON string with its braces spelled as numbers."""
    return text.replace("{", "\\u007b").replace("}", "\\u007d")


def generated_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Give the path and the text of each file under `root` that is written from the models."""
    return reference_files(Config, root)


if __name__ == "__main__":
    for path, text in generated_files(Path(__file__).parents[2]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
