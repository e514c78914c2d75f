"""A zoo of three programs, small enough to count by hand."""

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from tracrlab.figures.style import PAGE, SMALL


@pytest.fixture(autouse=True)
def readable(monkeypatch):
    """Every figure that a test draws: no text under six points, and no wider than a page."""
    drawn = []
    make = Figure.__init__

    def remember(figure, *arguments, **options):
        make(figure, *arguments, **options)
        drawn.append(figure)

    monkeypatch.setattr(Figure, "__init__", remember)
    yield
    for figure in drawn:
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes, default=SMALL) >= SMALL
        assert figure.get_figwidth() <= PAGE + 1e-9


@pytest.fixture
def rows():
    return pd.DataFrame(
        {
            "split": ["train", "train", "test"],
            "n_ops": [3, 4, 4],
            "ops": [
                ["Map", "Select", "Aggregate"],
                ["Map", "Map", "Select", "SelectorWidth"],
                ["Map", "Map", "Map", "SequenceMap"],
            ],
            "functions": [
                ["Map x < c", "Select key == query"],
                ["Map x < c", "Map x", "Select True"],
                ["Map x", "Map x < c", "Map x", "SequenceMap x + y"],
            ],
            "d_model": [10, 20, 30],
            "n_layers": [1, 2, 2],
            "heads": [1, 1, 0],
            "mlp_neurons": [2, 4, 9],
            "weights": [100, 200, 600],
            "output_encoding": ["categorical", "numerical", "categorical"],
            "n_output_values": [2, 0, 3],
        }
    )


@pytest.fixture
def rejections():
    return pd.Series({"constant": 6, "duplicate": 3, "program: duplicate": 1})
