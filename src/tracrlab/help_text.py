"""Help with examples: the ``Example:`` paragraphs of a command's docstring stay whole lines.

Click wraps every paragraph, and a wrapped command cannot be copied into a terminal.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import typer

_MARK = "Example: "


def examples_of(function: Callable) -> list[str]:
    """The commands behind ``Example:`` in a docstring, each on one line."""
    return [
        " ".join(paragraph.removeprefix(_MARK).split())
        for paragraph in _paragraphs(function)
        if paragraph.startswith(_MARK)
    ]


def show_examples(app: typer.Typer) -> None:
    """Gives each command of an app, and of the apps in it, a help that ends with its examples."""
    for command in app.registered_commands:
        examples = examples_of(command.callback)
        if examples:
            text = [p for p in _paragraphs(command.callback) if not p.startswith(_MARK)]
            heading = "Example:" if len(examples) == 1 else "Examples:"
            # Click leaves a paragraph as it is behind this character.
            listing = "\n".join(["\b", heading, *(f"  {example}" for example in examples)])
            command.help = "\n\n".join([*text, listing])
    for group in app.registered_groups:
        show_examples(group.typer_instance)


def _paragraphs(function: Callable) -> list[str]:
    return (inspect.getdoc(function) or "").split("\n\n")
