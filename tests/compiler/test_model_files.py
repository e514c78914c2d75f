"""The file format of compiled models: what is saved is read back, and damage is named."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from safetensors.numpy import load_file, save_file

from tests.strategies import NUMBERS, number_programs
from tracrlab import CompiledModel, Program, TracrLabError, compile
from tracrlab.rasp import Op
from tracrlab.rasp import paper_programs as papers
from tracrlab.rasp.library import LIBRARY
from tracrlab.rasp.primitives import MAP


@pytest.fixture(scope="module")
def frac_prevs():
    return compile(papers.frac_prevs("x"), ("a", "x"), 3)


def assert_same(model, other):
    assert other.architecture == model.architecture
    assert other.labels == model.labels
    assert other.output_encoding == model.output_encoding
    assert other.output_values == model.output_values
    assert list(other.weights) == list(model.weights)
    for name, weight in model.weights.items():
        assert weight.dtype == other.weights[name].dtype == np.float32
        assert np.array_equal(weight, other.weights[name])


@pytest.mark.parametrize("name", ["frac_prevs", "shuffle_dyck1", "sum_less_index", "causal_length"])
def test_a_file_is_read_back(tmp_path, name):
    entry = LIBRARY[name]
    model = compile(entry.program, entry.vocab, entry.max_seq_len, entry.causal)
    model.save(tmp_path / "model.safetensors")

    read = CompiledModel.load(tmp_path / "model.safetensors")

    assert_same(model, read)
    assert read.program == model.program
    assert read.program.names == model.program.names
    assert read.apply(entry.example) == model.apply(entry.example)


@given(program=number_programs(max_ops=4))
@settings(max_examples=40)
def test_any_model_is_read_back(tmp_path_factory, program):
    try:
        model = compile(program, NUMBERS, 3)
    except TracrLabError:
        return
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    model.save(path)

    read = CompiledModel.load(path)

    assert_same(model, read)
    assert read.program == model.program


def test_a_reference_model_is_read_back(tmp_path):
    model = compile(papers.hist(), ("a", "b"), 3, reference=True)
    model.save(tmp_path / "model.safetensors")

    assert_same(model, CompiledModel.load(tmp_path / "model.safetensors"))


def test_odd_symbols_are_read_back(tmp_path):
    vocab = ('"', "\n", "é\u2028", 1.5, (1, "a"))
    model = compile(Program.from_text("kept = Map(x, tokens)"), vocab, 5)
    model.save(tmp_path / "model.safetensors")

    read = CompiledModel.load(tmp_path / "model.safetensors")

    assert read.apply(list(vocab)) == list(vocab)
    assert_same(model, read)


def test_odd_names_are_read_back(tmp_path):
    from tracr.rasp import rasp

    sop = (rasp.tokens + 1).named("balance {} = [x], y")
    model = compile(sop, (1, 2), 2)
    model.save(tmp_path / "model.safetensors")

    assert CompiledModel.load(tmp_path / "model.safetensors").program == model.program


def test_a_python_function_is_not_stored(tmp_path):
    program = Program.of([Op(MAP, (0,), lambda x: x + 1)])
    model = compile(program, (0, 1), 2)
    model.save(tmp_path / "model.safetensors")

    read = CompiledModel.load(tmp_path / "model.safetensors")

    assert read.program is None
    assert read.apply([0, 1]) == [1, 2]


def test_saving_is_deterministic_and_leaves_no_other_file(tmp_path, frac_prevs):
    frac_prevs.save(tmp_path / "new" / "one.safetensors")
    frac_prevs.save(tmp_path / "new" / "two.safetensors")

    one, two = sorted((tmp_path / "new").iterdir())
    assert one.read_bytes() == two.read_bytes()


@pytest.fixture
def saved(tmp_path, frac_prevs):
    path = tmp_path / "model.safetensors"
    frac_prevs.save(path)
    return path


def refusal(path):
    """The sentence with which a file is refused; it names the file."""
    with pytest.raises(TracrLabError) as caught:
        CompiledModel.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


def rewritten(path, change):
    """Writes a model file again with other weights and metadata."""
    weights = load_file(path)
    length = struct.unpack("<Q", path.read_bytes()[:8])[0]
    (format_name, text), *_ = json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"].items()
    meta = json.loads(text)
    change(weights, meta)
    save_file(weights, path, metadata={format_name: json.dumps(meta)})
    return path


def test_a_missing_file(tmp_path):
    assert "there is no model file" in refusal(tmp_path / "none.safetensors")


def test_a_folder_is_no_file(tmp_path):
    assert "there is no model file" in refusal(tmp_path)


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -1])
def test_a_truncated_file(saved, kept):
    saved.write_bytes(saved.read_bytes()[:kept])

    assert "is damaged" in refusal(saved)


def test_a_file_of_another_kind(saved):
    saved.write_text("is_a = Map(x, tokens)")

    assert "is damaged" in refusal(saved)


def test_a_safetensors_file_of_someone_else(saved):
    save_file({"weight": np.zeros(3, np.float32)}, saved)

    assert "is not a model file of version 1; compile it again" in refusal(saved)


def test_another_version(saved):
    def change(weights, meta):
        meta["version"] = 2

    assert "is not a model file of version 1" in refusal(rewritten(saved, change))


def test_every_flipped_byte_is_an_error_or_harmless(saved, frac_prevs):
    """A flipped byte never ends in a traceback, nor in another model."""
    content = saved.read_bytes()
    refused = 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 4
        saved.write_bytes(flipped)
        try:
            model = CompiledModel.load(saved)
        except TracrLabError:
            refused += 1
        else:
            assert_same(frac_prevs, model)
            assert model.program == frac_prevs.program
    assert refused > 0.95 * len(content)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite(saved, number):
    def change(weights, meta):
        weights["pos_embed"][1, 2] = number

    assert "its weight pos_embed holds numbers that are not finite float32" in (
        refusal(rewritten(saved, change))
    )


def test_other_precision(saved):
    def change(weights, meta):
        weights["unembed"] = weights["unembed"].astype(np.float16)

    assert "its weight unembed holds numbers that are not finite float32" in refusal(
        rewritten(saved, change)
    )


def test_a_missing_weight(saved):
    def change(weights, meta):
        del weights["layer_0/mlp/linear_1"]

    assert "its weights do not have the shapes that its header says" in refusal(
        rewritten(saved, change)
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("d_model", 8),
        ("layers", []),
        ("layers", 3),
        ("layers", [{"width": 3}]),
        ("max_seq_len", "three"),
        ("input_symbols", ["a"]),
        ("output_values", 7),
    ],
)
def test_wrong_metadata(saved, key, value):
    def change(weights, meta):
        meta[key] = value

    refusal(rewritten(saved, change))


@pytest.mark.parametrize("key", ["d_model", "labels", "output_encoding", "program", "layers"])
def test_missing_metadata(saved, key):
    def change(weights, meta):
        del meta[key]

    assert "is damaged" in refusal(rewritten(saved, change))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("program", "a = Sort(tokens)"),
        ("program", 3),
        ("labels", ["one"]),
        ("output_encoding", "dense"),
        ("output_values", ["nan"]),
        ("causal", "perhaps"),
        ("input_symbols", ['"a"', '"x"', '"y"']),
    ],
)
def test_metadata_that_does_not_fit_the_weights(saved, key, value):
    def change(weights, meta):
        meta[key] = value

    refusal(rewritten(saved, change))
