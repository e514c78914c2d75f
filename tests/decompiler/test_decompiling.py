"""Models to programs: what is known is verified, what execution refutes is not."""

from dataclasses import replace

import numpy as np
import pytest

from tests.decompiler.conftest import KNOWN
from tests.decompiler.models import CIRCUITS, LINES, TOKENS, compiled, table
from tracrlab.compiler import compile_table
from tracrlab.decompiler.building import build
from tracrlab.decompiler.checking import NONE, VERIFIED, Candidate, Checker, rank
from tracrlab.decompiler.decompiling import Decompiler, Search, _Trial
from tracrlab.decompiler.metrics import count_slots
from tracrlab.decompiler.model_folder import Trained
from tracrlab.decompiler.program_encoding import line_form
from tracrlab.errors import TracrLabError
from tracrlab.rasp import Domain, Program, evaluate


@pytest.fixture(scope="module")
def tokens(knowing):
    return Decompiler.load(knowing["tokens"])


@pytest.fixture(scope="module")
def lines(knowing):
    return Decompiler.load(knowing["lines"])


MODELS = [replace(compiled(index), program=None) for index in range(KNOWN)]
PROGRAMS = [table(index).program for index in range(KNOWN)]


def test_known_models_are_verified_at_the_first_candidate(tokens):
    for answer, program in zip(tokens.decompile(MODELS), PROGRAMS, strict=True):
        assert answer.program == answer.first.program == program
        assert (answer.verdict, answer.tried) == (VERIFIED, 1)
        assert 0.5 < answer.confidence <= 1
        assert np.array_equal(answer.lines, line_form([program.tokens()])[0])


def test_lines_of_known_models(lines):
    answers = lines.decompile(MODELS)
    true = line_form([program.tokens() for program in PROGRAMS])
    assert count_slots(np.stack([answer.lines for answer in answers]), true).exact.all()
    verified = [answer for answer in answers if answer.verdict == VERIFIED]
    assert verified
    for answer, model in zip(answers, MODELS, strict=True):
        if answer.verdict == VERIFIED:
            assert Checker(model).check(answer.program).verdict == VERIFIED


def test_models_read_together_are_answered_as_alone(tokens):
    together = tokens.decompile(MODELS)
    for model, answer in zip(MODELS, together, strict=True):
        [alone] = tokens.decompile([model])
        assert alone.program == answer.program
        assert alone.confidence == pytest.approx(answer.confidence, rel=1e-3)


def test_without_execution_there_is_no_verdict(tokens):
    [answer] = tokens.decompile(MODELS[:1], Search(verify=False))
    assert (answer.verdict, answer.check, answer.tried) == ("", None, 0)
    assert answer.program == PROGRAMS[0]


def test_an_unknown_model_is_never_verified_wrongly(tokens):
    """The decompiler knows nothing of these: whatever it says, a verdict is execution's."""
    models = [compiled(index) for index in range(20, 26)]
    for model, answer in zip(models, tokens.decompile(models, Search(2, 8)), strict=True):
        again = Checker(model).check(answer.program)
        assert (again.verdict, again.agreement) == (answer.verdict, answer.check.agreement)
        assert answer.tried <= 2 + 4 + 8


@pytest.mark.parametrize(
    "description", [TOKENS, CIRCUITS, LINES], ids=["tokens", "circuits", "lines"]
)
def test_the_search_widens_where_nothing_is_verified(description):
    """An untrained meta-model guesses; more guesses never make the answer worse."""
    decompiler = Decompiler(Trained(build(description).eval(), description))
    narrow = decompiler.decompile(MODELS, Search(1, 1))
    wide = decompiler.decompile(MODELS, Search(1, 8))
    for first, second in zip(narrow, wide, strict=True):
        assert first.tried <= 1
        assert second.tried >= first.tried
        if first.check:
            assert second.check.agreement >= first.check.agreement or second.verdict != NONE


@pytest.mark.parametrize(
    "description", [TOKENS, CIRCUITS, LINES], ids=["tokens", "circuits", "lines"]
)
@pytest.mark.parametrize("more_search", [Search(2, 2, repairs=2), Search(2, 2, endings=64)])
def test_more_search_never_makes_the_answer_worse(description, more_search):
    """Repairs and endings, of every method and of a model over letters."""
    decompiler = Decompiler(Trained(build(description).eval(), description))
    letters = compile_table(evaluate(Program.from_text(LETTERS), Domain(("a", "b"), 3)))
    models = [*MODELS, letters]
    plain = decompiler.decompile(models, Search(2, 2))
    repaired = decompiler.decompile(models, more_search)
    more = 0
    for first, second in zip(plain, repaired, strict=True):
        assert second.tried >= first.tried
        more += second.tried > first.tried
        if first.check:
            assert rank(second.check) >= rank(first.check)
    assert more >= 1 or description is LINES  # whose lines may be no program


def test_candidates_that_become_one_program_are_run_once():
    """Over letters, `x == 0` and `not x` are both `x == "a"`; it counts, and is run, once."""
    model = compile_table(evaluate(Program.from_text(LETTERS), Domain(("a", "b"), 3)))
    trial = _Trial(Checker(model))
    same = Program.from_text(LETTERS)
    trial.execute([Candidate(same, -1.0), Candidate(same, -2.0)])
    assert (len(trial.seen), len(trial.executed)) == (1, 1)
    assert trial.chosen.log_probability == -1.0


LETTERS = 'v1 = Map(x == "a", tokens)'


def test_a_model_that_is_run_on_some_inputs_alone(tokens):
    domain = Domain((0, 1, 2), 4, inputs=((0, 1), (2, 2, 1)))
    [answer] = tokens.decompile(MODELS[:1], domains=[domain])
    assert (answer.verdict, answer.check.inputs) == (VERIFIED, 2)


def test_nothing_to_decompile(tokens):
    assert tokens.decompile([]) == []


@pytest.mark.parametrize(
    ("description", "said"),
    [
        (TOKENS, r"the model has \d+ units and the decompiler reads at most 16; take a smaller"),
        (LINES, r"the model has \d+ blocks of 512 weights and the decompiler reads at most 2;"),
    ],
)
def test_a_model_beyond_the_limits(description, said):
    small = replace(description, limits={"max_tokens": 16, "max_blocks": 2})
    decompiler = Decompiler(Trained(build(small).eval(), small))
    with pytest.raises(TracrLabError, match=said):
        decompiler.decompile(MODELS)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("method", ["tokens", "circuits", "lines"])
def test_weights_that_are_not_finite(knowing, method, value):
    model = compiled(0)
    name = next(iter(model.weights))
    weight = model.weights[name].copy()
    weight[0, 0] = value
    with pytest.raises(TracrLabError, match=f"the model's weight {name} holds numbers that are"):
        Decompiler.load(knowing[method]).decompile(
            [replace(model, weights=model.weights | {name: weight})]
        )


def test_a_search_without_beams():
    with pytest.raises(TracrLabError, match="at least one beam and at most most_beams; 8 and 4"):
        Search(8, 4)
