"""The README.md of an exported zoo: what it is, its columns, its counts, how it was verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from tracrlab import __version__
from tracrlab.errors import TracrLabError
from tracrlab.zoo.schema import ZOO_SCHEMA, FileInfo

if TYPE_CHECKING:
    from tracrlab.exporting.dataset_folder import Counts

#: The hub's size categories: rows below, and the name.
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
)
_LARGEST = "100M<n<1B"

#: What each column holds; every column of the schema must have a line.
COLUMNS = {
    "id": "the program's number in the sampler's sequence",
    "split": "train, validation or test, a function of `behaviour`",
    "n_ops": "number of ops",
    "behaviour": "hash of the outputs on every input; no two rows share one across splits",
    "tokens": "the program as token ids of `tracrlab.rasp.tokens`",
    "text": "the program, one op a line, the output last",
    "d_model": "width of the residual stream",
    "n_layers": "number of layers",
    "heads": "attention heads of each layer, 0 where it has no attention",
    "key_size": "width of a head's queries and keys, layer by layer",
    "value_size": "width of a head's values, layer by layer",
    "mlp_hidden": "neurons of each layer, 0 where it has no MLP",
    "output_encoding": "categorical (one-hot) or numerical",
    "output_values": "value of each output direction; of a numerical student its numbers",
    "labels": "name of each residual direction; empty for a trained model",
    "weights": "all weight matrices one after another, each row by row",
    "verified_inputs": "on how many inputs the weights were run and compared with the program",
    "max_error": "largest distance of an output from its ideal on them",
    "accuracy": "share of positions that are right",
    "exact": "whether all positions are right",
    "loss": "of a trained model: its loss; 0 if compiled",
    "steps": "of a trained model: training steps; 0 if compiled",
    "snapshot": "of a trained model: which copy of it; 0 if compiled",
    "refined": "of a compressed model: whether all weights were trained after the map alone",
    "teacher_d_model": "of a trained model: width of the compiled one; else `d_model`",
    "readout": "of a trained model: map from its residual stream to the compiled one's; else empty",
}

_MADE = {
    "standard": "compiled from the programs, exactly",
    "compressed": "compiled, then compressed into fewer residual directions by training a map",
    "natural": "trained from scratch to compute what compiled models compute",
}

_CITATION = """```bibtex
@software{tracrlab,
  title   = {Tracr Lab: RASP programs into transformer weights, and back},
  author  = {{Tracr Lab contributors}},
  version = {VERSION},
  year    = {2026}
}

@misc{lindner2023tracr,
  title  = {Tracr: Compiled Transformers as a Laboratory for Interpretability},
  author = {Lindner, David and Kram{\\'a}r, J{\\'a}nos and Farquhar, Sebastian and Rahtz, Matthew
            and McGrath, Thomas and Mikulik, Vladimir},
  year   = {2023}
}

@mastersthesis{baker2023inverse,
  title  = {Inverse {Tracr}: Mapping Neural Network Weights to Code},
  author = {Baker, William},
  school = {University of Cambridge},
  year   = {2023}
}
```"""


def size_category(rows: int) -> str:
    """The hub's size category of a number of rows."""
    return next((name for limit, name in _SIZES if rows < limit), _LARGEST)


def dataset_card(name: str, licence: str, manifest: dict, info: FileInfo, counts: Counts) -> str:
    """The card, with the YAML header that the hub and `datasets` read.

    Args:
      name: the title.
      licence: identifier of the licence.
      manifest: content of the exported manifest.
      info: description of the domain.
      counts: of the rows.

    Raises:
      TracrLabError: if a column of the schema has no description here.
    """
    kind = manifest["kind"]
    splits = [split for split in ("train", "validation", "test") if counts.splits[split]]
    rows = sum(counts.splits.values())
    unique = " No two programs behave alike." if kind == "standard" else ""
    files = "\n".join(f"  - split: {s}\n    path: data/{s}-*.parquet" for s in splits)
    return f"""---
pretty_name: {name}
license: {licence}
size_categories:
- {size_category(rows)}
tags:
- interpretability
- RASP
- transformer-weights
configs:
- config_name: default
  data_files:
{files}
---

# {name}

{rows:,} pairs of a RASP program and the weights of a transformer that computes it, {_MADE[kind]}.
Made by Tracr Lab {__version__}. Inputs are 1 to {info.max_seq_len} of the symbols \
{", ".join(info.vocab)}; attention is {"causal" if info.causal else "bidirectional"}.

```python
from datasets import load_dataset

zoo = load_dataset("path/to/this/folder")
zoo["train"][0]["text"], zoo["train"][0]["weights"][:5]
```

With Tracr Lab installed, a row is a model that runs:

```python
from tracrlab.zoo import load_manifest, read_rows

for shard in load_manifest("path/to/this/folder/manifest.json").checked_shards():
    for row in read_rows(shard):
        row.program, row.model.apply({_example(info)})
```

## Rows

{_count_table(counts, splits)}

Splits are cut by behaviour: no program of one split gives the outputs of a program of another on \
all inputs of the domain (4,096 seeded ones of a larger domain).{unique}

## How it was verified

The weights of every row were run as a transformer before the row was written, and compared with its
program: on {counts.inputs:,} inputs in all, {counts.inputs / rows:,.0f} a row, so chosen that every
value of every op occurs. {_verdict(counts, rows)}
`tracrlab verify manifest.json` does it again from the files alone; the manifest has a SHA-256 of
each file.

## Columns

{_column_table()}

Weight matrices stand in this order: `token_embed`, `pos_embed`, then of each layer that has them
`attn/query`, `attn/key`, `attn/value`, `attn/linear`, `mlp/linear_1`, `mlp/linear_2`, and at the
end `unembed`. There are no biases and no layer norm; attention logits are divided by the root of
the key size; the MLP's non-linearity is ReLU; position 0 is the beginning-of-sequence symbol, whose
row of `token_embed` is the last.

## Citation

{citation()}
"""


def citation() -> str:
    """BibTeX of Tracr Lab and of what it builds on."""
    return _CITATION.replace("VERSION", __version__)


def _verdict(counts: Counts, rows: int) -> str:
    if counts.exact == rows:
        error = f"{counts.max_error:.1e}"
        return f"Every row is right at every position; the largest error is {error}."
    return (
        f"{counts.exact:,} rows ({counts.exact / rows:.1%}) are right at every position; the "
        "others say in `accuracy` how often."
    )


def _example(info: FileInfo) -> str:
    return f"[{', '.join(info.vocab[: info.max_seq_len][:2])}]"


def _count_table(counts: Counts, splits: list[str]) -> str:
    lines = [["ops", *splits, "all"], ["---:"] * (len(splits) + 2)]
    for length in sorted({length for _, length in counts.lengths}):
        row = [counts.lengths[split, length] for split in splits]
        lines.append([str(length), *(f"{number:,}" for number in [*row, sum(row)])])
    total = [counts.splits[split] for split in splits]
    lines.append(["all", *(f"{number:,}" for number in [*total, sum(total)])])
    return _table(lines)


def _column_table() -> str:
    missing = set(ZOO_SCHEMA.names) ^ COLUMNS.keys()
    if missing:
        raise TracrLabError(f"the dataset card does not describe the column {sorted(missing)[0]}.")
    lines = [["column", "type", "meaning"], ["---"] * 3]
    lines += [
        [f"`{column.name}`", _type(column.type), COLUMNS[column.name]] for column in ZOO_SCHEMA
    ]
    return _table(lines)


def _type(kind: pa.DataType) -> str:
    return f"list of {kind.value_type}" if pa.types.is_list(kind) else str(kind)


def _table(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
