from dataclasses import fields
from functools import cache

import numpy as np
import pytest
import torch

from tests.decompiler.models import SETTINGS, compiled, dense, flat, programs, table
from tracrlab import TracrLabError
from tracrlab.compiler import compile_table
from tracrlab.decompiler.decoding import beam_search
from tracrlab.decompiler.encoder_decoder import Reading, parameter_count, program_loss
from tracrlab.decompiler.grammar import Grammar
from tracrlab.decompiler.line_model import (
    LINE_MODEL_SIZES,
    LineModel,
    LineModelSettings,
    line_loss,
    predicted_lines,
)
from tracrlab.decompiler.model import (
    MODEL_SIZES,
    MetaModel,
    ModelSettings,
    ParameterTensors,
    ProgramAutoEncoder,
    virtual_weights,
)
from tracrlab.decompiler.parameter_tokens import (
    ParameterTokens,
    as_numbers,
    encode_tokens,
    pad_tokens,
)
from tracrlab.decompiler.program_encoding import (
    SLOT_VOCABULARIES,
    line_form,
    parse_lines,
)
from tracrlab.decompiler.virtual_weights import products
from tracrlab.decompiler.weight_blocks import encode_blocks
from tracrlab.rasp import Program, evaluate
from tracrlab.rasp.tokens import PAD

TINY = ModelSettings(64, 2, 2, 4, dropout=0.0)


pytestmark = pytest.mark.usefixtures("seeded")


def tokens_of(model):
    numerical = model.output_encoding == "numerical"
    values = None if numerical else as_numbers(model.output_values)
    return encode_tokens(model.architecture, flat(model), values)


@cache
def parameters(count=6, model=compiled):
    return pad_tokens([tokens_of(model(index)) for index in range(count)])


def block_batch(count=6, longer=0):
    many = [encode_blocks(compiled(k).architecture, flat(compiled(k))) for k in range(count)]
    length = max(map(len, many)) + longer
    blocks = np.zeros((count, length, many[0].shape[1]), dtype=np.float32)
    for row, steps in zip(blocks, many, strict=True):
        row[: len(steps)] = steps
    mask = np.arange(length) < np.array([len(steps) for steps in many])[:, None]
    return torch.from_numpy(blocks), torch.from_numpy(mask)


def lines(count=6):
    return torch.from_numpy(line_form([table(k).program.tokens() for k in range(count)]))


def test_virtual_weights_in_torch_are_those_in_numpy():
    found = virtual_weights(ParameterTensors.of(parameters()))

    np.testing.assert_allclose(found.numpy(), products(parameters()), rtol=1e-5, atol=1e-4)


def test_the_order_of_units_does_not_matter():
    """Neurons, heads' dimensions and all others may come in any order after the anchors."""
    model, (tokens,) = MetaModel(TINY).eval(), [tokens_of(compiled(4))]
    anchors = 9  # three symbols, BOS and five positions
    order = np.concatenate(
        [np.arange(anchors), anchors + np.random.default_rng(0).permutation(len(tokens) - anchors)]
    )
    parts = [getattr(tokens, field.name) for field in fields(tokens)]
    shuffled = ParameterTokens(*(part[order] for part in parts))
    with torch.inference_mode():
        one, other = (
            model(ParameterTensors.of(pad_tokens([each])), programs(5)[4:])
            for each in (tokens, shuffled)
        )

    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_rotated_model_reads_the_same():
    model = MetaModel(TINY).eval()
    with torch.inference_mode():
        one, other = (
            model(ParameterTensors.of(parameters(3, each)), programs(3))
            for each in (compiled, dense)
        )

    torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_values_of_outputs_are_read():
    """Adding 1 or 2 at the end gives the same weights; the outputs' values tell them apart."""
    one, other = (
        compile_table(evaluate(Program.from_text(f"a = Map(x + {k}, tokens)"), SETTINGS.domain))
        for k in (1, 2)
    )
    assert np.array_equal(flat(one), flat(other))
    model = MetaModel(TINY).eval()
    with torch.inference_mode():
        logits = [
            model(ParameterTensors.of(pad_tokens([tokens_of(each)])), programs(1))
            for each in (one, other)
        ]

    assert not torch.allclose(*logits, atol=1e-3)


def test_padding_does_not_matter():
    model = MetaModel(TINY).eval()
    with torch.inference_mode():
        together = model(ParameterTensors.of(parameters()), programs())
        for row in range(6):
            alone = pad_tokens([tokens_of(compiled(row))])
            logits = model(ParameterTensors.of(alone), programs()[row : row + 1])
            torch.testing.assert_close(logits, together[row : row + 1], atol=1e-4, rtol=1e-4)


def test_the_decoder_sees_no_later_token():
    model, program = MetaModel(TINY).eval(), programs()
    changed = program.clone()
    changed[:, 5:] = 7
    with torch.inference_mode():
        one, other = (
            model(ParameterTensors.of(parameters()), each)[:, :5] for each in (program, changed)
        )

    torch.testing.assert_close(one, other)


def test_our_model_learns_a_few_programs_by_heart():
    """And writes them through the grammar: training, next-token interface and search together."""
    model, inputs = MetaModel(TINY), ParameterTensors.of(parameters())
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        loss = program_loss(model(inputs, programs()), programs())
        loss.backward()
        nn_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        assert torch.isfinite(nn_norm)
        optimizer.step()
        if loss < 0.02:
            break
    grammar = Grammar.of_preset("default", SETTINGS.max_ops)
    found = beam_search(Reading(model.eval(), inputs), grammar, sources=6, beams=2)

    assert [one[0].program for one in found] == [table(k).program for k in range(6)]


def test_the_baseline_learns_a_few_programs_by_heart():
    model = LineModel(LineModelSettings(64, 2, 4, dropout=0.0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        loss = line_loss(model(*block_batch()), lines())
        loss.backward()
        optimizer.step()
        if loss < 0.05:
            break

    assert torch.equal(predicted_lines(model.eval()(*block_batch())), lines())


def test_the_baseline_does_not_see_padding():
    model = LineModel(LineModelSettings(64, 2, 4)).eval()
    with torch.inference_mode():
        short, long = model(*block_batch()), model(*block_batch(longer=9))

    for one, other in zip(short, long, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_the_line_loss_by_hand():
    """Even logits: each slot costs log(symbols); lines, and one more, are counted."""
    target = parse_lines([("Select", "True", "tokens", "tokens", "v1")])[None]
    sizes = [len(symbols) for symbols in SLOT_VOCABULARIES]
    logits = [torch.zeros(1, 15, size) for size in sizes]
    each = sum(np.log(size) for size in sizes)

    assert float(line_loss(logits, torch.from_numpy(target))) == pytest.approx(each, rel=1e-5)
    logits[0][0, 0, 4], logits[0][0, 5:, 3] = 50.0, 50.0  # right on the first line; not counted
    right = line_loss(logits, torch.from_numpy(target))
    assert float(right) == pytest.approx(each - np.log(7) / 2, rel=1e-5)


def test_predicted_lines_end_where_an_op_is_missing():
    logits = [torch.zeros(1, 15, len(symbols)) for symbols in SLOT_VOCABULARIES]
    for slot in logits:
        slot[0, [0, 1, 3], 2] = 1.0
    found = predicted_lines(logits)

    assert found[0, :2].tolist() == [[2] * 5] * 2
    assert not found[0, 2:].any()


def test_the_program_loss_leaves_padding_out():
    program = programs()
    logits = torch.zeros(*program.shape, 589)
    assert float(program_loss(logits, program)) == pytest.approx(np.log(589), rel=1e-5)
    longer = torch.nn.functional.pad(program, (0, 3), value=PAD)
    extended = torch.nn.functional.pad(logits, (0, 0, 0, 3), value=5.0)
    assert float(program_loss(extended, longer)) == pytest.approx(np.log(589), rel=1e-5)


def test_the_auto_encoder_learns_through_its_bottleneck():
    model = ProgramAutoEncoder(TINY, bottleneck=8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        loss = program_loss(model(programs()), programs())
        loss.backward()
        optimizer.step()
        if loss < 0.05:
            break

    assert loss < 0.05


@pytest.mark.parametrize("name", MODEL_SIZES)
def test_sizes_of_our_model(name):
    with torch.device("meta"):
        count = parameter_count(MetaModel(MODEL_SIZES[name]))

    assert count == pytest.approx(float(name[:-1]) * 1e6, rel=0.25)


@pytest.mark.parametrize("name", LINE_MODEL_SIZES)
def test_sizes_of_the_baseline(name):
    with torch.device("meta"):
        count = parameter_count(LineModel(LINE_MODEL_SIZES[name]))

    assert count == pytest.approx(float(name[:-1]) * 1e6, rel=0.25)


def test_what_is_too_large_is_one_sentence():
    small = MetaModel(ModelSettings(64, 1, 1, 4, max_layers=1))
    short = MetaModel(ModelSettings(64, 1, 1, 4, max_program=8))
    tokens = next(t for k in range(20) if (t := tokens_of(compiled(k))).half[-2] > 1)
    with pytest.raises(TracrLabError, match=r"layers and the decompiler reads at most 1"):
        small.check_fits(tokens)
    with pytest.raises(TracrLabError, match="tokens and the decompiler writes at most 8"):
        short(ParameterTensors.of(parameters()), programs())
    with pytest.raises(TracrLabError, match="weight blocks and the decompiler reads at most 3"):
        LineModel(LineModelSettings(32, 1, 4, max_blocks=3))(*block_batch())
    with pytest.raises(TracrLabError, match="width is a multiple of heads"):
        MetaModel(ModelSettings(width=130))
    MetaModel(TINY).check_fits(tokens)
