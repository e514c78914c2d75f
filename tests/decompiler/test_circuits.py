"""A model's circuit against slow plain versions, and our meta-model that reads it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from tests.decompiler.models import SETTINGS, compiled, dense, flat, programs, table
from tracrlab import TracrLabError
from tracrlab.compiler import compile_table
from tracrlab.compiler.forward import Trace, forward
from tracrlab.decompiler.augmentation import Augmentation, augment
from tracrlab.decompiler.circuit_model import (
    CIRCUIT_SIZES,
    CircuitModel,
    CircuitSettings,
    CircuitTensors,
)
from tracrlab.decompiler.circuits import (
    ATTENTION,
    DIRECTION,
    HEAD,
    INPUT,
    INPUTS,
    MLP,
    PLACES,
    POINTS,
    PRODUCTS,
    Probes,
    circuit_of,
    count_nodes,
    pad_circuits,
)
from tracrlab.decompiler.decoding import beam_search
from tracrlab.decompiler.encoder_decoder import Reading, parameter_count, program_loss
from tracrlab.decompiler.grammar import Grammar
from tracrlab.decompiler.parameter_tokens import EMBEDDING, OUTPUT, as_numbers
from tracrlab.rasp import Program, evaluate
from tracrlab.rasp.domain import Domain

SMALL = CircuitSettings(64, 2, 2, 4, dropout=0.0)


pytestmark = pytest.mark.usefixtures("seeded")


def circuit(model, weights=None):
    numerical = model.output_encoding == "numerical"
    values = None if numerical else as_numbers(model.output_values)
    return circuit_of(model.architecture, flat(model) if weights is None else weights, values)


@cache
def padded(count, model):
    return pad_circuits([circuit(model(index)) for index in range(count)])


def tensors(count=6, model=compiled):
    return CircuitTensors.of(padded(count, model))


def model_of(text, domain=SETTINGS.domain):
    return compile_table(evaluate(Program.from_text(text), domain))


def probes_of(model):
    architecture = model.architecture
    return Probes.of(architecture.input_symbols, architecture.max_seq_len, architecture.causal)


def mean_square(points):
    return np.mean([np.dot(point, point) for point in points if point is not None])


def products_of(points, extent):
    """Inner products of all pairs over their mean square, one after the other."""
    size = mean_square(points) / extent
    zero = np.zeros_like(next(point for point in points if point is not None))
    full = [zero if point is None else point for point in points]
    pairs = [np.dot(full[i], full[j]) for i in range(POINTS) for j in range(i, POINTS)]
    return np.array([*(np.array(pairs) / extent / (size + 1e-3)), np.log10(size + 1e-3)])


def points_of(model, values):
    """[inputs, positions, size] as a list over all points; None for what is not there."""
    there = probes_of(model).there
    return [
        values[row, place + 1] if place < there.shape[1] and there[row, place] else None
        for row in range(INPUTS)
        for place in range(PLACES)
    ]


def traced(model):
    """A trace of the ordinary forward pass on the probes."""
    probes, trace = probes_of(model), Trace()
    lengths = 1 + probes.there.sum(axis=1)
    out = forward(model.architecture, model.weights, probes.codes, lengths, trace)
    return trace, out


def test_probes_show_every_symbol_at_every_position():
    for symbols, length in ((5, 5), (3, 4), (2, 1), (26, 40)):
        probes = Probes.of((*range(symbols), "BOS"), length, False)
        places = min(length, PLACES)
        assert probes.codes.shape == (INPUTS, places + 1)
        assert (probes.codes[:, 0] == symbols).all()
        for place in range(places):
            counts = np.bincount(probes.codes[:, place + 1], minlength=symbols)
            assert counts.max() - counts.min() <= 1
        assert probes.there[:, 0].all()
        assert (~probes.there[3::4, -1]).all() or places == 1


def with_several_heads():
    models = map(compiled, range(60))
    return next(m for m in models if any(layer.heads > 1 for layer in m.architecture.layers))


@pytest.mark.parametrize("index", [*range(6), None])
def test_what_nodes_do_is_what_the_forward_pass_does(index):
    model = with_several_heads() if index is None else compiled(index)
    found, (trace, out) = circuit(model), traced(model)
    assert len(found) == count_nodes(model.architecture)
    there = probes_of(model).there
    extent = mean_square(points_of(model, trace.residuals[0]))
    for number, layer in enumerate(model.architecture.layers):
        if layer.mlp_hidden:
            [node] = np.flatnonzero((found.kind == MLP) & (found.half == 2 * number + 1))
            written = trace.residuals[2 * number + 2] - trace.residuals[2 * number + 1]
            np.testing.assert_allclose(
                found.numbers[node, :PRODUCTS],
                products_of(points_of(model, written), extent),
                atol=2e-3,
            )
        if layer.heads > 1:
            [node] = np.flatnonzero((found.kind == ATTENTION) & (found.half == 2 * number))
            together = trace.residuals[2 * number + 1] - trace.residuals[2 * number]
            wanted = products_of(points_of(model, together), extent)
            np.testing.assert_allclose(found.numbers[node, :PRODUCTS], wanted, atol=2e-3)
        if layer.heads:
            nodes = np.flatnonzero((found.kind == HEAD) & (found.half == 2 * number))
            assert found.head[nodes].tolist() == list(range(layer.heads))
            for node, pattern in zip(nodes, trace.attention[number].swapaxes(0, 1), strict=True):
                seen = np.zeros((INPUTS, PLACES, PLACES + 1))
                seen[:, : there.shape[1], : there.shape[1] + 1] = pattern[:, 1:] * there[..., None]
                size = 10 ** found.numbers[node, PRODUCTS - 1] - 1e-3
                np.testing.assert_allclose(
                    found.numbers[node, 2 * PRODUCTS : -POINTS],
                    seen.ravel() * size / (size + 1e-3),
                    atol=1e-3,
                )
    values = np.zeros((INPUTS, PLACES, out.shape[2]))
    values[:, : there.shape[1]] = out[:, 1:] * there[..., None]
    if model.output_encoding == "categorical":
        wanted = np.zeros_like(values)
        for row, place in zip(*np.nonzero(there), strict=True):
            wanted[row, place, values[row, place].argmax()] = 1
    else:
        wanted = np.sign(values) * np.log1p(np.abs(values))
    seen = found.numbers[found.kind == DIRECTION, -POINTS:]
    np.testing.assert_allclose(seen, wanted.reshape(POINTS, -1).T, atol=1e-4)
    inputs = found.kind == INPUT
    assert found.half[inputs].tolist() == [EMBEDDING, EMBEDDING]
    assert (found.half[found.kind == DIRECTION] == OUTPUT).all()


def test_the_pattern_of_a_select_is_on_its_head():
    """Tokens attend to equal tokens: the rows of the pattern are even over these."""
    model = model_of("s = Select(tokens, tokens, key == query)\nw = SelectorWidth(s)")
    found, probes = circuit(model), probes_of(model)
    [head] = np.flatnonzero(found.kind == HEAD)
    pattern = found.numbers[head, 2 * PRODUCTS : -POINTS].reshape(INPUTS, PLACES, PLACES + 1)
    row = probes.codes[0, 1:]
    same = row[:, None] == row[None]
    seen = pattern[0, : len(row), 1 : len(row) + 1]
    assert (seen[same] > 0.1).all()
    assert seen[~same] == pytest.approx(0, abs=1e-4)


def test_the_wiring_by_hand():
    """The head compares tokens with tokens and the last map reads what the head made alone."""
    text = "s = Select(tokens, tokens, key == query)\nw = SelectorWidth(s)\nm = Map(x + 1, w)"
    found = circuit(model_of(text))
    [head], mlps = np.flatnonzero(found.kind == HEAD), np.flatnonzero(found.kind == MLP)
    for read in (0, 1):  # queries and keys
        assert found.wiring[head, read, 0] == pytest.approx(1, abs=1e-3)
    assert found.wiring[mlps[0], 0, head] == pytest.approx(1, abs=1e-3)
    assert found.wiring[mlps[-1], 0, : mlps[-1]].sum() == pytest.approx(1, abs=1e-3)
    taken = (found.kind == DIRECTION) & (found.numbers[:, -POINTS:].std(axis=1) > 0.1)
    assert taken.sum() >= 2  # a value that no probe reaches is read of nobody
    assert found.wiring[taken, 0, mlps[-1]] == pytest.approx(1, abs=1e-3)
    of_indices = circuit(
        model_of("s = Select(indices, tokens, key == query)\nw = SelectorWidth(s)")
    )
    [head] = np.flatnonzero(of_indices.kind == HEAD)
    assert of_indices.wiring[head, 1, 1] == pytest.approx(1, abs=1e-3)  # keys: positions
    assert of_indices.wiring[head, 0, 0] == pytest.approx(1, abs=1e-3)  # queries: tokens


@pytest.mark.parametrize("index", range(12))
def test_shares_are_shares(index):
    found = circuit(compiled(index))
    assert (found.wiring >= 0).all()
    assert (found.wiring.sum(axis=2) <= 1 + 1e-5).all()
    earlier = found.half[:, None] > found.half[None]
    assert (found.wiring.sum(axis=1)[~earlier] == 0).all()


@pytest.mark.parametrize("index", range(6))
def test_no_change_of_basis_is_seen(index):
    model, rng = dense(index), np.random.default_rng(index)
    changes = Augmentation(units=False, residual="rotate", inner="rotate", scale=0.3)
    one = circuit(model)
    other = circuit(model, augment(model.architecture, flat(model), changes, rng))
    # Compiled neurons are steep: rounding in float32 moves some products by a hundredth.
    np.testing.assert_allclose(one.numbers, other.numbers, rtol=0.01, atol=0.03)
    np.testing.assert_allclose(one.wiring, other.wiring, atol=5e-3)


def test_a_rotated_model_reads_the_same():
    model = CircuitModel(SMALL).eval()
    with torch.inference_mode():
        one, other = (model(tensors(3, each), programs(3)) for each in (compiled, dense))
    torch.testing.assert_close(one, other, atol=5e-3, rtol=5e-3)


def test_values_of_outputs_are_read():
    one, other = (circuit(model_of(f"a = Map(x + {k}, tokens)")) for k in (1, 2))
    np.testing.assert_array_equal(one.numbers, other.numbers)
    assert one.value[one.kind == DIRECTION].tolist() == [1, 2, 3]
    assert other.value[other.kind == DIRECTION].tolist() == [2, 3, 4]


def test_causal_models_and_short_ones():
    domain = Domain((0, 1, 2), 2, causal=True)
    found = circuit(model_of("s = Select(tokens, tokens, True)\nw = SelectorWidth(s)", domain))
    [head] = np.flatnonzero(found.kind == HEAD)
    pattern = found.numbers[head, 2 * PRODUCTS : -POINTS].reshape(INPUTS, PLACES, PLACES + 1)
    assert (pattern[:, 0, 2:] == 0).all()  # the first position sees BOS and itself
    assert (pattern[:, 2:] == 0).all()  # there are two positions
    assert np.isfinite(found.numbers).all()


def test_padding_does_not_matter():
    model = CircuitModel(SMALL).eval()
    with torch.inference_mode():
        together = model(tensors(), programs())
        for row in range(6):
            alone = CircuitTensors.of(pad_circuits([circuit(compiled(row))]))
            logits = model(alone, programs()[row : row + 1])
            torch.testing.assert_close(logits, together[row : row + 1], atol=1e-4, rtol=1e-4)


def test_our_model_learns_a_few_programs_by_heart():
    model = CircuitModel(SMALL)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(150):
        optimizer.zero_grad()
        loss = program_loss(model(tensors(), programs()), programs())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if loss < 0.02:
            break
    grammar = Grammar.of_preset("default", SETTINGS.max_ops)
    found = beam_search(Reading(model.eval(), tensors()), grammar, sources=6, beams=2)
    assert [one[0].program for one in found] == [table(k).program for k in range(6)]


@pytest.mark.parametrize("name", CIRCUIT_SIZES)
def test_sizes(name):
    with torch.device("meta"):
        count = parameter_count(CircuitModel(CIRCUIT_SIZES[name]))
    assert count == pytest.approx(float(name[:-1]) * 1e6, rel=0.25)


def test_weights_at_the_ends():
    """Nothing is read of a model without weights, and one that overflows is refused."""
    model = compiled(0)
    nothing = circuit(model, np.zeros_like(flat(model)))
    assert not nothing.wiring.any()
    with pytest.raises(TracrLabError, match="activations are not finite numbers"):
        circuit(model, np.full_like(flat(model), 1e30))


def test_what_is_too_large_is_one_sentence():
    large = next(c for k in range(20) if (c := circuit(compiled(k))).half[c.kind == MLP].max() > 2)
    with pytest.raises(TracrLabError, match="layers and the decompiler reads at most 1"):
        CircuitModel(replace(SMALL, max_layers=1)).check_fits(large)
    wide = circuit(with_several_heads())
    with pytest.raises(TracrLabError, match="heads in a layer and the decompiler reads at most 1"):
        CircuitModel(replace(SMALL, max_heads=1)).check_fits(wide)
    with pytest.raises(TracrLabError, match="width is a multiple of heads and of 8"):
        CircuitModel(replace(SMALL, width=60))
    CircuitModel(SMALL).check_fits(large)
