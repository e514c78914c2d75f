import numpy as np
import pytest

from tracrlab import TracrLabError
from tracrlab.rasp import Domain
from tracrlab.rasp.domain import MAX_ENUMERATED


def test_a_small_domain_has_every_input_once():
    domain = Domain(("a", "b"), 3)

    inputs = {tuple(domain.input(number)) for number in range(len(domain.codes))}

    assert domain.size == len(domain.codes) == len(inputs) == 2 + 4 + 8
    assert domain.exhaustive
    assert {len(word) for word in inputs} == {1, 2, 3}


def test_the_vocabulary_is_ordered_and_has_no_repeats():
    domain = Domain(("b", "a", "b"), 2)

    assert domain.vocab == ("a", "b")
    assert domain == Domain(("a", "b"), 2)


def test_padding_is_behind_the_input():
    domain = Domain(("a", "b"), 3)

    assert domain.codes[0].tolist() == [0, 2, 2]
    assert domain.mask[0].tolist() == [True, False, False]
    assert domain.lengths[0] == 1


def test_the_limit_of_enumeration():
    assert Domain(tuple(range(5)), 5).size == 3905
    assert Domain(tuple(range(4)), 6).exhaustive is False
    assert Domain(tuple(range(MAX_ENUMERATED)), 1).exhaustive
    assert not Domain(tuple(range(MAX_ENUMERATED + 1)), 1).exhaustive


def test_a_large_domain_is_sampled_and_always_the_same():
    domain = Domain(tuple(range(6)), 20)

    assert domain.size == sum(6**length for length in range(1, 21))
    assert domain.codes.shape == (MAX_ENUMERATED, 20)
    assert np.array_equal(domain.codes, Domain(tuple(range(6)), 20).codes)
    assert set(domain.lengths.tolist()) == set(range(1, 21))
    assert set(np.unique(domain.codes)) == set(range(7))


def test_size_may_be_huge():
    assert Domain(tuple(range(100)), 1000).size > 10**1999


def test_given_inputs():
    domain = Domain(("a", "b"), 3, inputs=(("a", "b"), ("b",)))

    assert domain.exhaustive
    assert [domain.input(0), domain.input(1)] == [["a", "b"], ["b"]]
    assert domain.description != Domain(("a", "b"), 3).description


def test_codes_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        Domain(("a", "b"), 2).codes[0, 0] = 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"vocab": (), "max_seq_len": 3}, "at least one symbol"),
        ({"vocab": ("a",), "max_seq_len": 0}, "a length of at least 1, not 1 symbols and length 0"),
        ({"vocab": ("a",), "max_seq_len": 3, "inputs": (("b",),)}, "hold {'b'}"),
        ({"vocab": ("a",), "max_seq_len": 1, "inputs": (("a", "a"),)}, "1 to 1 symbols each"),
        ({"vocab": ("a",), "max_seq_len": 1, "inputs": ((),)}, "1 to 1 symbols each"),
    ],
)
def test_wrong_domains(settings, reason):
    with pytest.raises(TracrLabError, match=reason):
        Domain(**settings)
