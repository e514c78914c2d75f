"""The command line as a person uses it: output, exit codes, one sentence for wrong input."""

import json
import subprocess
import sys

import pytest

from tests.zoo.conftest import make_zoo

SMALL = json.dumps({"zoo": {"ops": [3, 5], "vocab": 3, "max_seq_len": 4, "shard_size": 10}})


def tracrlab(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "tracrlab.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def out_of(*arguments, **options):
    done = tracrlab(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*arguments, **options):
    """The sentence of a command that must fail: its last line, and no traceback before it."""
    done = tracrlab(*arguments, **options)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert [line.startswith("error: ") for line in lines].count(True) == 1, done.stderr
    assert lines[-1].startswith("error: ")
    return lines[-1]


def test_help_names_every_command_and_loads_nothing_heavy():
    help_text = out_of("--help")
    for command in (
        "sample",
        "compile",
        "run",
        "show",
        "verify",
        "plan",
        "library",
        "zoo",
        "figure",
    ):
        assert command in help_text
    heavy = "('numpy', 'pandas', 'jax', 'torch', 'matplotlib')"
    code = f"import sys, tracrlab.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sample_prints_programs():
    text = out_of("sample", "--count", 2, "--config", SMALL)
    assert text.count("# seed 0, index ") == 2
    assert text == out_of("sample", "--count", 2, "--config", SMALL)


def test_compile_run_verify_a_library_program(tmp_path):
    path = tmp_path / "hist.safetensors"
    assert "hist, " in out_of("compile", "hist", "--vocab", "h,e,l,o", "--length", 5, "--out", path)
    lines = out_of("run", path, "h e l l o").splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["0", '"h"', "1"],
        ["1", '"e"', "1"],
        ["2", '"l"', "2"],
        ["3", '"l"', "2"],
        ["4", '"o"', "1"],
    ]
    assert "1,364 inputs, 0 mismatches" in out_of("verify", path, "--inputs", "all")


def test_compress_a_model_file(tmp_path):
    model, small = tmp_path / "model.safetensors", tmp_path / "small.safetensors"
    out_of("compile", "detect_pattern_ab", "--out", model)
    text = out_of("compress", model, "--ratio", "0.9", "--steps", "100", "--out", small)
    assert "17 directions in 16, exact" in text
    assert "0 mismatches" in out_of("verify", small, "--inputs", "all")
    sentence = refused("compress", model, "--ratio", "0", "--out", small)
    assert "leaves no dimension of 17" in sentence
    of_w_alone = ("compress", model, "--ratio", "0.4", "--steps", "50", "--out", small)
    assert "exact" not in out_of(*of_w_alone)
    assert "17 directions in 7, exact" in (text := out_of(*of_w_alone, "--refine"))
    assert "50 steps, refined" in text
    assert "0 mismatches" in out_of("verify", small, "--inputs", "all")


def test_programs_from_text_file_and_python(tmp_path):
    text = "double = Map(x * 2, tokens)"
    expected = [["0", "1", "2", "2"], ["1", "3", "6", "6"]]
    rasp = tmp_path / "double.rasp"
    rasp.write_text(text)
    python = tmp_path / "mine.py"
    python.write_text(
        "from tracr.rasp import rasp\n\n\ndef double():\n    return rasp.tokens * 2\n"
    )
    for source in (text, rasp, f"{python}:double"):
        lines = out_of("run", source, "1 3", "--vocab", "1,2,3", "--length", 3).splitlines()
        assert [line.split() for line in lines[2:]] == expected
    assert out_of("show", "-", "--vocab", "1,2", "--length", 2, input=text).startswith(text)


def test_reference_weights_by_command(tmp_path):
    path = tmp_path / "hist.safetensors"
    text = out_of("compile", "hist", "--vocab", "a,b", "--length", 3, "--reference", "--out", path)
    assert "1 layers" in text


def test_show_has_program_ops_and_layers():
    text = out_of("show", "sort_unique")
    assert "target_pos" in text
    assert "half-layer" in text
    assert "MLP neurons" in text
    assert "residual stream" in text


def test_verify_a_zoo_and_one_shard(tmp_path):
    zoo = make_zoo(tmp_path)
    text = out_of("verify", zoo.manifest)
    assert f"{zoo.manifest}: 50 rows, " in text
    assert text.rstrip().endswith(" 0 failures")
    assert "20 rows" in out_of("verify", zoo.shards[0], "--inputs", "all")
    zoo.shards[1].write_bytes(zoo.shards[1].read_bytes()[:-7])
    assert "00001.parquet" in refused("verify", zoo.manifest)


def test_tables(tmp_path):
    zoo = make_zoo(tmp_path)
    csv, md = tmp_path / "s.csv", tmp_path / "s.md"
    out_of("zoo", "stats", zoo.manifest, "--out", csv, "--out", md)
    assert csv.read_text().startswith("section,name,count,share\n")
    assert md.read_text().startswith("| section")
    out_of("library", "--out", csv)
    header, *rows = csv.read_text().splitlines()
    assert header.startswith("program,computes,source")
    assert all(row.endswith(",0") for row in rows), "a library program has mismatches"


def test_plan_of_every_configuration():
    for name in ("config", "smoke", "overnight", "paper"):
        text = out_of("plan", "--config", f"config/{name}.yaml")
        assert "compile, verify, write" in text
        assert "total" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "histo"], "'histo' is not a library program"),
        (["show", "v = Mapp(x, tokens)", "--vocab", "a", "--length", "2"], "unknown op 'Mapp'"),
        (
            ["show", "v = Map(x ? 1, tokens)", "--vocab", "a", "--length", "2"],
            "'x ? 1' is not a function that Map takes",
        ),
        (["show", "v = Map(x, tokens)"], "give --vocab and --length"),
        (
            ["show", "v = Map(x, tokens)", "--vocab", "a,compiler_bos", "--length", "2"],
            "'compiler_bos', which is reserved",
        ),
        (
            ["show", "v = Map(x, tokens)", "--vocab", "a,compiler_pad", "--length", "2"],
            "'compiler_pad', which is reserved",
        ),
        (
            ["show", "v = Map(x, tokens) : numerical", "--vocab", "a,b", "--length", "2"],
            "v (Map) cannot be compiled: it is numerical and has values that are not numbers",
        ),
        (["run", "hist", "z z"], "the input symbol 'z' is not in the vocabulary"),
        (["verify", "none.safetensors"], "there is no model file none.safetensors"),
        (["verify", "none/manifest.json"], "there is no manifest none/manifest.json"),
        (["verify", "none.parquet"], "there is no file none.parquet"),
        (["verify", "x.parquet", "--inputs", "few"], "--inputs takes a number above 0 or 'all'"),
        (["sample", "--config", '{"zoo": {"porgrams": 3}}'], "porgrams"),
        (["sample", "--config", '{"zoo": {"programs": "many"}}'], "zoo.programs"),
        (["sample", "--config", "none.yaml"], "none.yaml"),
        (["sample", "--shard", "0"], "--shard and --out belong together"),
        (["library", "--out", "table.txt"], "must end in .csv or .md"),
        (["compile", "none.py:f", "--out", "x.safetensors"], "there is no Python file none.py"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, words, tmp_path):
    assert words in refused(*arguments, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_shard_that_fails(tmp_path):
    zoo = make_zoo(tmp_path / "zoo")
    zoo.selected[0].write_bytes(zoo.selected[0].read_bytes()[:-20])
    out = tmp_path / "shard.parquet"
    sentence = refused("zoo", "build", zoo.selected[0], "--config", SMALL, "--out", out)
    assert "00000.parquet is damaged" in sentence
    assert not out.exists()
    assert not list(tmp_path.glob(".*"))
