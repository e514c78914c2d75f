"""A flipped byte or a cut file is refused with its path, or read with the very same content."""

import random
from itertools import pairwise

import pytest

from tests.trust.kinds_of_files import KINDS
from tracrlab.errors import TracrLabError

FLIPS = {"quick": 80, "full": 1500}
CUTS = {"quick": 30, "full": 300}
#: Regions of equal size, each with its share of the cases: header, body and footer all have some.
REGIONS = 10


def places(size, count, generator):
    """Positions in every region of a file, the first and last bytes among them."""
    share = max(1, count // REGIONS)
    edges = [size * number // REGIONS for number in range(REGIONS + 1)]
    chosen = {0, 7, 8, size - 1, size - 4, size - 8}
    for start, end in pairwise(edges):
        chosen.update(generator.sample(range(start, end), min(share, end - start)))
    return sorted(place for place in chosen if 0 <= place < size)


@pytest.fixture(params=KINDS)
def written(request, tmp_path):
    """A file of each kind, its kind, and what is in it."""
    path, kind = tmp_path / "made" / request.param, KINDS[request.param]
    path.parent.mkdir()
    kind.write(path)
    return path, kind, kind.read(path)


def outcome(path, kind, content):
    """Whether a changed file is refused; what is not refused must be as it was."""
    try:
        found = kind.read(path)
    except TracrLabError as error:
        message = str(error)
        assert str(path.parent) in message
        assert "\n" not in message
        return "refused"
    assert found == content, "changed content is believed"
    return "harmless"


def test_flipped(written, scale, tally):
    path, kind, content = written
    generator = random.Random(1)
    original = path.read_bytes()
    outcomes = []
    for place in places(len(original), FLIPS[scale], generator):
        changed = bytearray(original)
        changed[place] ^= generator.choice((1, 2, 16, 128, 255))
        path.write_bytes(changed)
        outcomes.append(outcome(path, kind, content))
    assert outcomes.count("refused") > 0.9 * len(outcomes)
    tally(4, f"flipped bytes of {path.name}: refused", outcomes.count("refused"))
    if harmless := outcomes.count("harmless"):
        tally(4, f"flipped bytes of {path.name}: the same content", harmless)


def test_cut_or_lengthened(written, scale, tally):
    path, kind, content = written
    original = path.read_bytes()
    generator = random.Random(2)
    cuts = places(len(original), CUTS[scale], generator)
    for place in cuts:
        path.write_bytes(original[:place])
        assert outcome(path, kind, content) == "refused"
        path.write_bytes(original[:place] + original[place + 1 :])
        assert outcome(path, kind, content) == "refused"
        path.write_bytes(original + original[: place + 1])
        assert outcome(path, kind, content) == "refused"
    tally(4, f"cut or lengthened {path.name}: refused", 3 * len(cuts))


@pytest.mark.parametrize("name", ["students.checkpoint", "injection.checkpoint"])
def test_the_checkpoint_before_a_damaged_one_is_used_and_said(name, tmp_path, capsys, tally):
    path, kind = tmp_path / name, KINDS[name]
    kind.write(path)
    content = kind.read(path)
    kind.write(path)  # now there are two
    original = path.read_bytes()
    generator = random.Random(3)
    capsys.readouterr()
    for place in places(len(original), 30, generator):
        path.write_bytes(original[:place] + bytes([original[place] ^ 1]) + original[place + 1 :])
        assert kind.read(path) == content
        said = capsys.readouterr().err
        assert f"the checkpoint {path} is damaged" in said
        assert f"going on from the one before it, {path}.previous" in said
        assert said.count("\n") == 1
    previous = path.with_name(f"{path.name}.previous")
    previous.write_bytes(original[:-1])
    with pytest.raises(TracrLabError, match=r"is damaged .*previous is damaged .*delete it"):
        kind.read(path)
    tally(4, "newest checkpoint damaged: the one before used, and said", 36)
