"""A trained decompiler as a model folder that can be given away: weights, configuration, card."""

from __future__ import annotations

import shutil
from pathlib import Path

from tracrlab import __version__
from tracrlab.errors import TracrLabError
from tracrlab.exporting.dataset_card import citation
from tracrlab.files import atomic_path, write_text

_METHODS = {
    "tokens": "an encoder over the parameters and a decoder that writes program tokens",
    "circuits": "an encoder over what heads and MLPs do on a few inputs, and the same decoder",
    "lines": "the thesis's: blocks of parameters in, five fields of each line out",
}

_UNMEASURED = "Not part of this card; `tracrlab decompiler predict` measures it."


def write_decompiler(
    source: str | Path, folder: str | Path, *, licence: str = "mit", results: Path | None = None
) -> None:
    """Copies a decompiler that loads, with a card; the copy is what ``--decompiler`` takes.

    Args:
      source: folder that training wrote.
      folder: the folder to write; new or empty.
      licence: identifier of the licence, as the hub writes it.
      results: a table in Markdown that the card shows, as ``results/decompiler_table.md``.

    Raises:
      TracrLabError: if the source is no decompiler that loads, the folder holds something, or
        there is no such table.
    """
    from tracrlab.decompiler.model_folder import CONFIG_FILE, MODEL_FILE, load

    source, folder = Path(source), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TracrLabError(f"{folder} is not an empty folder; give --out a new one.")
    if results is not None and not (results.suffix == ".md" and results.is_file()):
        raise TracrLabError(f"{results} is no table in Markdown; give a .md file.")
    model, description = load(source)
    count = sum(value.numel() for value in model.parameters())
    table = None if results is None else results.read_text(encoding="utf-8")
    for name in (MODEL_FILE, CONFIG_FILE):  # the configuration last: it vouches for the weights
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(source / name, temporary)
    write_text(folder / "README.md", decompiler_card(description, count, licence, table))


def decompiler_card(description, parameters: int, licence: str, results: str | None) -> str:
    """The card.

    Args:
      description: the decompiler's `model_folder.Description`.
      parameters: number of its parameters.
      licence: identifier of the licence.
      results: a table in Markdown, if there is one.
    """
    training = _lines(description.training)
    return f"""---
license: {licence}
library_name: tracrlab
tags:
- interpretability
- RASP
- program-synthesis
---

# A decompiler: from transformer weights to RASP programs

It reads the weights of a small transformer and writes the RASP program that they compute. The
architecture is `{description.method}`, {_METHODS[description.method]}, with {parameters:,}
parameters. Made by Tracr Lab {__version__}.

It writes programs of at most {description.max_ops} ops of the sampler's preset
`{description.preset}`, and reads models of at most {_largest(description)}. What it writes
is a guess until it is run: `decompile` runs its candidates beside the model and says `verified`,
`plausible` or `none`.

```
tracrlab decompile model.safetensors --decompiler path/to/this/folder
```

```python
import tracrlab

answer = tracrlab.decompile("model.safetensors", "path/to/this/folder")
print(answer.verdict, answer.program, sep="\\n")
```

## Accuracy

{results.strip() if results else _UNMEASURED}

## Sizes

{_lines(description.sizes)}

## Training

{training or "Nothing is recorded."}

## Citation

{citation()}
"""


def _largest(description) -> str:
    """The largest model that it reads, in words."""
    from tracrlab.decompiler.circuit_model import CircuitSettings

    limits = description.limits
    if description.method == "lines":
        return f"{limits['max_blocks']:,} blocks of 512 weights"
    if description.method == "tokens":
        return f"{limits['max_tokens']:,} parameter tokens"
    most = CircuitSettings(**description.sizes)
    return f"{most.max_layers} layers and {most.max_heads} heads a layer"


def _lines(table: dict) -> str:
    return "\n".join(f"- `{name}`: {value}" for name, value in table.items())
