"""Sizes of the library's programs, as a table."""

from __future__ import annotations

import pandas as pd

from tracrlab.compiler.compiling import compile_table
from tracrlab.compiler.verification import verify
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.library import LIBRARY
from tracrlab.rasp.truth_table import evaluate


def library_table() -> pd.DataFrame:
    """One row a program: its domain, its model's sizes, and its verification on every input."""
    rows = []
    for entry in LIBRARY.values():
        domain = Domain(entry.vocab, entry.max_seq_len, entry.causal, entry.inputs)
        table = evaluate(entry.program, domain)
        model = compile_table(table)
        result = verify(model, table, None)
        sizes = model.architecture
        rows.append(
            {
                "program": entry.name,
                "computes": entry.summary,
                "source": entry.source,
                "ops": len(entry.program),
                "symbols": len(entry.vocab),
                "max_seq_len": entry.max_seq_len,
                "d_model": sizes.d_model,
                "layers": len(sizes.layers),
                "heads": sum(layer.heads for layer in sizes.layers),
                "mlp_neurons": sum(layer.mlp_hidden for layer in sizes.layers),
                "weights": sizes.weight_count,
                "inputs_run": result.inputs,
                "mismatches": result.mismatches,
            }
        )
    return pd.DataFrame(rows)
