"""The same seed gives the same bytes, whatever the number of jobs, shards or interruptions."""

import numpy as np
import pytest

from tests.trust.comparing import contents
from tests.trust.killing import new_life
from tests.zoo.conftest import make_zoo
from tracrlab.zoo import read_rows

ZOO_TARGETS = ("results/zoo/standard/statistics.csv", "results/figures/zoo_statistics.pdf")


def rows_by_id(zoo):
    """Every column of every row, weights as bytes."""
    return {
        row["id"]: row.columns | {"weights": row["weights"].tobytes()}
        for path in zoo.shards
        for row in read_rows(path)
    }


def test_any_shard_size_gives_the_same_rows(tmp_path, tally):
    sizes = (4, 9, 20, 40)
    made = [
        rows_by_id(make_zoo(tmp_path / str(size), programs=20, shard_size=size)) for size in sizes
    ]
    assert len(made[0]) == 20
    assert all(rows == made[0] for rows in made[1:])
    tally(3, "rows compared between shard sizes", 20 * (len(sizes) - 1))


def test_the_same_bytes_a_second_time(tmp_path, tally):
    first, second = (make_zoo(tmp_path / name, programs=20, shard_size=10) for name in "ab")
    paths = [path for path in first.folder.rglob("*") if path.is_file()]
    for path in paths:
        twin = second.folder / path.relative_to(first.folder)
        assert path.read_bytes() == twin.read_bytes(), path.name
    tally(3, "files compared between two runs", len(paths))


@pytest.mark.trust
@pytest.mark.workflow
def test_any_number_of_jobs_gives_the_same_bytes(tmp_path, tally):
    made = []
    for jobs in (1, 2, 8):
        life = new_life(tmp_path / str(jobs), *ZOO_TARGETS)
        life.run("--cores", str(jobs))
        made.append(contents(life.folder))
    assert len(made[0]) >= 8
    assert made[0] == made[1] == made[2]
    tally(3, "results compared between 1, 2 and 8 jobs", 2 * len(made[0]))


@pytest.mark.parametrize("checkpoint_every", [1, 2, 4, 5])
def test_a_resume_in_the_middle_of_an_epoch(checkpoint_every, tmp_path, capsys, tally):
    """The last checkpoint of a run, continued by a new model, ends with the same bits."""
    import torch

    from tests.injection.test_pretraining import SMALL, Vocabulary
    from tracrlab.injection.pretraining import Corpus, new_model, train

    config = SMALL.model_copy(update={"checkpoint_every": checkpoint_every})
    rows = (np.arange(40)[:, None] + np.arange(16)) % 40  # ten batches: 6 steps are no epoch
    corpus = Corpus(rows, {"rows": rows[:5]}, np.bincount(rows.ravel(), minlength=40))
    models = [new_model(config, 0, Vocabulary()) for _ in range(2)]
    for model in models:
        train(model, corpus, config, 0, tmp_path / "checkpoint.safetensors")
    assert "going on from step" in capsys.readouterr().out
    weights = [model.state_dict() for model in models]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    tally(3, "runs resumed in the middle of an epoch, bit for bit", 1)


def test_a_checkpoint_of_another_seed_or_text_is_not_continued(tmp_path, capsys, tally):
    from tests.injection.test_pretraining import SMALL, Vocabulary
    from tracrlab.injection.pretraining import Corpus, new_model, train

    checkpoint = tmp_path / "checkpoint.safetensors"
    rows = (np.arange(40)[:, None] + np.arange(16)) % 40
    counts = np.bincount(rows.ravel(), minlength=40)
    for seed, text in ((0, rows), (1, rows), (1, rows[::-1].copy())):
        train(
            new_model(SMALL, seed, Vocabulary()), Corpus(text, {}, counts), SMALL, seed, checkpoint
        )
        assert "going on" not in capsys.readouterr().out
    tally(3, "checkpoints of another seed or text, not continued", 2)


def test_other_arithmetic_agrees_to_a_stated_tolerance(tally):
    """The same weights in float64, as a stand-in for another order of sums: 1e-4 at most."""
    from tests.trust.samples import SETTINGS
    from tracrlab.compiler.compiling import compile_table
    from tracrlab.compiler.forward import forward
    from tracrlab.rasp.sampler import sample

    for index in range(20):
        model = compile_table(sample(SETTINGS, 7, index).table)
        words = [list(SETTINGS.vocab)[:length] for length in (1, 2, 3)]
        for word in words:
            codes = model.encode(word)[None]
            lengths = np.array([codes.shape[1]])
            exact = {name: value.astype(np.float64) for name, value in model.weights.items()}
            first = forward(model.architecture, model.weights, codes, lengths)
            second = forward(model.architecture, exact, codes, lengths)
            np.testing.assert_allclose(first, second, atol=1e-4, rtol=0)
    tally(3, "outputs that agree to 1e-4 in other arithmetic", 60)
