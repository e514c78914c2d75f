"""Captions of results: reStructuredText that Snakemake's report shows, and its other forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace

#: The end of a sentence; what stands in brackets does not end one.
_SENTENCE_END = re.compile(r"[.?!](?=\s+[A-Z*`]|\s*$)")


def caption_text(template: str, wildcards: Mapping[str, str], config: Mapping) -> str:
    """Fills a caption in as Snakemake's report does, from the wildcards and the configuration.

    Raises:
      jinja2.UndefinedError: if the caption names something else.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    shown = SimpleNamespace(wildcards=dict(wildcards), config=config)
    return environment.from_string(template).render(snakemake=shown)


def first_sentence(caption: str) -> str:
    """The first sentence of a caption, on one line and as Markdown."""
    text = " ".join(caption.split())
    end = _SENTENCE_END.search(text)
    sentence = text[: end.end()] if end else text
    return sentence.replace("``", "`")


def caption_html(caption: str) -> str:
    """The whole caption as HTML."""
    from docutils.core import publish_parts

    return publish_parts(caption, writer="html")["body"]
