"""The configuration: its defaults, its error sentences, and the files written from its models."""

import difflib
import json
from pathlib import Path

import pytest

from tracrlab.config import Config, generated_files, load_config, section
from tracrlab.config_reference import keys
from tracrlab.errors import TracrLabError

ROOT = Path(__file__).parents[1]


def message(source):
    with pytest.raises(TracrLabError) as caught:
        load_config(source)
    return str(caught.value)


def test_an_empty_configuration_has_every_default():
    assert load_config("{}") == load_config({}) == Config()
    assert Config().zoo.ops == (3, 8)


def test_an_empty_file_is_an_empty_configuration(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    assert load_config(tmp_path / "empty.yaml") == Config()


def test_given_keys_replace_defaults_and_leave_the_others():
    config = load_config('{"zoo": {"ops": [4, 5], "limits": {"d_model": 64}}}')
    assert config.zoo.ops == (4, 5)
    assert config.zoo.limits.d_model == 64
    assert config.zoo.limits.mlp_hidden == Config().zoo.limits.mlp_hidden


def test_numbers_may_come_as_text_as_snakemake_hands_them_on():
    config = load_config({"seed": 3, "zoo": {"programs": "450", "oversample": "2.5"}})
    assert (config.zoo.programs, config.zoo.oversample) == (450, 2.5)


def test_the_vocabulary_is_a_number_of_integers_or_a_list():
    assert load_config({"zoo": {"vocab": 3}}).zoo.vocabulary == (0, 1, 2)
    assert load_config({"zoo": {"vocab": ["x", "y", 1]}}).zoo.vocabulary == ("x", "y", 1)


@pytest.mark.parametrize(
    ("zoo", "shards", "program_shards", "candidates"),
    [
        ({"programs": 300, "shard_size": 150, "oversample": 1.5}, 2, 3, 450),
        ({"programs": 301, "shard_size": 150, "oversample": 1.5}, 3, 4, 600),  # 452 candidates
        ({"programs": 10, "shard_size": 100, "oversample": 1}, 1, 1, 100),
    ],
)
def test_shards_of_candidates_are_full(zoo, shards, program_shards, candidates):
    config = load_config({"zoo": zoo}).zoo
    assert (config.shards, config.program_shards, config.candidates) == (
        shards,
        program_shards,
        candidates,
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"zoo": {"programs": -3}}, "zoo.programs is -3, but it takes an integer of at least 1."),
        ({"zoo": {"programs": "many"}}, 'zoo.programs is "many", but it takes an integer of'),
        ({"zoo": {"programs": True}}, "zoo.programs is true, but it takes an integer of"),
        ({"zoo": {"causal": 3}}, "zoo.causal is 3, but it takes true or false."),
        ({"zoo": {"preset": "x"}}, 'zoo.preset is "x", but it takes "default" or "thesis".'),
        ({"zoo": {"ops": [8, 3]}}, "zoo.ops is [8, 3], but it takes two integers from 1 to 30"),
        ({"zoo": {"ops": [0, 3]}}, "zoo.ops is [0, 3], but it takes two integers from 1 to 30"),
        ({"zoo": {"ops": 5}}, "zoo.ops is 5, but it takes two integers from 1 to 30"),
        ({"zoo": {"oversample": 0.5}}, "zoo.oversample is 0.5, but it takes a number of at"),
        ({"zoo": {"vocab": 0}}, "zoo.vocab is 0, but it takes an integer of at least 1, or a"),
        ({"zoo": {"vocab": ["a", "a"]}}, "the symbols must be at least one, and differ"),
        ({"zoo": {"vocab": [1, "1"]}}, "the symbols must be at least one, and differ"),
        ({"zoo": {"vocab": ["compiler_bos"]}}, "compiler_bos is a symbol of the compiler's own."),
        ({"zoo": {"splits": {"train": 0.5}}}, "zoo.splits: train, validation and test must sum"),
        ({"zoo": {"shard_size": 1, "programs": 900_000}}, "more than 100000: raise shard_size."),
        ({"zoo": 3}, "zoo is 3, but it takes a mapping of programs, ops, vocab,"),
        ({"figures": {"formats": ["gif"]}}, 'figures.formats is ["gif"], but it takes a list of'),
        ({"figures": {"residuals": ["sotr"]}}, "'sotr' is none of frac_prevs,"),
        (
            {"students": {"compressed": {"refinement": {"solve": False, "steps": 5}}}},
            "students.compressed.refinement: steps is 5 and solve is false: training follows solv",
        ),
        ({"seed": -1}, "seed is -1, but it takes an integer of at least 0."),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_it_takes(values, expected):
    sentence = message(values)
    assert expected in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"zoo": {"progams": 3}}, "zoo.progams is not a key (the nearest is zoo.programs): zoo t"),
        ({"zoo": {"dpi": 3}}, "zoo.dpi is not a key (the nearest is figures.dpi): zoo takes"),
        ({"figure": {}}, "figure is not a key (the nearest is figures): the configuration takes"),
        ({"qqq": 1}, "qqq is not a key: the configuration takes seed, zoo, "),
        ({"zoo": {1: 2}}, "zoo.1 is not a key: zoo takes programs,"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(values, expected):
    assert expected in message(values)


def test_of_several_wrong_keys_the_first_is_named_and_the_others_are_counted():
    sentence = message({"seed": -1, "zoo": {"ops": [3], "vocab": {}}})
    assert sentence.startswith("the configuration: seed is -1")
    assert sentence.endswith("(and 2 more wrong keys).")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zoo: [1", "the file is not valid YAML at line 1, column 8"),
        ("- 1\n- 2\n", "a configuration is a mapping of keys to values, not [1, 2]."),
        ("zoo: {programs: 0}", "zoo.programs is 0"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, expected):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    sentence = message(path)
    assert sentence.startswith(f"{path}: ")
    assert expected in sentence


def test_a_missing_file_and_broken_json_are_named():
    assert message("nowhere.yaml").startswith("nowhere.yaml: there is no such configuration file")
    assert message("{").startswith("the inline configuration is not valid JSON: ")


def test_a_section_is_compact_json_with_defaults_that_loads_again():
    config = load_config({"seed": 7, "zoo": {"limits": {"weights": 9}}})
    assert section(config, "zoo.limits") == (
        '{"zoo":{"limits":{"d_model":256,"mlp_hidden":1024,"weights":9}}}'
    )
    assert load_config(section(config, "seed", "zoo")) == config
    assert section(config, "seed", "figures.dpi") == '{"figures":{"dpi":200},"seed":7}'


def test_a_section_leaves_out_what_is_excluded():
    kept = json.loads(section(Config(), "zoo", without=("zoo.splits", "zoo.limits.weights")))["zoo"]
    assert "splits" not in kept
    assert set(kept["limits"]) == {"d_model", "mlp_hidden"}


def test_a_section_of_an_unknown_key_is_a_mistake_of_the_rule():
    with pytest.raises(KeyError):
        section(Config(), "zoo.progams")


def test_every_key_is_described():
    for key, _, field in keys(Config):
        assert field.description, key


@pytest.mark.parametrize("name", ["config", "smoke", "overnight", "paper"])
def test_every_configuration_of_the_repository_loads(name):
    load_config(ROOT / "config" / f"{name}.yaml")


def test_the_schema_and_the_key_table_are_those_of_the_models():
    for path, expected in generated_files(ROOT):
        diff = difflib.unified_diff(
            path.read_text(encoding="utf-8").splitlines(),
            expected.splitlines(),
            str(path.relative_to(ROOT)),
            "written from tracrlab.config",
            lineterm="",
        )
        assert not (lines := list(diff)), "\n".join(["run `make reference`", *lines])


def test_the_injection_has_a_seed_of_its_own_or_the_root_seed():
    assert load_config({"seed": 5}).injection.seed == 5
    assert load_config({"seed": 5, "injection": {"seed": 3}}).injection.seed == 3
    assert Config().injection.seed == 0
