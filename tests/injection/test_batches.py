"""Batches: the same for the same step, every example once a round, interchanges as the program."""

from collections import Counter

import numpy as np
import pytest
import torch

from tests.injection.tiny import counting_task
from tracrlab.injection.alignment import Alignment, carried_directions
from tracrlab.injection.batches import BLOCK, Batches, BatchSettings, patchable
from tracrlab.injection.compiled import Overrides
from tracrlab.injection.prompts import PromptInterchange
from tracrlab.injection.targets import TargetStreams


@pytest.fixture(scope="module")
def task():
    program, examples, _ = counting_task()
    codes = program.codes(examples.symbols)
    directions = carried_directions(program, codes[examples.supervised])
    return program, examples, codes, Alignment((0, 2, 4, 6), (0, 2, 4, 6), directions)


def batches(task, **values) -> Batches:
    program, examples, codes, alignment = task
    settings = BatchSettings(**{"seed": 0, "rows": 8, "width": 64} | values)
    interchange = PromptInterchange(program, examples, codes, np.arange(40, 50))
    return Batches(settings, program, alignment, examples, codes, 20, interchange)


def test_a_batch_depends_on_its_step_alone(task):
    values = {"prompts": 0.5, "variables": 0.25, "windows": 2, "text_length": 9, "text_places": 3}
    first, second = batches(task, **values), batches(task, **values)
    second.batch(BLOCK + 3)
    for name, value in vars(first.batch(5)).items():
        other = getattr(second.batch(5), name)
        if name == "patches":
            for part, array in vars(value).items():
                assert np.array_equal(array, getattr(other, part))
        else:
            assert np.array_equal(value, other), name


def keys(batch) -> list[tuple[int, ...]]:
    rows = zip(batch.tokens, batch.lengths, strict=True)
    return [tuple(row[:length].tolist()) for row, length in rows]


def test_every_example_comes_once_a_round(task):
    plain, examples = batches(task, rows=2), task[1]
    blocks = len(examples) // (2 * BLOCK) + 1
    seen = Counter(key for step in range(blocks * BLOCK) for key in keys(plain.batch(step)))
    assert len(seen) == len(examples)
    assert set(seen.values()) == {1, 2}


def test_rows_of_a_batch_are_of_like_length(task):
    made = batches(task, rows=8, prompts=0.5)
    block = [made.batch(step) for step in range(BLOCK)]
    real = sum(batch.lengths.sum() for batch in block)
    assert real / sum(batch.tokens.size for batch in block) > 0.95
    lengths = np.concatenate([batch.lengths for batch in block])
    assert real / (lengths.max() * len(lengths)) < 0.92


def first_answers(batch) -> np.ndarray:
    return batch.targets[np.unique(batch.rows, return_index=True)[1]]


def test_balanced_answers_are_as_frequent_as_in_training(task):
    examples, rows = task[1], 64
    own = examples.targets[np.arange(len(examples)), examples.prompts - 1]
    tokens = np.unique(own)

    def distance(balanced: bool) -> float:
        made = batches(task, rows=rows, prompts=0.6, balanced=balanced)
        found = np.concatenate([first_answers(made.batch(step)) for step in range(BLOCK)])
        shares = [np.mean(found == token) - np.mean(own == token) for token in tokens]
        return float(np.abs(shares).sum())

    assert distance(balanced=True) < 0.5 * distance(balanced=False)


def test_negatives_are_every_token_that_is_no_answer(task):
    made = batches(task, negatives=2000, vocabulary=60)
    others = set(range(60)) - set(made.answers.tolist())
    assert set(made.batch(0).negatives.tolist()) == others
    assert not np.array_equal(made.batch(0).negatives, made.batch(1).negatives)


def test_supervised_positions_and_values_are_those_of_the_examples(task):
    program = task[0]
    batch = batches(task).batch(0)
    assert (batch.aligned_rows == batch.rows).all()
    assert batch.patches is None
    for row, position, target, values in zip(
        batch.rows, batch.positions, batch.targets, batch.codes, strict=True
    ):
        said = program.output.values[int(values[-1])]
        assert target == (30 if said == "end" else 20 + int(said))
        assert position >= 2
        assert row < 8
    everywhere = batches(task, align="all").batch(0)
    assert len(everywhere.aligned_rows) == everywhere.lengths.sum()


def test_a_patch_has_the_answer_of_the_interchanged_program(task):
    program, _, _, alignment = task
    assert [program.variables[n].name for n in patchable(program, alignment, 64)] == [
        "count",
        "answer",
    ]
    made = batches(task, variables=0.5)
    found = 0
    for step in range(6):
        batch = made.batch(step)
        patches = batch.patches
        if patches is None:  # rows of one length may all hold the same values
            continue
        symbols = np.full(batch.tokens.shape, -1)
        for row, length in enumerate(batch.lengths):
            tokens = batch.tokens[row, :length]
            symbols[row, :length] = np.where(tokens == 1, 2, np.where(tokens == 12, 0, 1))
        for i in range(len(patches.rows)):
            one = np.ones(1, dtype=np.int64)
            overrides = Overrides(
                one * program.variables[patches.variables[i]].ref,
                one * patches.rows[i],
                one * patches.positions[i],
                one * patches.sources[i],
                one * patches.source_positions[i],
            )
            after = program.counterfactual(symbols, overrides)
            values = after[patches.rows[i], patches.positions[i]]
            assert np.array_equal(values, patches.codes[i])
            said = program.output.values[int(values[-1])]
            assert patches.targets[i] == 20 + int(said)
            mine = batch.rows == patches.rows[i]
            assert batch.positions[mine].tolist() == [patches.positions[i]]
            assert batch.targets[mine].tolist() == [patches.targets[i]]
            assert patches.sources[i] not in patches.rows
            found += 1
    assert found > 10


def test_target_streams_are_the_slow_plain_ones(task):
    program, examples, codes, alignment = task
    values = codes[examples.supervised][:50]
    plain = program.streams(values, alignment.compiled_stages)[:, :, list(alignment.directions)]
    fast = TargetStreams(program, alignment)(torch.from_numpy(values))
    assert np.array_equal(fast.numpy(), plain.swapaxes(0, 1))
