"""Compiled models: running them, their weights in one vector, and the same model in Haiku."""

import numpy as np
import pytest

from tracrlab import TracrLabError, compile
from tracrlab.compiler import BOS, Architecture, Layer
from tracrlab.rasp import paper_programs as papers
from tracrlab.rasp.library import LIBRARY


@pytest.fixture(scope="module")
def frac_prevs():
    return compile(papers.frac_prevs("x"), ("a", "x"), 3)


@pytest.fixture(scope="module")
def dyck():
    entry = LIBRARY["shuffle_dyck2"]
    return compile(entry.program, entry.vocab, entry.max_seq_len)


# Running


def test_frac_prevs_by_hand(frac_prevs):
    """The residual stream of Tracr's Figure 2, on the input x a x."""
    assert frac_prevs.labels == (
        *("tokens:a", "tokens:x", "tokens:compiler_bos"),
        *("indices:0", "indices:1", "indices:2"),
        *("one", "is_x", "frac_prevs"),
    )
    embedded = [
        [0, 0, 1, 0, 0, 0, 1, 0, 0],
        [0, 1, 0, 1, 0, 0, 1, 0, 0],
        [1, 0, 0, 0, 1, 0, 1, 0, 0],
        [0, 1, 0, 0, 0, 1, 1, 0, 0],
    ]
    with_is_x = np.array(embedded, dtype=np.float64)
    with_is_x[:, 7] = [0, 1, 0, 1]
    with_frac_prevs = with_is_x.copy()
    with_frac_prevs[:, 8] = [0, 1, 1 / 2, 2 / 3]

    residuals = frac_prevs.residuals(["x", "a", "x"])

    expected = [embedded, embedded, with_is_x, with_frac_prevs, with_frac_prevs]
    np.testing.assert_allclose(residuals, expected, atol=1e-6)
    assert residuals.dtype == np.float32


def test_residual_shapes(dyck):
    sizes = dyck.architecture

    for length in (1, 3, 5):
        residuals = dyck.residuals(["("] * length)
        assert residuals.shape == (1 + 2 * len(sizes.layers), 1 + length, sizes.d_model)
    assert len(dyck.labels) == len(set(dyck.labels)) == sizes.d_model


def test_attention_patterns(frac_prevs):
    trace = frac_prevs.trace(["x", "a", "x"])

    assert sorted(trace.attention) == [1]
    (pattern,) = trace.attention[1][0]
    np.testing.assert_allclose(pattern.sum(axis=-1), 1, rtol=1e-6)
    expected = [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 1 / 2, 1 / 2, 0],
        [0, 1 / 3, 1 / 3, 1 / 3],
    ]
    np.testing.assert_allclose(pattern, expected, atol=1e-6)


def test_hidden_activations(frac_prevs):
    trace = frac_prevs.trace(["x", "a", "x"])

    assert {layer: hidden.shape for layer, hidden in trace.hidden.items()} == {0: (1, 4, 1)}


def test_a_causal_model_attends_to_nothing_later():
    model = compile(papers.length(), ("a", "b"), 4, causal=True)
    pattern = model.trace(["a", "b", "a", "b"]).attention[0][0, 0]

    assert not np.triu(pattern, 1).any()
    assert model.apply(["a", "b", "a"]) == [1, 2, 3]


def test_padding_does_not_matter(dyck):
    """A batch of inputs of different lengths gives what each gives alone."""
    words = [["("], ["(", ")"], ["{", "(", "}", ")", "("]]
    codes = np.zeros((3, 6), dtype=np.int64)
    lengths = np.array([len(word) + 1 for word in words])
    for row, word in zip(codes, words, strict=True):
        row[: len(word) + 1] = dyck.encode(word)

    logits = dyck.logits(codes, lengths)

    for row, word in zip(logits, words, strict=True):
        assert dyck.decode(row[1 : len(word) + 1]) == dyck.apply(word)


def test_none_is_where_no_direction_is_reached():
    model = compile(papers.shift_by(1), ("a", "b"), 3)

    assert model.apply(["a", "b", "a"]) == [None, "a", "b"]


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        ([], "the input has 0 symbols; the model takes 1 to 3"),
        (["a"] * 4, "the input has 4 symbols; the model takes 1 to 3"),
        (["a", "b"], 'the input symbol \'b\' is not in the vocabulary "a", "x"'),
        ([BOS], "the input symbol 'compiler_bos' is not in the vocabulary"),
        ([1], "the input symbol 1 is not in the vocabulary"),
    ],
)
def test_wrong_inputs_are_one_sentence(frac_prevs, tokens, reason):
    with pytest.raises(TracrLabError, match=reason):
        frac_prevs.apply(tokens)


# The architecture

SIZES = Architecture(
    input_symbols=("a", BOS),
    max_seq_len=2,
    d_model=5,
    output_size=1,
    layers=(Layer(heads=2, key_size=3, value_size=1), Layer(mlp_hidden=4)),
)


def test_shapes_and_count():
    assert SIZES.shapes == {
        "token_embed": (2, 5),
        "pos_embed": (3, 5),
        "layer_0/attn/query": (5, 6),
        "layer_0/attn/key": (5, 6),
        "layer_0/attn/value": (5, 2),
        "layer_0/attn/linear": (2, 5),
        "layer_1/mlp/linear_1": (5, 4),
        "layer_1/mlp/linear_2": (4, 5),
        "unembed": (5, 1),
    }
    assert SIZES.weight_count == 10 + 15 + 30 + 30 + 10 + 10 + 20 + 20 + 5


def test_flat_weights_come_back():
    flat = np.arange(SIZES.weight_count, dtype=np.float32)
    weights = SIZES.unflatten(flat)

    assert {name: weight.shape for name, weight in weights.items()} == SIZES.shapes
    assert weights["pos_embed"][0, 0] == 10
    assert np.array_equal(SIZES.flatten(weights), flat)


@pytest.mark.parametrize("length", [0, SIZES.weight_count - 1, SIZES.weight_count + 1])
def test_flat_weights_of_another_length(length):
    with pytest.raises(TracrLabError, match=f"this architecture has {SIZES.weight_count} weights"):
        SIZES.unflatten(np.zeros(length, np.float32))


# In Haiku


@pytest.mark.parametrize("name", ["frac_prevs", "sort_unique", "shuffle_dyck1", "causal_length"])
def test_tracrs_transformer_says_the_same(name):
    import jax.numpy as jnp

    entry = LIBRARY[name]
    model = compile(entry.program, entry.vocab, entry.max_seq_len, entry.causal)
    haiku = model.to_haiku()
    rng = np.random.default_rng(0)
    codes = rng.integers(0, len(entry.vocab), size=(64, entry.max_seq_len + 1))
    codes[:, 0] = len(entry.vocab)
    words = [[model.architecture.input_symbols[code] for code in row[1:]] for row in codes]

    output = haiku.forward(haiku.params, jnp.asarray(codes))

    for number, word in enumerate(words[:8]):
        found = [layer[number] for layer in output.transformer_output.residuals]
        np.testing.assert_allclose(found, model.residuals(word)[1:], atol=2e-5)
    for layer, logits in zip(
        model.architecture.layers, output.transformer_output.attn_logits, strict=True
    ):
        # A selected key's logit is 100, however wide the padded keys are.
        assert not layer.heads or float(logits[:, : layer.heads].max()) == pytest.approx(100)
    decoded = haiku.output_encoder.decode
    for row, word in zip(np.asarray(output.unembedded_output), words, strict=True):
        ours = model.apply(word)
        theirs = decoded(row.tolist())[1:] if model.output_encoding == "categorical" else row[1:]
        for x, y in zip(ours, theirs, strict=True):
            assert x is None or x == pytest.approx(y, abs=1e-5)


def test_tracrs_own_apply():
    entry = LIBRARY["reverse"]
    model = compile(entry.program, entry.vocab, entry.max_seq_len)
    haiku = model.to_haiku()

    assert haiku.apply([BOS, *entry.example]).decoded == [BOS, *entry.expected]
    assert haiku.residual_labels == list(model.labels)
    with pytest.raises(ValueError, match="BOS"):
        haiku.apply(list(entry.example))


def test_haiku_of_reference_weights_are_those_weights():
    from tracrlab.compiler.haiku import haiku_parameters

    model = compile(papers.hist(), ("a", "b"), 3, reference=True)
    parameters, _ = haiku_parameters(model)

    for module, values in parameters.items():
        name = module.removeprefix("transformer/")
        weight = values["embeddings"] if "embed" in name else values["w"]
        assert np.array_equal(weight, model.weights[name])
        assert not np.any(values.get("b", 0))
