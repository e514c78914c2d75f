"""Tables of decompilers from their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tracrlab.decompiler.checking import PLAUSIBLE, VERIFIED
from tracrlab.decompiler.metrics import count_slots, score, score_by_ops, score_table
from tracrlab.decompiler.mistakes import CONFUSION_NAMES, MistakeReport, line_ops, report
from tracrlab.decompiler.predictions import Predictions
from tracrlab.decompiler.published import PUBLISHED

_THIS_RUN = "this run"
#: Columns of the decompiler table: what it is, its scale, then the figures in percent.
COLUMNS = (
    "source",
    "zoo",
    "method",
    "scale",
    "parameters",
    "train_programs",
    "train_minutes",
    "steps",
    "test_programs",
    "token_accuracy",
    "content_token_accuracy",
    *(f"program_at_{level}" for level in (100, 90, 80, 70, 60, 50)),
    "exact_lines",
    "exact",
    "equivalent",
    "verified",
    "plausible",
    "content_token_accuracy_executed",
    "exact_executed",
    "equivalent_executed",
    "verifiable",
    "candidates_run",
    "seconds_a_model",
)


def flags(predictions: Predictions, name: str) -> np.ndarray:
    """A column of true and false."""
    return predictions.table[name].to_numpy(dtype=bool)


def verified(predictions: Predictions) -> np.ndarray:
    """Whether each answer is verified."""
    return predictions.table["verdict"].to_numpy() == VERIFIED


def decompiler_table(many: Sequence[Predictions]) -> pd.DataFrame:
    """Every zoo x every method, and what papers report, in the order of `COLUMNS`.

    Columns up to `equivalent` are of the first answer, from the weights alone; those after it of
    the answer that execution chose. `verifiable` is the share of models whose true program is
    itself verified, which is the most that `verified` can be where every answer is true.
    """
    rows = [_row(one) for one in many]
    table = pd.DataFrame([*rows, *PUBLISHED]).reindex(columns=list(COLUMNS))
    for name in ("parameters", "train_programs", "steps", "test_programs"):
        table[name] = table[name].astype("Int64")
    return table.round(dict.fromkeys(COLUMNS[9:-1], 2) | {"seconds_a_model": 4})


def _row(one: Predictions) -> dict[str, Any]:
    training = one.description.get("training", {})
    first = score(
        one.lines,
        one.true_lines,
        exact=flags(one, "first_exact"),
        equivalent=flags(one, "first_equivalent"),
        verified=verified(one),
    ).row()
    ops = one.table["n_ops"]
    return first | {
        "source": _THIS_RUN,
        "zoo": one.zoo,
        "method": one.name,
        "scale": f"{ops.min()} to {ops.max()} ops",
        "parameters": training.get("parameters"),
        "train_programs": training.get("programs"),
        "train_minutes": training.get("minutes"),
        "steps": training.get("steps"),
        "test_programs": first["programs"],
        "exact_lines": 100 * count_slots(one.lines, one.true_lines).exact.mean(),
        "plausible": 100 * float((one.table["verdict"] == PLAUSIBLE).mean()),
        "content_token_accuracy_executed": _content(one),
        "exact_executed": 100 * flags(one, "answer_exact").mean(),
        "equivalent_executed": 100 * flags(one, "answer_equivalent").mean(),
        "verifiable": 100 * flags(one, "verifiable").mean(),
        "candidates_run": float(one.table["tried"].mean()),
        "seconds_a_model": float(one.table["seconds"].mean()),
    }


def _content(one: Predictions) -> float:
    """Percent of content tokens of the answers that execution chose."""
    counts = count_slots(one.answer_lines, one.true_lines)
    return 100 * float(counts.content_right.sum() / counts.content.sum())


def _named(one: Predictions, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"zoo": one.zoo, "method": one.name} | row for row in rows]


def by_ops_table(many: Sequence[Predictions]) -> pd.DataFrame:
    """The figures of the first answer, and of verification, by number of ops; the last is all."""
    rows = []
    for one in many:
        marks = {
            "exact": flags(one, "first_exact"),
            "equivalent": flags(one, "first_equivalent"),
            "verified": verified(one),
        }
        by_ops = score_by_ops(one.lines, one.true_lines, **marks)
        rows += _named(one, score_table(by_ops, score(one.lines, one.true_lines, **marks)))
    return pd.DataFrame(rows).round(2)


def _report(one: Predictions) -> MistakeReport:
    """Mistakes of first answers; lines that are no program are judged as lines all the same."""
    if one.description.get("method") == "lines":
        predicted, true = ([line_ops(x) for x in many] for many in (one.lines, one.true_lines))
        return report(predicted, true)
    return report([p and p.ops for p in one.first], [program.ops for program in one.true])


def mistakes_table(many: Sequence[Predictions]) -> pd.DataFrame:
    """How often each kind of mistake is made in first answers (thesis, Table 5.1)."""
    rows = []
    for one in many:
        found = _report(one)
        rows += _named(
            one,
            [
                {
                    "mistake": kind,
                    "mistakes": count,
                    "share_of_wrong": round(found.share[kind], 2),
                    "wrong_programs": found.wrong,
                    "programs": found.programs,
                }
                for kind, count in found.counts.items()
            ],
        )
    return pd.DataFrame(rows)


def confusion_table(many: Sequence[Predictions]) -> pd.DataFrame:
    """True op by predicted op, once aligned, one row a pair; none is a missing or extra line."""
    rows = []
    for one in many:
        confusion = _report(one).confusion
        rows += _named(
            one,
            [
                {"true": true, "predicted": predicted, "ops": int(confusion[row, column])}
                for row, true in enumerate(CONFUSION_NAMES)
                for column, predicted in enumerate(CONFUSION_NAMES)
            ],
        )
    return pd.DataFrame(rows)
