"""The results of a run as digests, so that two runs can be compared: all but their run times."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

#: Columns of tables that hold run times.
RUN_TIMES = ("seconds", "train_minutes", "seconds_a_model")


def _without(pattern: bytes) -> Callable[[bytes], bytes]:
    return lambda content: re.sub(pattern, b"", content)


def _parquet(content: bytes) -> bytes:
    """Columns and rows; the metadata hold a checksum, which the run times are in."""
    table = pq.read_table(BytesIO(content)).replace_schema_metadata(None)
    kept = table.drop([name for name in RUN_TIMES if name in table.column_names])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, kept.schema) as writer:
        writer.write_table(kept.combine_chunks())
    return sink.getvalue().to_pybytes()


def _csv(content: bytes) -> bytes:
    table = pd.read_csv(BytesIO(content), dtype=str)
    return table.drop(columns=[n for n in RUN_TIMES if n in table]).to_csv().encode()


#: What is compared of a file, by the ending of its path; of any other, all of it.
COMPARED: dict[str, Callable[[bytes], bytes]] = {
    r"timing\.json": _without(rb'"\w*(seconds|steps)": [\d.e+-]+'),
    r"decompiler/.*/config\.json": _without(rb'"minutes": [\d.]+'),
    r"\.pdf": _without(rb"/CreationDate \([^)]*\)"),
    r"predictions\.parquet": _parquet,
    r"decompiler_table\.csv": _csv,
    # The same numbers as in the CSV beside them, in forms that run times are deep inside.
    r"\.tfevents|decompiler_table\.(md|html)": _without(rb"(?s).*"),
}


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every result by its path, run times and time stamps left out."""
    found = {}
    for path in sorted((folder / "results").rglob("*")):
        if path.is_file() and not path.name.startswith(".snakemake"):
            name, content = path.relative_to(folder).as_posix(), path.read_bytes()
            for ending, compared in COMPARED.items():
                if re.search(f"({ending})$", name):
                    content = compared(content)
            found[name] = hashlib.sha256(content).hexdigest()
    return found
