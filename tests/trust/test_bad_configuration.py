"""Every malformed configuration ends in one sentence with the key and what it takes."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.trust.wrong_configurations import ROOT, wrong_configurations
from tracrlab.config import Config, load_config
from tracrlab.config_reference import keys, takes_text
from tracrlab.errors import TracrLabError

ALL = list(wrong_configurations())


def sentence(source):
    with pytest.raises(TracrLabError) as caught:
        load_config(source)
    return str(caught.value)


def test_each_is_named_with_its_key_and_what_it_takes(tally):
    """Through `load_config`, which the Snakefile and every command call."""
    takes = {key: takes_text(owner, key.rpartition(".")[2]) for key, owner, _ in keys(Config)}
    faults, ways = [], Counter()
    for wrong in ALL:
        try:
            load_config(wrong.values)
        except TracrLabError as error:
            said = str(error)
        else:
            faults.append(f"{wrong.key}, {wrong.how}: accepted")
            continue
        ways[wrong.how] += 1
        one = "\n" not in said and said.endswith(".") and "Traceback" not in said
        named = f" {wrong.key} is " in said or f" {wrong.key}: " in said
        told = takes.get(wrong.key, "it takes a mapping of")
        if wrong.how == "unknown neighbour":
            told = " takes "
        if not (one and named and told in said):
            faults.append(f"{wrong.key}, {wrong.how}: {said}")
    assert not faults, "\n".join(faults)
    assert len(ALL) >= 150
    assert len(ways) >= 12
    tally(6, "malformed configurations, one sentence each", len(ALL))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" * 3_000, "not valid YAML"),
        ("{seed: " + "9" * 5000 + "}", "YAML"),
        ("seed: !!python/object/apply:os.system [true]", "not valid YAML"),
        ("seed: 2020-01-01", "seed is "),
        ("zoo: &a {limits: *a}", "limits"),
        ("? [1]\n: 2\n", "not valid YAML"),
        ("\x00", "not valid YAML"),
        ("- &a [x, x]\n- [*a, *a]", "a configuration is a mapping"),
    ],
    ids=["deep", "digits", "tag", "date", "cycle", "list key", "null byte", "list"],
)
def test_odd_files(tmp_path, text, expected, tally):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    said = sentence(path)
    assert expected in said
    assert "\n" not in said
    assert len(said) < 1500
    tally(6, "odd configuration files", 1)


@pytest.mark.parametrize(
    "source",
    ['{"a": ' * 50_000, '{"seed": ' + "9" * 5000 + "}", '{"seed": NaN}', '{"seed": 1e400}'],
)
def test_odd_inline_configurations(source, tally):
    assert "\n" not in sentence(source)
    tally(6, "odd configuration files", 1)


@pytest.mark.workflow
@pytest.mark.slow
@pytest.mark.parametrize("number", [3, -5])
def test_snakemake_says_the_same_and_runs_nothing(number, tmp_path, tally):
    wrong = ALL[number]
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(wrong.values))
    (tmp_path / "config").symlink_to(ROOT / "config")
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", "all"]
    run = subprocess.run(
        [*command, "--directory", str(tmp_path), "--configfile", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    said = run.stdout + run.stderr
    assert run.returncode != 0
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert wrong.key in lines[0]
    assert not (tmp_path / "results").exists()
    tally(6, "the same through snakemake itself", 1)
