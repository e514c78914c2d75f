"""The learning curve of a run: a table, a TensorBoard event file, and the auto-encoder's row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from tracrlab.decompiler.curve_events import write_events
from tracrlab.files import write_text

#: Columns of the curve. Accuracies are in percent, of next tokens after true ones (of slots for
#: lines); content leaves out what is predetermined.
CURVE = (
    "step",
    "samples",
    "loss",
    "validation_loss",
    "token_accuracy",
    "content_accuracy",
    "learning_rate",
)

#: Token accuracy of the auto-encoder of Inverse Tracr (section 5.1.1), in percent.
THESIS_AUTOENCODER = 94.0


def write_curve(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Writes the curve as `curve.csv` and as `curve.tfevents`."""
    table = pd.DataFrame(lines, columns=list(CURVE))
    write_text(folder / "curve.csv", table.to_csv(index=False, lineterminator="\n"))
    write_events(folder / "curve.tfevents", lines)


def autoencoder_table(curve: pd.DataFrame) -> pd.DataFrame:
    """One row: the best line of the auto-encoder's curve beside the thesis's figure.

    Args:
      curve: as `write_curve` wrote it. Without a validation set the accuracies are missing.
    """
    known = curve[curve["validation_loss"].notna()]
    line = curve.iloc[-1] if known.empty else known.loc[known["validation_loss"].idxmin()]
    return pd.DataFrame(
        [
            {
                "check": "program auto-encoder",
                "steps": int(line["step"]),
                "samples": int(line["samples"]),
                "token_accuracy": line["token_accuracy"],
                "content_accuracy": line["content_accuracy"],
                "thesis_token_accuracy": THESIS_AUTOENCODER,
            }
        ]
    )
