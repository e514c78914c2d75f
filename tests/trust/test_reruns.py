"""A result that is deleted comes back with the same bytes; a finished run has nothing to do."""

import random

import pytest

from tests.trust.comparing import contents
from tests.trust.killing import new_life

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TARGETS = {"quick": ("results/library.csv", "results/figures/blocks_hist.png"), "full": ("all",)}
DELETED = {"quick": 1, "full": 40}


def test_a_deleted_result_comes_back(scale, tmp_path, tally):
    """One at a time; a file in a model's folder comes back with its folder."""
    life = new_life(tmp_path / "run", *TARGETS[scale])
    life.run()
    assert "Nothing to be done" in life.run()
    expected = contents(life.folder)
    files = sorted(name for name in expected if "/model/" not in name and "/tiny/" not in name)
    chosen = random.Random(4).sample(files, min(DELETED[scale], len(files)))
    for name in chosen:
        (life.folder / name).unlink()
        new = new_life_at(life.folder, name)
        new.run()
        assert contents(life.folder)[name] == expected[name], name
    tally(2, "second runs that had nothing to do", 1)
    tally(2, "deleted results that came back with the same bytes", len(chosen))


def new_life_at(folder, *targets):
    """The same folder with other targets."""
    from tests.trust.killing import Life

    return Life(folder, targets)
