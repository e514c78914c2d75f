"""What became of the teachers of student zoos, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tracrlab.errors import TracrLabError
from tracrlab.zoo.manifest import load_manifest

#: What is stored: exact and past the gate, as W alone (or a natural student) and refined.
STORED = ("exact", "exact_refined", "accepted", "accepted_refined")
#: Outcomes from the best to the worst: what is stored, and the reasons of refusal.
OUTCOMES = (*STORED, "loss", "accuracy", "not_finite")


def load_outcomes(manifests: Sequence[str | Path]) -> pd.DataFrame:
    """Counts of all outcomes.

    Args:
      manifests: those of the zoos.

    Returns:
      columns zoo, n_ops, width (of the student's residual stream), outcome and count.

    Raises:
      TracrLabError: if a manifest is not that of students.
    """
    frames = []
    for path in manifests:
        content = load_manifest(path).content
        if "students" not in content:
            raise TracrLabError(
                f"{path} is the manifest of a {content['kind']} zoo, not of students."
            )
        table = pd.DataFrame(
            content["students"]["outcomes"], columns=content["students"]["columns"]
        )
        table.insert(0, "zoo", content["kind"])
        frames.append(table)
    return pd.concat(frames, ignore_index=True)


def summary(outcomes: pd.DataFrame) -> pd.DataFrame:
    """One row for each zoo and program length, and one for all lengths.

    Args:
      outcomes: as `load_outcomes` gives them.

    Returns:
      columns zoo, n_ops ("all" for the sum), attempted, stored (the share that is, exact ones
      included), exact, of each the share that is refined, and the share refused for each reason.
    """
    records = []
    for zoo, table in outcomes.groupby("zoo", sort=False):
        groups = [(str(length), part) for length, part in table.groupby("n_ops")]
        for name, part in [*groups, ("all", table)]:
            counts = part.groupby("outcome")["count"].sum()
            total = int(counts.sum())
            shares = {name: counts.get(name, 0) / total for name in OUTCOMES}
            records.append(
                {
                    "zoo": zoo,
                    "n_ops": name,
                    "attempted": total,
                    "stored": sum(shares[name] for name in STORED),
                    "exact": shares["exact"] + shares["exact_refined"],
                    "stored_refined": shares["exact_refined"] + shares["accepted_refined"],
                    "exact_refined": shares["exact_refined"],
                    **{f"refused_{reason}": shares[reason] for reason in OUTCOMES[len(STORED) :]},
                }
            )
    return pd.DataFrame(records)
