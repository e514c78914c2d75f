"""Programs on which Tracr's weights are wrong: ours are right, or refused with the reason.

Each test compiles with ``reference=True`` too, so it also shows that the reference is Tracr.
"""

import numpy as np
import pytest

from tracrlab import Program, TracrLabError, compile
from tracrlab.compiler import verify
from tracrlab.compiler.compiling import UnsupportedProgramError
from tracrlab.rasp import Domain, evaluate
from tracrlab.rasp import paper_programs as papers


def check(program, vocab, max_seq_len, *, reference, inputs=None):
    """Verification of Tracr's weights or of ours on the whole domain."""
    if isinstance(program, str):
        program = Program.from_text(program)
    model = compile(program, vocab, max_seq_len, reference=reference, inputs=inputs)
    table = evaluate(program, Domain(tuple(vocab), max_seq_len, inputs=inputs))
    return verify(model, table, None)


def test_means_that_tracr_does_not_infer():
    """2/3 is missing in Tracr's value set, so it is taken for 1/2."""
    program = """
        is_a = Map(x == "a", tokens) : numerical
        prevs = Select(indices, indices, key <= query)
        frac = Aggregate(prevs, is_a) : numerical
        mostly_a = Map(x > 0.6, frac)
    """
    tracr = check(program, "ab", 3, reference=True)

    assert tracr.mismatches == 3
    assert (
        "['a', 'a', 'b'] the program gives [True, True, True] and the model [True, True, False]"
        in (tracr.example)
    )
    assert check(program, "ab", 3, reference=False).passed


def test_an_empty_selector_row_reads_zero():
    """Where nothing is selected, Tracr reads at BOS what a Map of 0 has left there."""
    program = """
        is_a = Map(x == "a", tokens) : numerical
        not_a = Map(x == 0, is_a) : numerical
        before = Select(indices, indices, query == key + 1)
        not_a_before = Aggregate(before, not_a) : numerical
    """
    tracr = check(program, "ab", 3, reference=True)

    assert tracr.mismatches == tracr.inputs
    assert tracr.max_error == pytest.approx(1)
    assert check(program, "ab", 3, reference=False).max_error < 1e-6


def test_negative_numbers_of_categorical_values():
    """Tracr's ReLU cuts them off."""
    program = "less = Map(x - 1, tokens) : numerical"
    tracr = check(program, (0, 1, 2), 2, reference=True)

    assert "on [0] the program gives [-1] and the model [0.0]" in tracr.example
    assert check(program, (0, 1, 2), 2, reference=False).max_error == 0


def test_values_wider_than_keys():
    """Tracr sizes heads by their keys alone and crashes."""
    program = """
        first = Map(x == 0, indices)
        is_1 = Map(x == 1, tokens)
        to_first = Select(first, is_1, key == True)
        first_token = Aggregate(to_first, tokens)
    """
    vocab = (1, 2, 3, 4, 5, 6)

    with pytest.raises(TracrLabError, match="a value has 6 dimensions and its key size is 4"):
        check(program, vocab, 2, reference=True)
    assert check(program, vocab, 2, reference=False).passed


def test_the_crash_is_tracrs_own():
    from tracr.compiler.compiling import compile_rasp_to_model

    program = Program.from_text(
        """
        first = Map(x == 0, indices)
        is_1 = Map(x == 1, tokens)
        to_first = Select(first, is_1, key == True)
        first_token = Aggregate(to_first, tokens)
        """
    )

    with pytest.raises(ValueError, match=r"incompatible dimensions|broadcast"):
        compile_rasp_to_model(program.to_tracr(), {1, 2, 3, 4, 5, 6}, 2)


def test_averages_of_categorical_values():
    """Tracr averages one-hot vectors, which is the one-hot vector of nothing."""
    program = "all = Select(tokens, tokens, True)\nmean = Aggregate(all, tokens)"

    assert check(program, (0, 1, 2), 2, reference=True).mismatches == 6
    with pytest.raises(
        UnsupportedProgramError,
        match=r"mean \(Aggregate\) cannot be compiled: it averages different categorical values",
    ):
        check(program, (0, 1, 2), 2, reference=False)


def test_attention_in_wide_models_stays_hard():
    """Tracr's logits are divided by the root of the key size, which grows with the inputs."""
    rng = np.random.default_rng(0)
    inputs = tuple(tuple(rng.choice(["a", "b"], size=n).tolist()) for n in (1, 200, 400))
    tracr = check(papers.shift_by(1), "ab", 400, reference=True, inputs=inputs)

    assert tracr.mismatches == 2
    assert tracr.max_error > 0.5
    assert check(papers.shift_by(1), "ab", 400, reference=False, inputs=inputs).max_error < 1e-6


@pytest.mark.parametrize(("max_seq_len", "error"), [(8, 0.1), (10, 0.3), (16, 0.5)])
def test_neighbouring_numbers_stay_apart(max_seq_len, error):
    """Tracr's thresholds come closer than its ramps are wide: 1/8 and 1/9 mix."""
    assert check(papers.count("a"), "abc", max_seq_len, reference=True).max_error > error
    assert check(papers.count("a"), "abc", max_seq_len, reference=False).max_error < 1e-4


def test_long_counts_are_wrong_in_tracr():
    assert check(papers.count("a"), "abc", 20, reference=True).mismatches > 0
    assert check(papers.count("a"), "abc", 20, reference=False).passed
