from dataclasses import replace

import numpy as np
import pytest

from tests.decompiler.models import SETTINGS, compiled, dense, flat, table
from tracrlab import TracrLabError
from tracrlab.compiler import compile_table
from tracrlab.decompiler.augmentation import FOR_DENSE, augment
from tracrlab.decompiler.checking import (
    NONE,
    PLAUSIBLE,
    PLAUSIBLE_FROM,
    VERIFIED,
    Candidate,
    Checker,
)
from tracrlab.decompiler.metrics import equivalent
from tracrlab.rasp import Domain, Program, evaluate
from tracrlab.students.enlarging import enlarged
from tracrlab.students.sizes import uniform


def of(text, vocab=(0, 1, 2), max_seq_len=4):
    return compile_table(evaluate(Program.from_text(text), Domain(vocab, max_seq_len)))


IS_TWO = "a = Map(x == 2, tokens)"


@pytest.mark.parametrize("model", [compiled, dense])
@pytest.mark.parametrize("index", range(12))
def test_the_program_itself_is_verified(model, index):
    check = Checker(replace(model(index), program=None)).check(table(index).program)

    assert check.verdict == VERIFIED
    assert check.agreement == 1
    assert check.inputs == len(SETTINGS.domain.codes)


@pytest.mark.parametrize("index", range(8))
def test_verified_is_equivalent(index):
    """Other programs are verified exactly if their outputs are the true program's."""
    checker = Checker(compiled(index))
    for other in range(8):
        program = table(other).program
        verdict = checker.check(program).verdict
        assert (verdict == VERIFIED) == equivalent(program, table(index).program, SETTINGS.domain)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (IS_TWO, VERIFIED),
        ("a = Map(x >= 2, tokens)", VERIFIED),
        ("a = Map(x == 2, tokens) : numerical", VERIFIED),  # the same values, another encoding
        ("a = Map(x == 1, tokens)", NONE),
        ("a = Map(1 / x, tokens)", NONE),
    ],
)
def test_verdicts(text, verdict):
    check = Checker(of(IS_TWO)).check(Program.from_text(text))

    assert check.verdict == verdict
    assert bool(check.reason) == ("/" in text)


NEARLY = """
t = Map(x == 2, tokens)
i = Map(x < 3, indices)
a = SequenceMap(x and y, t, i)
"""


def test_nearly_right_is_plausible():
    """All words of up to 4 of 3 symbols have 426 positions, 27 of them a fourth one with a 2."""
    check = Checker(of(IS_TWO)).check(Program.from_text(NEARLY))

    assert check.agreement == pytest.approx(1 - 27 / 426)
    assert check.verdict == PLAUSIBLE


def test_a_constant_answer_is_not_plausible():
    """A model that is False nearly everywhere: agreeing there is no merit."""
    model = of("t = Map(x == 9, tokens)", tuple(range(20)), 2)
    checker = Checker(model)
    check = checker.check(Program.from_text("t = Map(x == 8, tokens)"))

    assert checker.constant == pytest.approx(0.95)
    assert check.agreement == pytest.approx(0.9)
    assert check.agreement >= PLAUSIBLE_FROM
    assert check.verdict == NONE


def test_a_number_cannot_be_a_word():
    text = "s = Select(tokens, tokens, True)\nn = SelectorWidth(s) : numerical"
    checker = Checker(of(text, ("a", "b")))

    assert checker.check(Program.from_text(text)).verdict == VERIFIED
    check = checker.check(Program.from_text("a = Map(x, tokens)"))
    assert (check.verdict, check.reason[:26]) == (NONE, "its output is not a number")


def test_weights_that_are_wrong_are_noticed():
    model = compiled(0)
    weights = model.weights | {"unembed": -model.weights["unembed"]}

    assert Checker(replace(model, weights=weights)).check(table(0).program).verdict == NONE


def test_weights_that_overflow_are_one_sentence():
    model = compiled(0)
    weights = {name: matrix * np.float32(1e30) for name, matrix in model.weights.items()}
    with pytest.raises(TracrLabError, match="outputs are not finite"):
        Checker(replace(model, weights=weights))


def test_the_best_candidate():
    checker = Checker(of(IS_TWO))
    texts = ["a = Map(x == 1, tokens)", "a = Map(x > 1, tokens)", IS_TWO]
    candidates = [Candidate(Program.from_text(text), -k) for k, text in enumerate(texts)]
    nearly = Program.from_text(NEARLY)

    first = checker.best(candidates)
    assert (first.candidate, first.tried) == (candidates[1], 2)
    assert checker.best(candidates[:1]).check.verdict == NONE
    assert checker.check(nearly).verdict == PLAUSIBLE
    found = checker.best([candidates[0], Candidate(nearly, -9.0), candidates[0]])
    # What `nearly` begins with is right.
    assert (found.candidate, found.tried) == (Candidate(Program.from_text(IS_TWO), -9.0), 3)
    # A candidate that is right as it is comes before the part of an earlier one.
    found = checker.best([Candidate(nearly, -1.0), candidates[0], candidates[1]])
    assert (found.candidate, found.tried) == (candidates[1], 3)
    assert checker.best([]) is None


NARROWED = """
t = Map(x > 1, tokens) : numerical
s = Select(indices, indices, key == query)
a = Aggregate(s, t) : numerical
m = LinearSequenceMap(1 * x + {} * y, t, a) : numerical
"""


@pytest.mark.parametrize(
    ("text", "ops"),
    [
        ("t = Map(x == 2, tokens)\na = Map(1 / x, t)", 1),  # undefined at its end
        ("t = Map(x == 1, tokens)\na = Map(x, t)", 2),  # equal ones: the whole
        (NARROWED.format(1), 1),
        (NARROWED.format(0), 4),  # right as it is, though a part of it is too
    ],
)
def test_parts_of_a_candidate(text, ops):
    program, check, _ = Checker(of(IS_TWO)).check_parts(Program.from_text(text))
    assert len(program) == ops
    assert Checker(of(IS_TWO)).check(program) == check


def test_a_compiled_model_is_known_by_its_weights():
    """Of programs that compute the same, the one that compiles to these weights is the program."""
    checker = Checker(of(IS_TWO))
    same, other = Program.from_text(IS_TWO), Program.from_text(NARROWED.format(0))
    assert checker.compiled
    assert [checker.check(one).verdict for one in (same, other)] == [VERIFIED, VERIFIED]
    assert [checker.check(one).same_weights for one in (same, other)] == [True, False]
    found = checker.best([Candidate(other, -1.0), Candidate(same, -2.0)])
    assert (found.candidate.program, found.tried) == (same, 2)
    found = checker.best([Candidate(other, -1.0), Candidate(other, -2.0)])
    assert (found.candidate.log_probability, found.check.same_weights) == (-1.0, False)


@pytest.mark.parametrize("index", range(12))
def test_every_compiled_model_is_its_own_program(index):
    assert Checker(compiled(index)).check(table(index).program).same_weights


def test_other_weights_are_not_compiled_ones():
    model = compiled(0)
    turned = augment(model.architecture, flat(model), FOR_DENSE, np.random.default_rng(0))
    checker = Checker(replace(model, weights=model.architecture.unflatten(turned)))
    check = checker.check(table(0).program)
    assert not checker.compiled
    assert (check.verdict, check.same_weights, check.same_layers) == (VERIFIED, False, True)
    assert checker.settles(check)


def test_a_student_is_known_by_its_layers():
    """Layers of one size, as `students.sizes.uniform` makes them; of the compiled sizes, too."""
    own, longer = Program.from_text(IS_TWO), Program.from_text(NARROWED.format(0))
    compiled_model = of(IS_TWO)
    sizes = compiled_model.architecture
    larger = uniform(sizes, sizes.d_model)
    weights = enlarged(compiled_model, larger, np.random.default_rng(0))
    weights["token_embed"] = weights["token_embed"] * np.float32(0.9)  # no longer zeros and ones
    student = replace(compiled_model, architecture=larger, weights=weights, labels=())
    checker = Checker(student)
    assert larger.layers != sizes.layers
    assert not checker.compiled
    checks = [checker.check(one) for one in (own, longer)]
    assert [check.verdict for check in checks] == [VERIFIED, VERIFIED]
    assert [check.same_layers for check in checks] == [True, False]
    found = checker.best([Candidate(longer, -1.0), Candidate(own, -2.0)])
    assert (found.candidate.program, found.tried) == (own, 2)
