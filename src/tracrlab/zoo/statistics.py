"""What is in a zoo, as a data frame with one row a program."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tracrlab.rasp.primitives import Primitive
from tracrlab.zoo.manifest import load_manifest
from tracrlab.zoo.reading import Row, read_rows

#: The columns of a row's program and sizes, which are all that a row without weights needs.
DESCRIPTION = (
    "id",
    "split",
    "n_ops",
    "tokens",
    "d_model",
    "n_layers",
    "heads",
    "key_size",
    "value_size",
    "mlp_hidden",
    "output_encoding",
    "output_values",
)


def load_rows(manifest: str | Path, max_rows: int = 200_000) -> tuple[pd.DataFrame, pd.Series, int]:
    """Describes a zoo's programs; weights are not read.

    Args:
      manifest: the zoo's manifest.
      max_rows: of a larger zoo, only this many rows are read, from its first shards. Shards are
        alike: each holds all program lengths and its programs are drawn independently.

    Returns:
      the data frame, how often an op or program was rejected while sampling, by reason, and how
      many ops were proposed in all.
    """
    loaded = load_manifest(manifest)
    records: list[dict] = []
    for path in loaded.checked_shards():
        records.extend(_record(row) for row in read_rows(path, DESCRIPTION, batch_size=4096))
        if len(records) >= max_rows:
            break
    sampling = loaded.content["sampling"]
    rejected = sampling["rejected_ops"] | {
        f"program: {reason}": count for reason, count in sampling["refused_programs"].items()
    }
    proposed = sampling["ops"] + sum(
        count for reason, count in sampling["rejected_ops"].items() if reason != "restarted"
    )
    return pd.DataFrame(records[:max_rows]), pd.Series(rejected, dtype="int64"), proposed


def _record(row: Row) -> dict:
    program = row.program
    return {
        "id": row["id"],
        "split": row["split"],
        "n_ops": row["n_ops"],
        "ops": [op.kind for op in program.ops],
        "functions": [
            f"{op.kind} {op.function.template}"
            for op in program.ops
            if isinstance(op.function, Primitive)
        ],
        "d_model": row["d_model"],
        "n_layers": row["n_layers"],
        "heads": sum(row["heads"]),
        "mlp_neurons": sum(row["mlp_hidden"]),
        "weights": row.architecture.weight_count,
        "output_encoding": row["output_encoding"],
        "n_output_values": len(row["output_values"]),
    }
