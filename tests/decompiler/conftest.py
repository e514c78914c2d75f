"""A small zoo and two decompilers that know its test programs by heart, made once."""

from itertools import chain

import pytest
import torch

from tests.decompiler.models import CIRCUITS, LINES, TOKENS, compiled, flat, table
from tests.zoo.conftest import make_zoo
from tracrlab.decompiler.batches import pad_blocks
from tracrlab.decompiler.building import build
from tracrlab.decompiler.circuit_model import CircuitTensors
from tracrlab.decompiler.circuits import circuit_of, pad_circuits
from tracrlab.decompiler.encoder_decoder import program_loss
from tracrlab.decompiler.line_model import line_loss
from tracrlab.decompiler.model import ParameterTensors
from tracrlab.decompiler.model_folder import save
from tracrlab.decompiler.parameter_tokens import as_numbers, encode_tokens, pad_tokens
from tracrlab.decompiler.program_encoding import line_form, pad_programs
from tracrlab.decompiler.weight_blocks import encode_blocks
from tracrlab.rasp.program import CATEGORICAL
from tracrlab.zoo.manifest import load_manifest
from tracrlab.zoo.reading import read_rows

#: Sampled programs (tests.decompiler.models) that the decompilers know, beside the test programs.
KNOWN = 4


@pytest.fixture
def seeded():
    """The same random numbers for every test, on one thread."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def small_zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), programs=70, shard_size=16)


@pytest.fixture(scope="session")
def test_rows(small_zoo):
    """The rows of the zoo's test split, in order."""
    rows = chain.from_iterable(map(read_rows, load_manifest(small_zoo.manifest).shard_paths()))
    return [row for row in rows if row["split"] == "test"]


@pytest.fixture(scope="session")
def knowing(tmp_path_factory, test_rows):
    """Folders of a decompiler of each method, trained on a few models until it knows them."""
    models = [compiled(index) for index in range(KNOWN)] + [row.model for row in test_rows]
    programs = [table(index).program for index in range(KNOWN)] + [row.program for row in test_rows]
    ids = [program.tokens() for program in programs]
    parent = tmp_path_factory.mktemp("decompilers")
    folders = {}
    for description in (TOKENS, CIRCUITS, LINES):
        torch.manual_seed(0)
        model = build(description)
        optimiser = torch.optim.AdamW(model.parameters(), 1e-2)
        if description is LINES:
            loss = _block_loss(model, models, ids)
        else:
            loss = _token_loss(model, models, ids, description is CIRCUITS)
        for _ in range(150):
            optimiser.zero_grad()
            loss().backward()
            optimiser.step()
        folders[description.method] = parent / description.method
        save(folders[description.method], model, description)
    return folders


def _token_loss(model, models, ids, run):
    encode = circuit_of if run else encode_tokens
    encoded = [
        encode(
            one.architecture,
            flat(one),
            as_numbers(one.output_values) if one.output_encoding == CATEGORICAL else None,
        )
        for one in models
    ]
    if run:
        weights = CircuitTensors.of(pad_circuits(encoded))
    else:
        weights = ParameterTensors.of(pad_tokens(encoded))
    targets = torch.from_numpy(pad_programs(ids))
    return lambda: program_loss(model(weights, targets), targets)


def _block_loss(model, models, ids):
    steps = pad_blocks([encode_blocks(one.architecture, flat(one)) for one in models])
    blocks, mask = map(torch.from_numpy, steps)
    lines = torch.from_numpy(line_form(ids))
    return lambda: line_loss(model(blocks, mask), lines)
