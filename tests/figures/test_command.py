"""The commands as a person types them; each in this process, so that they are quick."""

import json

import pytest
from typer.testing import CliRunner

from tracrlab.errors import TracrLabError
from tracrlab.figures.command import app

PROGRAM = 'is_a = Map(x == "a", tokens) : numerical\nwidth = Map(x == 1, is_a)\n'


def run(*arguments):
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def size(path):
    header = path.read_bytes()[16:24]
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")


def test_a_library_program_on_its_example_in_two_formats(tmp_path):
    outputs = [tmp_path / "new folder" / name for name in ("a.pdf", "a.png")]
    done = run("residuals", "frac_prevs", "--out", outputs[0], "--out", outputs[1], "--dpi", 60)
    assert done.exit_code == 0, done.output
    assert outputs[0].read_bytes().startswith(b"%PDF")
    assert outputs[1].read_bytes().startswith(b"\x89PNG")


def test_dpi_stands_before_the_configuration(tmp_path):
    config = json.dumps({"figures": {"dpi": 100}})
    path = tmp_path / "a.png"
    run("residuals", "frac_prevs", "--out", path, "--config", config)
    width, height = size(path)
    run("residuals", "frac_prevs", "--out", path, "--config", config, "--dpi", 50)
    assert size(path) == pytest.approx((width / 2, height / 2), abs=1)


def test_a_program_of_ones_own(tmp_path):
    source, out = tmp_path / "own.rasp", tmp_path / "own.png"
    source.write_text(PROGRAM)
    own = (source, "--vocab", "a,b", "--length", 3, "--input", "a b a")
    for command in ("residuals", "blocks"):
        assert run(command, *own, "--out", out).exit_code == 0
        assert out.read_bytes().startswith(b"\x89PNG")
        out.unlink()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("residuals", "hist", "--input", "hello"), "'h' is not in the vocabulary"),
        (("residuals", "hist", "--input", "abcdabcd"), "8 symbols; the model takes 1 to 5"),
        (("residuals", "nothing_such"), "is not a library program"),
        (("residuals", PROGRAM), "give --vocab and --length"),
        (("residuals", PROGRAM, "--vocab", "a,b", "--length", 3), "give --input"),
        (("blocks", "hist", "--layer", 2), "--layer is 2; the model has layers 1 to 1"),
        (("blocks", "hist", "--layer", 0), "--layer is 0; the model has layers 1 to 1"),
        (("zoo-statistics", "missing.json"), "missing.json"),
        (("zoo-rejections", "missing.json"), "missing.json"),
    ],
)
def test_wrong_input_ends_in_one_sentence(tmp_path, arguments, sentence):
    with pytest.raises(TracrLabError, match=sentence):
        run(*arguments, "--out", tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_zoo_figures_from_a_manifest(tmp_path, monkeypatch, rows, rejections):
    seen = []

    def load_rows(manifest):
        seen.append(manifest.name)
        return rows, rejections, 50

    monkeypatch.setattr("tracrlab.zoo.statistics.load_rows", load_rows)
    for command in ("zoo-statistics", "zoo-rejections"):
        out = tmp_path / f"{command}.svg"
        assert run(command, "manifest.json", "--out", out).exit_code == 0
        assert "</svg>" in out.read_text()
    assert seen == ["manifest.json", "manifest.json"]
