"""The same bytes twice, whatever the caller's settings; fonts in the PDF; nothing half-written."""

import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text

from tracrlab.errors import TracrLabError
from tracrlab.figures.residuals import residual_stream_figure
from tracrlab.figures.style import PAGE, SMALL, axis_at, new_figure, save
from tracrlab.figures.zoo import zoo_rejections_figure, zoo_statistics_figure


def stream():
    residuals = np.linspace(-1, 1, 30).reshape(3, 2, 5)
    return residual_stream_figure(residuals, list("vwxyz"), ["a"], ["Input", "Attn 1", "MLP 1"])


@pytest.mark.parametrize("suffix", ["pdf", "png", "svg"])
def test_the_same_figure_is_the_same_file(tmp_path, rows, rejections, suffix):
    figures = {
        "residuals": stream,
        "statistics": lambda: zoo_statistics_figure(rows),
        "rejections": lambda: zoo_rejections_figure(rejections, 50),
    }
    for name, draw in figures.items():
        paths = [tmp_path / f"{name}{number}.{suffix}" for number in (1, 2)]
        for path in paths:
            save(draw(), [path], dpi=60)
        assert paths[0].read_bytes() == paths[1].read_bytes()
        assert len(paths[0].read_bytes()) > 1000


def test_another_process_writes_the_same_bytes_without_pyplot(tmp_path):
    """Nothing depends on the order of sets or on the clock, and no window system is looked for."""
    code = (
        "import sys; from tests.figures.test_style import stream; "
        "from tracrlab.figures.style import save; save(stream(), sys.argv[1:], dpi=60); "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    ours, theirs = ([tmp_path / f"{who}.{end}" for end in ("pdf", "png")] for who in "ab")
    save(stream(), ours, dpi=60)
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *theirs],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
    assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]


def test_the_callers_settings_change_nothing_and_stay(tmp_path, rejections):
    save(zoo_rejections_figure(rejections, 50), [tmp_path / "plain.pdf"])
    with mpl.rc_context({"axes.grid": True, "font.size": 20, "axes.facecolor": "red"}):
        before = dict(mpl.rcParams)
        save(zoo_rejections_figure(rejections, 50), [tmp_path / "changed.pdf"])
        assert dict(mpl.rcParams) == before
    assert (tmp_path / "plain.pdf").read_bytes() == (tmp_path / "changed.pdf").read_bytes()


def test_a_pdf_is_vectors_with_embedded_fonts_and_no_date(tmp_path):
    save(stream(), [tmp_path / "a.pdf"])
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content  # TrueType, embedded
    assert b"/Type3" not in content
    assert b"/Subtype /Image" not in content
    assert b"CreationDate" not in content


def test_a_png_has_the_resolution_that_is_asked_for(tmp_path):
    figure = stream()
    save(figure, [tmp_path / "a.png"], dpi=100)
    header = (tmp_path / "a.png").read_bytes()[16:24]
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")
    assert [width, height] == pytest.approx(100 * figure.get_size_inches(), abs=1)


def test_other_formats_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TracrLabError, match=r"must end in \.pdf, \.png or \.svg"):
        save(stream(), [tmp_path / "a.png", tmp_path / "b.gif"])
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("old")
    figure = new_figure(3, 1)
    figure.text(0, 0, "$\\nonsense$")
    with pytest.raises(ValueError, match="nonsense"):
        save(figure, [path])
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert path.read_text() == "old"


def test_axes_are_placed_in_inches_from_the_upper_left():
    axis = axis_at(new_figure(4, 2), left=1, top=0.5, width=2, height=1)
    assert axis.get_position().bounds == pytest.approx((0.25, 0.25, 0.5, 0.5))


def test_no_text_is_smaller_than_six_points_and_no_figure_wider_than_a_page(rows, rejections):
    for figure in (stream(), zoo_statistics_figure(rows), zoo_rejections_figure(rejections, 9)):
        sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
        assert min(sizes) >= SMALL
        assert figure.get_figwidth() <= PAGE + 1e-9
