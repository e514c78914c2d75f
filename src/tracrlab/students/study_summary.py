"""The superposition study's summary: what the runs found, beside what the Tracr paper reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tracrlab.errors import TracrLabError
from tracrlab.sections.study import StudyScale
from tracrlab.students.study import StudySettings, spread_widths
from tracrlab.students.study_measures import GRADIENT, PCA

#: Columns that the runs of every program have.
RUN_COLUMNS = (
    *("program", "d_model", "d", "method", "seed", "steps", "batch", "inputs"),
    *("loss", "output_loss", "accuracy", "inputs_right", "cosine"),
)
#: The width at which the paper compares gradient descent with PCA (its Figure 7).
SHOWN_WIDTH = 8
#: A width loses nothing if its best run has this share of the positions right.
WITHOUT_LOSS = 0.99
#: What the Tracr paper says (section 5, Figures 7 and 8); a number is read from the text.
PAPER = {
    ("frac_prevs", "d_model"): "14",
    ("frac_prevs", "smallest d without loss"): "6",
    ("frac_prevs", "final output loss at d = 8"): "near 0 (Figure 7b)",
    ("sort_unique", "best accuracy"): "near 1 (Figure 8)",
    ("sort_unique", "cosine there"): "about 0.8",
}


def study_settings(scale: StudyScale, d_model: int, seed: int) -> StudySettings:
    """The settings of one program from the configuration; widths that it does not have left out.

    Raises:
      TracrLabError: if none of the configured widths is within the model's.
    """
    widths = scale.widths
    if isinstance(widths, int):
        chosen = spread_widths(d_model, widths, always=(SHOWN_WIDTH,))
    else:
        chosen = tuple(sorted(width for width in widths if width <= d_model))
    if not chosen:
        raise TracrLabError(
            f"none of the widths {list(widths)} is within the {d_model} directions of the model; "
            "give a smaller one, or a number of widths."
        )
    return StudySettings(
        widths=chosen,
        seeds=scale.seeds,
        steps=scale.steps,
        batch=scale.batch,
        learning_rate=scale.learning_rate,
        scale=1.0 if scale.start == "normal" else None,
        seed=seed,
    )


def read_runs(path: str | Path) -> pd.DataFrame:
    """A runs.csv of `tracrlab study train`, or the table of `tracrlab study library`.

    Raises:
      TracrLabError: if the file is missing or is no such table.
    """
    try:
        runs = pd.read_csv(path, dtype={"seed": "Int64"})
    except FileNotFoundError:
        raise TracrLabError(f"there is no file {path}; run `tracrlab study train` first.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise TracrLabError(f"{path} is not a table of runs ({error}).") from None
    if missing := [name for name in RUN_COLUMNS if name not in runs]:
        raise TracrLabError(f"{path} is not a table of runs: it has no column {missing[0]}.")
    return runs


def best_by_width(runs: pd.DataFrame) -> pd.DataFrame:
    """The trained run of lowest loss of every program and width; runs without a loss lose."""
    trained = runs[(runs["method"] == GRADIENT) & np.isfinite(runs["loss"].astype(float))]
    best = trained.loc[trained.groupby(["program", "d"])["loss"].idxmin()]
    return best.sort_values(["program", "d"]).reset_index(drop=True)


def smallest_without_loss(best: pd.DataFrame) -> int | None:
    """The smallest width from which on every width loses nothing; None where the widest does.

    Args:
      best: the rows of one program from `best_by_width`.
    """
    smallest = None
    for row in best.sort_values("d", ascending=False).itertuples():
        if row.accuracy < WITHOUT_LOSS:
            break
        smallest = int(row.d)
    return smallest


def summary_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Columns program, quantity, value, paper, scale; a value is missing where there is none."""
    records = []
    for program, group in runs.groupby("program", sort=False):
        first = group[group["method"] == GRADIENT].iloc[0]
        scale = f"{first['steps']:,} steps, batch {first['batch']}"
        for quantity, value in _quantities(group).items():
            records.append(
                {
                    "program": program,
                    "quantity": quantity,
                    "value": value,
                    "paper": PAPER.get((program, quantity), ""),
                    "scale": "" if quantity == "d_model" else scale,
                }
            )
    return pd.DataFrame(records)


def _quantities(runs: pd.DataFrame) -> dict[str, float | None]:
    """The quantities of one program by name."""
    best = best_by_width(runs)
    smallest = smallest_without_loss(best)
    at = best.set_index("d")
    pca = runs[runs["method"] == PCA].set_index("d")
    most_accurate = best.loc[best["accuracy"].idxmax()]
    widest, d_model = int(best["d"].max()), int(runs["d_model"].iloc[0])
    found = {
        "d_model": d_model,
        "smallest d without loss": smallest,
        "its share of d_model": None if smallest is None else smallest / d_model,
        "best accuracy": most_accurate["accuracy"],
        "d of the best accuracy": most_accurate["d"],
        "cosine there": most_accurate["cosine"],
        f"accuracy at d = {widest}": at.loc[widest, "accuracy"],
        f"final output loss at d = {widest}": at.loc[widest, "output_loss"],
    }
    if SHOWN_WIDTH in at.index and SHOWN_WIDTH in pca.index:
        found |= {
            f"final output loss at d = {SHOWN_WIDTH}": at.loc[SHOWN_WIDTH, "output_loss"],
            f"output loss of PCA at d = {SHOWN_WIDTH}": pca.loc[SHOWN_WIDTH, "output_loss"],
            f"accuracy at d = {SHOWN_WIDTH}": at.loc[SHOWN_WIDTH, "accuracy"],
            f"accuracy of PCA at d = {SHOWN_WIDTH}": pca.loc[SHOWN_WIDTH, "accuracy"],
        }
    return found
