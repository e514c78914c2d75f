import json
from collections import Counter

import numpy as np
import pytest

from tracrlab import TracrLabError
from tracrlab.decompiler.augmentation import FOR_COMPILED
from tracrlab.decompiler.batches import block_batches, token_batches
from tracrlab.decompiler.loading import Choice, ZooLoader
from tracrlab.decompiler.parameter_tokens import count_tokens, decode_tokens, encode_tokens
from tracrlab.decompiler.program_encoding import lines_text, unpad_programs
from tracrlab.decompiler.weight_blocks import decode_blocks
from tracrlab.rasp.values import parse_literal
from tracrlab.zoo.reading import read_rows
from tracrlab.zoo.schema import open_parquet
from tracrlab.zoo.writing import row_writer

TRAIN = Choice("train")


def ids(samples, rng):
    return [sample.id for sample in samples]


def drawn(samples, rng):
    """What was seen and what was drawn: equal only if both are."""
    return [sample.id for sample in samples], float(rng.random())


@pytest.fixture(scope="session")
def rows(small_zoo):
    return {row["id"]: row for shard in small_zoo.shards for row in read_rows(shard)}


def loader(zoo, choice=TRAIN, batch_size=5, encode=ids, **options):
    return ZooLoader(zoo.shards, choice, batch_size, encode, **options)


def train_ids(rows):
    return {id_ for id_, row in rows.items() if row["split"] == "train"}


def test_samples_are_the_rows(small_zoo, rows):
    for samples in loader(small_zoo, encode=lambda samples, rng: samples):
        for sample in samples:
            row = rows[sample.id]
            assert sample.n_ops == row["n_ops"]
            assert sample.tokens.tolist() == row["tokens"]
            assert sample.architecture == row.architecture
            assert np.array_equal(sample.weights, row["weights"])
            assert (sample.output_values is None) == (row["output_encoding"] == "numerical")
            if sample.output_values is not None:
                wanted = [float(parse_literal(text)) for text in row["output_values"]]
                assert sample.output_values.tolist() == wanted


@pytest.mark.parametrize("pool", [1, 2, 10])
def test_an_epoch_has_every_row_once(small_zoo, rows, pool):
    one = loader(small_zoo, pool=pool)
    batches = list(one)
    seen = [id_ for batch in batches for id_ in batch]

    assert sorted(seen) == sorted(train_ids(rows))
    assert len(batches) == len(one)
    assert {len(batch) for batch in batches[:-1]} == {5}


def test_epochs_differ_and_runs_do_not(small_zoo):
    one, again, other = loader(small_zoo), loader(small_zoo), loader(small_zoo, seed=1)
    first, second = list(one), list(one)

    assert first != second
    assert [list(again), list(again)] == [first, second]
    assert list(other) != first
    assert one.position.epoch == 2


def test_without_shuffling_rows_come_in_order(small_zoo, rows):
    batches = list(loader(small_zoo, shuffle=False))

    assert [id_ for batch in batches for id_ in batch] == [i for i in rows if i in train_ids(rows)]


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_workers_share_an_epoch_without_overlap(small_zoo, rows, workers):
    parts = [loader(small_zoo, worker=k, workers=workers) for k in range(workers)]
    epochs = [[id_ for batch in part for id_ in batch] for part in parts]
    seen = Counter(id_ for epoch in epochs for id_ in epoch)

    assert set(seen) == train_ids(rows)
    assert set(seen.values()) == {1}
    sizes = [len(epoch) for epoch in epochs]
    assert sizes == [part.samples for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("similar", [1, 3])
@pytest.mark.parametrize("stop", [0, 1, 4, 9, 13])
def test_resuming_goes_on_at_the_exact_sample(small_zoo, stop, similar):
    options = {"encode": drawn, "worker": 1, "workers": 2, "batch_size": 3, "similar": similar}
    straight = loader(small_zoo, **options)
    everything = [batch for _ in range(3) for batch in straight]

    first = loader(small_zoo, **options)
    taken, state = [], first.state_dict()
    while len(taken) < stop:
        for batch in first:
            taken.append(batch)
            state = first.state_dict()
            if len(taken) == stop:
                break
    second = loader(small_zoo, **options)
    second.load_state_dict(json.loads(json.dumps(state)))
    while len(taken) < len(everything):
        taken += list(second)

    assert taken[: len(everything)] == everything


def test_reading_ahead_does_not_move_the_loader(small_zoo):
    one = loader(small_zoo)
    ahead = list(one.positioned())
    assert (one.position.epoch, one.position.batch) == (0, 0)
    one.position = ahead[2][0]

    assert list(one) == [batch for _, batch in ahead[3:]]


@pytest.mark.parametrize("similar", [2, 4, 100])
def test_batches_of_similar_size(small_zoo, rows, similar):
    """Every row once, and in each window of batches models lie in order of size."""
    one = loader(small_zoo, similar=similar)
    batches = list(one)
    plain = [id_ for batch in loader(small_zoo) for id_ in batch]

    assert len(batches) == len(one)
    size = {id_: count_tokens(rows[id_].architecture) for id_ in plain}
    for start in range(0, len(batches), similar):
        window = batches[start : start + similar]
        together = [id_ for batch in window for id_ in batch]
        assert sorted(together) == sorted(plain[start * 5 : (start + similar) * 5])
        window.sort(key=lambda batch: (size[batch[0]], size[batch[-1]]))
        in_order = [size[id_] for batch in window for id_ in batch]
        assert in_order == sorted(in_order)
    assert [id_ for batch in batches for id_ in batch] != plain


def test_choice_of_rows(small_zoo, rows):
    width = int(np.median([row["d_model"] for row in rows.values() if row["n_ops"] == 4])) - 1
    choice = Choice("train", ops=(4, 4), max_d_model=width)
    seen = {id_ for batch in loader(small_zoo, choice) for id_ in batch}

    wanted = {id_ for id_ in train_ids(rows) if rows[id_]["n_ops"] == 4}
    assert seen == {id_ for id_ in wanted if rows[id_]["d_model"] <= width}
    assert 0 < len(seen) < len(wanted)


def test_block_batches(small_zoo, rows):
    for batch in loader(small_zoo, encode=block_batches()):
        for id_, steps, mask, lines in zip(
            batch.ids.tolist(), batch.blocks, batch.mask, batch.lines, strict=True
        ):
            row = rows[id_]
            weights = decode_blocks(row.architecture, steps[mask])
            assert np.array_equal(row.architecture.flatten(weights), row["weights"])
            assert not steps[~mask].any()
            assert len(lines_text(lines)) == row["n_ops"]


def test_token_batches(small_zoo, rows):
    for batch in loader(small_zoo, encode=token_batches()):
        assert unpad_programs(batch.program) == [rows[i]["tokens"] for i in batch.ids.tolist()]
        for number, id_ in enumerate(batch.ids.tolist()):
            row = rows[id_]
            wanted = encode_tokens(row.architecture, row["weights"])
            tokens = batch.parameters.vectors[number, : len(wanted), :, : row["d_model"]]
            assert np.array_equal(tokens, wanted.vectors)
            assert not batch.parameters.kind[number, len(wanted) :].any()
    assert decode_tokens(wanted).keys() == row.architecture.shapes.keys()


def test_augmentation_is_fresh_in_every_epoch(small_zoo):
    one = loader(small_zoo, encode=token_batches(FOR_COMPILED), shuffle=False)
    first, second = (next(iter(list(one))) for _ in range(2))

    assert np.array_equal(first.ids, second.ids)
    assert not np.array_equal(first.parameters.vectors, second.parameters.vectors)


def test_a_manifest_is_checked(small_zoo, rows):
    one = ZooLoader.of_zoo(small_zoo.manifest, TRAIN, 5, ids)

    assert {id_ for batch in one for id_ in batch} == train_ids(rows)


def test_weights_that_are_not_finite_are_named(small_zoo, tmp_path):
    _, info = open_parquet(small_zoo.shards[0], "zoo")
    many = list(read_rows(small_zoo.shards[0]))
    many[3].columns["weights"] = np.where(np.arange(len(many[3]["weights"])) == 7, np.nan, 1)
    path = tmp_path / "00000.parquet"
    with row_writer(path, info) as writer:
        for row in many:
            writer.write(row.columns)

    with pytest.raises(TracrLabError, match=f"row {many[3]['id']} of .* not finite"):
        list(ZooLoader([path], Choice(many[0]["split"]), 5, ids))


def test_wrong_settings_are_one_sentence(small_zoo, tmp_path):
    with pytest.raises(TracrLabError, match="there is no worker 2 of 2"):
        loader(small_zoo, worker=2, workers=2)
    with pytest.raises(TracrLabError, match="batch_size, pool and similar are at least 1"):
        loader(small_zoo, batch_size=0)
    with pytest.raises(TracrLabError, match="no row of the 'train' split with 30 to 40 ops"):
        loader(small_zoo, Choice("train", ops=(30, 40)))
    with pytest.raises(TracrLabError, match="there is no file"):
        ZooLoader([tmp_path / "missing.parquet"], TRAIN, 5, ids)
    with pytest.raises(TracrLabError, match="has seed 0 and this one has 1"):
        loader(small_zoo, seed=1).load_state_dict(loader(small_zoo).state_dict())
