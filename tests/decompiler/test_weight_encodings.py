from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.decompiler.models import compiled, dense, flat
from tracrlab import TracrLabError
from tracrlab.compiler.architecture import Architecture, Layer
from tracrlab.compiler.forward import forward
from tracrlab.decompiler.parameter_tokens import (
    EMBEDDING,
    KINDS,
    NEURON,
    OUTPUT,
    ParameterTokens,
    as_numbers,
    count_tokens,
    decode_tokens,
    encode_tokens,
    pad_tokens,
)
from tracrlab.decompiler.virtual_weights import forward_from_products, products, signed_log
from tracrlab.decompiler.weight_blocks import (
    BLOCK,
    PARAMETER_TYPES,
    WIDTH,
    decode_blocks,
    encode_blocks,
)


@st.composite
def random_models(draw):
    """Architectures of any shape with random weights."""
    size = st.integers(1, 3)
    layers = []
    for _ in range(draw(st.integers(0, 3))):
        heads = draw(st.integers(0, 2))
        sizes = (draw(size), draw(size)) if heads else (0, 0)
        layers.append(Layer(heads, *sizes, draw(st.integers(0, 300))))
    architecture = Architecture(
        input_symbols=tuple(range(draw(st.integers(1, 4)))),
        max_seq_len=draw(st.integers(1, 4)),
        d_model=draw(st.integers(1, 12)),
        output_size=draw(size),
        layers=tuple(layers),
        causal=draw(st.booleans()),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return architecture, rng.standard_normal(architecture.weight_count).astype(np.float32)


def assert_equal_weights(found, architecture, weights):
    wanted = architecture.unflatten(weights)
    assert set(found) == set(wanted)
    for name, matrix in wanted.items():
        np.testing.assert_array_equal(found[name], matrix, err_msg=name)


@given(random_models())
def test_blocks_are_lossless(model):
    architecture, weights = model

    found = decode_blocks(architecture, encode_blocks(architecture, weights))

    assert_equal_weights(found, architecture, weights)


@given(random_models(), st.randoms(use_true_random=False))
def test_parameter_tokens_are_lossless_in_any_order(model, random):
    architecture, weights = model
    tokens = encode_tokens(architecture, weights)
    order = list(range(len(tokens)))
    random.shuffle(order)
    parts = [getattr(tokens, field.name) for field in fields(tokens)]
    shuffled = ParameterTokens(*(part[order] for part in parts))

    assert len(tokens) == count_tokens(architecture)
    assert_equal_weights(decode_tokens(shuffled), architecture, weights)


@pytest.mark.parametrize("model", [compiled, dense])
@pytest.mark.parametrize("index", range(6))
def test_encodings_of_real_models_are_lossless(model, index):
    architecture, weights = model(index).architecture, flat(model(index))

    blocks, tokens = encode_blocks(architecture, weights), encode_tokens(architecture, weights)

    assert_equal_weights(decode_blocks(architecture, blocks), architecture, weights)
    assert_equal_weights(decode_tokens(tokens), architecture, weights)


def small():
    """Two symbols, one position, three directions; one head of size 1, two neurons."""
    architecture = Architecture((0, 1), 1, 3, 1, (Layer(1, 1, 2, 0), Layer(0, 0, 0, 2)))
    return architecture, np.arange(1, architecture.weight_count + 1, dtype=np.float32)


def test_blocks_by_hand():
    architecture, weights = small()
    steps = encode_blocks(architecture, weights)
    types = [PARAMETER_TYPES[k] for k in steps[:, BLOCK : BLOCK + 9].argmax(axis=1)]

    assert steps.shape == (9, WIDTH)
    assert types == list(PARAMETER_TYPES)
    assert steps[0, :7].tolist() == [1, 2, 3, 4, 5, 6, 0]
    assert (steps[:, BLOCK + 9] == 1).all()  # every parameter fits into one block
    assert steps[0, BLOCK + 10 : BLOCK + 15].tolist() == [1, 0, 0, 1, 0]  # attention, MLP


def test_long_parameters_overflow():
    architecture = Architecture((0,), 1, 2, 1, (Layer(mlp_hidden=600),))
    weights = np.arange(architecture.weight_count, dtype=np.float32)
    steps = encode_blocks(architecture, weights)

    assert steps[:, BLOCK + 9].tolist() == [1, 1, 0, 0, 1, 0, 0, 1, 1]
    assert np.count_nonzero(steps[4, :BLOCK]) == 1200 - 2 * BLOCK


def test_tokens_by_hand():
    architecture, weights = small()
    tokens = encode_tokens(architecture, weights)
    matrices = architecture.unflatten(weights)

    names = [KINDS[kind] for kind in tokens.kind]
    assert names == [
        *["token embedding"] * 2,
        *["position embedding"] * 2,
        "query-key",
        *["value-output"] * 2,
        *["neuron"] * 2,
        "unembedding",
    ]
    assert tokens.half.tolist() == [EMBEDDING] * 4 + [0] * 3 + [3] * 2 + [OUTPUT]
    neuron = tokens.vectors[np.flatnonzero(tokens.kind == NEURON)[1]]
    assert neuron[0].tolist() == matrices["layer_1/mlp/linear_1"][:, 1].tolist()
    assert neuron[1].tolist() == matrices["layer_1/mlp/linear_2"][1].tolist()
    assert tokens.vectors[6, 0].tolist() == matrices["layer_0/attn/value"][:, 1].tolist()
    assert tokens.vectors[6, 1].tolist() == matrices["layer_0/attn/linear"][1].tolist()


def test_values_by_hand():
    """Which numbers symbols, positions and outputs stand for."""
    architecture = Architecture(("a", 3, "compiler_bos"), 2, 1, 3, ())
    values = as_numbers((False, 2.5, "b"))
    tokens = encode_tokens(architecture, np.zeros(architecture.weight_count, np.float32), values)

    nan = np.nan
    np.testing.assert_array_equal(tokens.value, [nan, 3, nan, nan, 0, 1, 0, 2.5, nan])
    assert np.isnan(encode_tokens(architecture, np.zeros(9, np.float32)).value[6:]).all()


def test_padded_batches():
    many = [encode_tokens(compiled(k).architecture, flat(compiled(k))) for k in range(4)]
    batch = pad_tokens(many)
    wiring = products(batch)

    for row, tokens in enumerate(many):
        count, width = len(tokens), tokens.vectors.shape[2]
        np.testing.assert_array_equal(batch.vectors[row, :count, :, :width], tokens.vectors)
        assert not batch.kind[row, count:].any()
        np.testing.assert_allclose(
            wiring[row, :count, :, :count], products(tokens), rtol=1e-5, atol=1e-5
        )
        assert not wiring[row, count:].any()
        assert not wiring[row, ..., count:].any()


@pytest.mark.parametrize("index", range(8))
def test_virtual_weights_are_the_whole_function(index):
    model = compiled(index)
    tokens = encode_tokens(model.architecture, flat(model))
    rng = np.random.default_rng(index)
    codes = rng.integers(0, 3, size=(20, 5))
    codes[:, 0] = model.architecture.input_symbols.index("compiler_bos")

    found = forward_from_products(model.architecture, tokens, products(tokens), codes)

    lengths = np.full(20, 5)
    wanted = forward(model.architecture, model.weights, codes, lengths)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_virtual_weights_by_hand():
    """Units read what is written before them, and nothing of themselves or of what comes later."""
    architecture, weights = small()
    tokens = encode_tokens(architecture, weights)
    matrices = architecture.unflatten(weights)
    wiring = products(tokens)

    def written(name, row):
        return matrices[name][row]

    query, key = (matrices[f"layer_0/attn/{name}"][:, 0] for name in ("query", "key"))
    assert wiring[4, 0, 1] == query @ written("token_embed", 1)
    assert wiring[4, 1, 2] == key @ written("pos_embed", 0)
    assert wiring[8, 0, 6] == matrices["layer_1/mlp/linear_1"][:, 1] @ written(
        "layer_0/attn/linear", 1
    )
    assert wiring[9, 0, 7] == matrices["unembed"][:, 0] @ written("layer_1/mlp/linear_2", 0)
    later = tokens.half[:, None] <= tokens.half
    assert not wiring.transpose(0, 2, 1)[later].any()
    assert not wiring[:4].any()  # embeddings read nothing
    assert not wiring[5:, 1].any()  # only query-key tokens read twice
    assert np.count_nonzero(wiring) == 2 * 4 + 2 * 4 + 2 * 6 + 8


@pytest.mark.parametrize("index", range(4))
def test_virtual_weights_do_not_see_a_rotation(index):
    plain, rotated = (
        products(encode_tokens(model.architecture, flat(model)))
        for model in (compiled(index), dense(index))
    )

    np.testing.assert_allclose(rotated, plain, atol=1e-3, rtol=1e-5)


def test_signed_log():
    np.testing.assert_allclose(signed_log(np.array([0, np.e - 1, 1 - np.e])), [0, 1, -1])


def test_wrong_input_is_one_sentence():
    architecture, weights = small()
    steps = encode_blocks(architecture, weights)
    with pytest.raises(TracrLabError, match="a model with other parameters"):
        decode_blocks(architecture, steps[1:])
    wider = Architecture((0, 1), 1, 900, 1, architecture.layers)
    with pytest.raises(TracrLabError, match="token_embed of another size"):
        decode_blocks(wider, steps)
    deep = Architecture((0,), 1, 1, 1, (Layer(mlp_hidden=1),) * 33)
    with pytest.raises(TracrLabError, match="33 attention and MLP blocks"):
        encode_blocks(deep, np.zeros(deep.weight_count, np.float32))
    empty = Architecture((0,), 1, 1, 1, (Layer(heads=1, key_size=0, value_size=1),))
    with pytest.raises(TracrLabError, match="heads without key or value"):
        encode_tokens(empty, np.zeros(empty.weight_count, np.float32))
