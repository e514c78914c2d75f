"""Malformed configurations, generated from the schema: every key, in every way it can be wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())


@dataclass(frozen=True)
class Wrong:
    """A malformed configuration.

    Attributes:
      key: the dotted key that is wrong.
      how: in which way.
      values: the configuration.
    """

    key: str
    how: str
    values: dict[str, Any]


def resolved(entry: dict) -> dict:
    """A schema entry with its reference followed."""
    reference = entry.get("$ref") or next((e["$ref"] for e in entry.get("allOf", ())), None)
    return entry | SCHEMA["$defs"][reference.rpartition("/")[2]] if reference else entry


def entries(schema: dict = SCHEMA, prefix: str = "") -> Iterator[tuple[str, dict]]:
    """Every key with its schema, groups too."""
    for name, entry in schema["properties"].items():
        entry = resolved(entry)  # noqa: PLW2901
        yield prefix + name, entry
        if "properties" in entry:
            yield from entries(entry, f"{prefix}{name}.")


def at(key: str, value: Any) -> dict[str, Any]:
    """A configuration with one value."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def alternatives(entry: dict) -> list[dict]:
    """The schemas that a value may follow, one of them."""
    return [resolved(choice) for choice in entry.get("anyOf", [entry])]


def wrong_values(entry: dict) -> Iterator[tuple[str, Any]]:
    """Values that a schema entry does not allow, each with the way in which it is wrong."""
    choices = alternatives(entry)
    types = {choice.get("type") for choice in choices}
    if "null" not in types:
        yield "null", None
    if "object" not in types:
        yield "a mapping", {"x": 1}
    else:
        yield "a number for a group", 3
        yield "a list for a group", [1]
    if "array" not in types:
        yield "a list", [[1]]
    if not types & {"string"} and "enum" not in entry:
        yield "a word", "many"
    if not types & {"boolean", "object"}:
        yield "a truth value", True
    if "integer" in types and "number" not in types and "array" not in types:
        yield "a fraction", 2.5
    if types & {"integer", "number"}:
        yield "not a number", float("nan")
        yield "infinite", float("inf")
    for choice in choices:
        yield from out_of_range(choice)
        if choice.get("enum"):
            yield "no such choice", "no_such_choice"
        if "pattern" in choice:
            yield "against the pattern", "No Such Name"
        if choice.get("type") == "array":
            yield "a list of mappings", [{"x": 1}]
            yield "a list of null", [None]
            if "enum" in choice.get("items", {}) or "pattern" in choice.get("items", {}):
                yield "a list of no such choice", ["no such choice"]
            if choice.get("minItems"):
                yield "an empty list", []


def out_of_range(choice: dict) -> Iterator[tuple[str, Any]]:
    """Numbers just outside the limits."""
    if "minimum" in choice:
        yield "below the least", choice["minimum"] - 1
    if "exclusiveMinimum" in choice:
        yield "the excluded least", choice["exclusiveMinimum"]
    if "maximum" in choice:
        yield "above the most", choice["maximum"] + 1
    if "exclusiveMaximum" in choice:
        yield "the excluded most", choice["exclusiveMaximum"]


def wrong_configurations() -> Iterator[Wrong]:
    """All of them."""
    for key, entry in entries():
        for how, value in wrong_values(entry):
            yield Wrong(key, how, at(key, value))
        group, _, name = key.rpartition(".")
        neighbour = f"{group}.{name}_" if group else f"{name}_"
        yield Wrong(neighbour, "unknown neighbour", at(neighbour, 1))
