"""What a decompiler writes for the library's programs, which no zoo holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from tracrlab.compiler.compiling import compile_table
from tracrlab.compiler.model import CompiledModel
from tracrlab.decompiler.decompiling import Decompiler, Search
from tracrlab.decompiler.metrics import equivalent
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.library import LIBRARY, LibraryProgram
from tracrlab.rasp.program import Program
from tracrlab.rasp.truth_table import evaluate
from tracrlab.sections.decompiler import Evaluation


def library_decompiled(
    folder: str | Path, evaluation: Evaluation, name: str, device: str = "cpu"
) -> pd.DataFrame:
    """One row a library program: what is written for its compiled model, and the verdict.

    Programs are compiled over their own symbols and lengths, which are not those of the zoo that
    the decompiler was trained on. Where the model is larger than the decompiler reads, the row says
    so in place of a verdict.

    Args:
      folder: of the decompiler.
      evaluation: how widely candidates are searched for.
      name: what the table calls the decompiler.
      device: where it runs.
    """
    decompiler = Decompiler.load(folder, device)
    search = Search(evaluation.beam, evaluation.most_beams, evaluation.repairs, evaluation.endings)
    rows = []
    for entry, model, domain in _library_models():
        row: dict[str, Any] = {"method": name, "program": entry.name, "ops": len(entry.program)}
        try:
            [answer] = decompiler.decompile([model], search, [domain])
        except TracrLabError as error:
            rows.append(row | {"verdict": "not read", "reason": str(error).split(";")[0]})
            continue
        program = answer.program
        rows.append(
            row
            | {
                "verdict": answer.verdict,
                "agreement": round(100 * answer.check.agreement, 2) if answer.check else None,
                "exact": program == entry.program,
                "equivalent": equivalent(program, entry.program, domain),
                "confidence": round(answer.confidence, 4),
                "candidates_run": answer.tried,
                "written": one_line(program),
            }
        )
    columns = ["method", "program", "ops", "verdict", "agreement", "exact", "equivalent"]
    columns += ["confidence", "candidates_run", "written", "reason"]
    return pd.DataFrame(rows).reindex(columns=columns)


def one_line(program: Program | None) -> str:
    """A program's text on one line; empty for none."""
    return "" if program is None else "; ".join(program.text().splitlines())


def _library_models() -> Iterator[tuple[LibraryProgram, CompiledModel, Domain]]:
    for entry in LIBRARY.values():
        domain = Domain(entry.vocab, entry.max_seq_len, entry.causal, entry.inputs)
        yield entry, compile_table(evaluate(entry.program, domain)), domain
