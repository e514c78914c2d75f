"""``--json``: one JSON value on standard output, with the numbers of the text."""

import json

import pytest
from typer.testing import CliRunner

from tests.zoo.conftest import make_zoo
from tracrlab.cli import app


def answer(*arguments, code=0):
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_show():
    record = answer("show", "frac_prevs")
    assert record["program"].splitlines()[0] == 'is_x = Map(x == "x", tokens) : numerical'
    assert record["s_ops"][0] == {
        "name": "is_x",
        "op": "Map",
        "encoding": "numerical",
        "half_layer": "MLP 1",
        "values": ["False", "True"],
    }
    assert record["s_ops"][1]["half_layer"] is None
    assert (record["d_model"], record["weights"], len(record["layers"])) == (13, 364, 2)


def test_verify_a_model(tmp_path):
    path = tmp_path / "hist.safetensors"
    CliRunner().invoke(
        app, ["compile", "hist", "--vocab", "a,b", "--length", "3", "--out", str(path)]
    )
    record = answer("verify", path, "--inputs", "all")
    assert (record["inputs"], record["mismatches"], record["passed"]) == (14, 0, True)
    assert record["example"] is None


def test_verify_a_zoo_and_a_shard(tmp_path):
    zoo = make_zoo(tmp_path / "zoo")
    record = answer("verify", zoo.manifest)
    assert (record["rows"], record["failures"], record["passed"]) == (50, 0, True)
    assert [shard["rows"] for shard in record["shards"]] == [20, 20, 10]
    assert answer("verify", zoo.shards[0])["rows"] == 20


def test_plan():
    steps = answer("plan", "--config", '{"zoo": {"programs": 2500}}', "--cores", 4)
    (build,) = [step for step in steps if step["name"] == "compile, verify, write"]
    assert (build["jobs"], build["programs"]) == (1, 2500)
    assert build["core_seconds"] == pytest.approx(build["seconds"] + 10)


def test_library_prints_or_writes(tmp_path):
    rows = answer("library", "--out", tmp_path / "library.csv")
    assert {row["program"] for row in rows} >= {"hist", "sort", "frac_prevs"}
    assert not any(row["mismatches"] for row in rows)
    assert (tmp_path / "library.csv").read_text().startswith("program,")
