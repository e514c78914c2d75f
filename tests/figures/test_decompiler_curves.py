"""The learning curves of decompilers, from a table made by hand."""

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from tracrlab.cli import app
from tracrlab.decompiler.curve import CURVE, write_curve
from tracrlab.figures.decompiler_curves import colours, curves_figure


def lines(*losses, measured=True):
    return [
        dict(zip(CURVE, (step, 8 * step, loss, *rest, 0.1), strict=True))
        for step, loss in enumerate(losses, start=1)
        for rest in [(loss + 1, 10.0 * step, 5.0 * step) if measured else (None, None, None)]
    ]


def table():
    runs = [("standard", "lines", True), ("standard", "tokens", True), ("natural", "plain", False)]
    return pd.concat(
        [
            pd.DataFrame(lines(3.0, 2.0, 1.0, measured=measured)).assign(zoo=zoo, name=name)
            for zoo, name, measured in runs
        ],
        ignore_index=True,
    )


def test_a_column_a_zoo_and_a_line_a_run():
    figure = curves_figure(table())
    (standard, natural), (accuracy, _) = np.reshape(figure.axes, (2, 2))
    assert [axis.get_title() for axis in (standard, natural)] == ["standard", "natural"]
    assert [line.get_ydata().tolist() for line in standard.lines] == [[3, 2, 1], [4, 3, 2]] * 2
    assert standard.lines[0].get_xdata().tolist() == [8, 16, 24]
    assert accuracy.lines[0].get_ydata().tolist() == [5, 10, 15]
    assert natural.lines[0].get_ydata().tolist() == [3, 2, 1]
    assert len(natural.lines[1].get_ydata()) == 0  # nothing was held out
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["lines", "tokens", "plain", "in training", "held out"]


def test_methods_keep_their_colours():
    assert colours(["plain", "tokens"])["tokens"] == colours(["tokens", "lines"])["tokens"]
    assert len(set(colours(["a", "b", "lines", "tokens"]).values())) == 4


def test_the_command_takes_names_from_folders(tmp_path):
    for zoo, name in (("standard", "lines"), ("compressed", "tokens")):
        write_curve(tmp_path / zoo / name, lines(2.0, 1.0))
    curves = [str(path) for path in sorted(tmp_path.rglob("curve.csv"))]
    out = tmp_path / "curves.pdf"
    result = CliRunner().invoke(app, ["figure", "decompiler-curves", *curves, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert out.read_bytes().startswith(b"%PDF")
