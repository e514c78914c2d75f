"""Figures of earlier decompilers of Tracr models, beside which ours stand in the table.

What a paper does not report is left out. Shares are in percent.
"""

from __future__ import annotations

from typing import Any

_INVERSE_TRACR = "Inverse Tracr (thesis), Table 9.1"
_LANGOSCO = "Langosco et al., Towards Meta-Models"
_TRADE = "Thurnherr and Riesen, TraDe"
_BAKER = "Baker, later run"


def _levels(*shares: float) -> dict[str, float]:
    return dict(zip((f"program_at_{n}" for n in (100, 90, 80, 70, 60, 50)), shares, strict=True))


#: One row a reported line, with the columns of the decompiler table.
PUBLISHED: tuple[dict[str, Any], ...] = (
    {
        "source": _INVERSE_TRACR,
        "zoo": "standard",
        "scale": "GPT-2 large, up to 15 ops",
        "parameters": 774e6,
        "train_programs": 900_000,
        "token_accuracy": 73.04,
        **_levels(0.4, 13.27, 32.61, 58.41, 81.1, 95.4),
    },
    {
        "source": _INVERSE_TRACR,
        "zoo": "compressed",
        "scale": "up to 15 ops, 4 snapshots of each program",
        "train_programs": 150_000,
        "token_accuracy": 66.38,
        **_levels(0.3, 5.5, 16, 38, 63, 87),
    },
    {
        "source": _INVERSE_TRACR,
        "zoo": "natural",
        "scale": "up to 15 ops",
        "train_programs": 71_000,
        "token_accuracy": 60.18,
        **_levels(0.0, 0.2, 1.0, 8.4, 43, 88.9),
    },
    {
        "source": _LANGOSCO,
        "zoo": "standard",
        "scale": "4 to 8 ops",
        "train_programs": 1_600_000,
        "token_accuracy": 98.3,
        "exact": 60.0,
    },
    {
        "source": _LANGOSCO,
        "zoo": "rotated and PCA-compressed",
        "scale": "5 ops",
        "exact": 77.0,
    },
    {
        "source": _TRADE,
        "zoo": "standard",
        "scale": "",
        "exact": 30.0,
        "equivalent": 73.0,
    },
    {
        "source": _BAKER,
        "zoo": "standard",
        "scale": "GPT-2 medium, generative",
        "token_accuracy": 73.5,
        "exact": 6.8,
        "program_at_90": 32.0,
    },
)
