"""Colours for people at a terminal; files, pipes and those who set NO_COLOR get plain text."""

from __future__ import annotations

import os
from typing import TextIO

_RED, _PLAIN = "\033[31m", "\033[0m"


def wants_colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and NO_COLOR is not set."""
    dumb = os.environ.get("TERM") == "dumb"
    return stream.isatty() and not dumb and not os.environ.get("NO_COLOR")


def red(text: str, stream: TextIO) -> str:
    """The text, red if the stream wants colours."""
    return f"{_RED}{text}{_PLAIN}" if wants_colours(stream) else text
