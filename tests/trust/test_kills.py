"""A run that is killed at random moments ends with the bytes of one that was not."""

import random
from collections import Counter

import pytest

from tests.trust.comparing import contents
from tests.trust.killing import new_life

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

#: Kills, what is made, and the seconds after a job's start within which the kill falls.
KILLS = {"quick": 2, "full": 50}
TARGETS = {"quick": ("results/zoo/standard/statistics.csv",), "full": ("all",)}
LONGEST = {"quick": 3.0, "full": 8.0}
#: A life that is killed this often is let live, and another begins.
KILLS_IN_A_LIFE = 25


def test_killed_runs_end_with_the_same_bytes(scale, tmp_path, tally):
    targets, wanted = TARGETS[scale], KILLS[scale]
    undisturbed = new_life(tmp_path / "undisturbed", *targets)
    undisturbed.run()
    expected = contents(undisturbed.folder)
    assert len(expected) >= 5
    generator, kills, lives = random.Random(0), Counter(), 0
    while kills.total() < wanted:
        life = new_life(tmp_path / f"life_{lives}", *targets)
        while life.kills.total() < min(KILLS_IN_A_LIFE, wanted - kills.total()):
            if life.run_and_kill(generator, LONGEST[scale]) is None:
                break
        life.run()
        assert contents(life.folder) == expected
        assert "Nothing to be done" in life.run("--dry-run")
        kills += life.kills
        lives += 1
    print(dict(kills))
    tally(1, "kills of a running workflow, whole process group", kills.total())
    tally(1, "rules that a kill fell into", len(kills))
    tally(1, "results compared byte for byte after kills", lives * len(expected))
