"""A shard of the zoo: every selected program compiled, verified and written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tracrlab.compiler.compiling import compile_table
from tracrlab.compiler.model import CompiledModel
from tracrlab.compiler.verification import Verification, verify
from tracrlab.config import Config
from tracrlab.errors import TracrLabError
from tracrlab.progress import progress
from tracrlab.rasp.program import Program
from tracrlab.rasp.truth_table import TruthTable, evaluate
from tracrlab.rasp.values import literal
from tracrlab.zoo.sampling import limits
from tracrlab.zoo.schema import DAMAGE, FileInfo, damaged, open_parquet
from tracrlab.zoo.writing import row_writer

#: The columns of how a model came about, for one that was compiled.
AS_COMPILED = {
    "accuracy": 1.0,
    "exact": True,
    "loss": 0.0,
    "steps": 0,
    "snapshot": 0,
    "refined": False,
    "readout": (),
}


def build_shard(config: Config, selected: str | Path, out: str | Path) -> None:
    """Compiles and verifies the programs of a selected file; only verified rows are written.

    Args:
      config: the configuration.
      selected: the file of selected programs.
      out: the shard to write.

    Raises:
      TracrLabError: if a program fails its verification, naming it and the input: that is a fault
        of the compiler, never of the program.
    """
    file, selected_info = open_parquet(selected, "selected")
    domain, bounds = selected_info.domain, limits(config)
    info = FileInfo.of("zoo", domain, selected_info.seed, {})
    total = file.metadata.num_rows
    with row_writer(out, info) as writer:
        for row in progress(plain_rows(file, selected), total, "compiling"):
            table = evaluate(Program.from_tokens(row["tokens"]), domain)
            model = compile_table(table, bounds)
            verification = verify(model, table, config.zoo.verify_inputs)
            if not verification.passed:
                raise TracrLabError(
                    f"program {row['id']} of seed {selected_info.seed} fails its verification "
                    f"{verification.example}; please report it with this text:\n{table.program}"
                )
            writer.write(
                row
                | zoo_columns(model, table, verification)
                | AS_COMPILED
                | {"teacher_d_model": model.architecture.d_model}
            )


def plain_rows(file: pq.ParquetFile, path: str | Path) -> Iterator[dict[str, Any]]:
    """Streams the rows of an open file of programs, which have no weights.

    Raises:
      TracrLabError: if the file is damaged.
    """
    try:
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()
    except DAMAGE as error:
        raise damaged(path, error) from None


def zoo_columns(
    model: CompiledModel, table: TruthTable, verification: Verification
) -> dict[str, Any]:
    """The columns of a zoo row that come from the model and its verification."""
    architecture = model.architecture
    return {
        "text": table.program.text(),
        "d_model": architecture.d_model,
        "n_layers": len(architecture.layers),
        "heads": [layer.heads for layer in architecture.layers],
        "key_size": [layer.key_size for layer in architecture.layers],
        "value_size": [layer.value_size for layer in architecture.layers],
        "mlp_hidden": [layer.mlp_hidden for layer in architecture.layers],
        "output_encoding": model.output_encoding,
        "output_values": [literal(value) for value in model.output_values],
        "labels": list(model.labels),
        "weights": architecture.flatten(model.weights),
        "verified_inputs": verification.inputs,
        "max_error": verification.max_error,
    }
