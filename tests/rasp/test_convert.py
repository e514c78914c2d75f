import pytest
from hypothesis import given
from tracr.compiler import lib
from tracr.rasp import rasp

from tests.strategies import programs
from tracrlab import TracrLabError
from tracrlab.rasp import Domain, Op, Program, evaluate
from tracrlab.rasp.library import LIBRARY
from tracrlab.rasp.primitives import MAP, SELECT, Primitive


@given(programs(max_ops=8))
def test_to_tracr_and_back(program):
    back = Program.from_tracr(program.to_tracr())

    assert back == program
    assert back.names == program.names
    assert back.text() == program.text()


def test_names_and_encodings_reach_tracr():
    sop = LIBRARY["frac_prevs"].program.to_tracr()

    assert isinstance(sop, rasp.Aggregate)
    assert sop.name == "frac_prevs"
    assert sop.sop.name == "is_x"
    assert rasp.is_numerical(sop)
    assert sop.default == 0
    assert sop.selector.predicate is rasp.Comparison.LEQ


tokens, indices = rasp.tokens, rasp.indices


@pytest.mark.parametrize(
    ("sop", "text"),
    [
        (tokens < 1, "v1 = Map(x < 1, tokens)"),
        (tokens <= 1, "v1 = Map(x <= 1, tokens)"),
        (tokens > 1, "v1 = Map(x > 1, tokens)"),
        (tokens >= 1.5, "v1 = Map(x >= 1.5, tokens)"),
        (tokens == "a", 'v1 = Map(x == "a", tokens)'),
        (tokens != True, "v1 = Map(x != True, tokens)"),  # noqa: E712
        (tokens + 2, "v1 = Map(x + 2, tokens)"),
        (2 + tokens, "v1 = Map(2 + x, tokens)"),
        (tokens - 2, "v1 = Map(x - 2, tokens)"),
        (2 - tokens, "v1 = Map(2 - x, tokens)"),
        (tokens * 2, "v1 = Map(x * 2, tokens)"),
        (2 * tokens, "v1 = Map(2 * x, tokens)"),
        (tokens / 2, "v1 = Map(x / 2, tokens)"),
        (2 / tokens, "v1 = Map(2 / x, tokens)"),
        (tokens & 2, "v1 = Map(x and 2, tokens)"),
        (2 & tokens, "v1 = Map(2 and x, tokens)"),
        (tokens | 2, "v1 = Map(x or 2, tokens)"),
        (2 | tokens, "v1 = Map(2 or x, tokens)"),
        (~tokens, "v1 = Map(not x, tokens)"),
        (tokens + indices, "v1 = SequenceMap(x + y, tokens, indices)"),
        (indices - tokens, "v1 = SequenceMap(x - y, indices, tokens)"),
        (tokens * indices, "v1 = SequenceMap(x * y, tokens, indices)"),
        (tokens / indices, "v1 = SequenceMap(x / y, tokens, indices)"),
        (tokens & indices, "v1 = SequenceMap(x and y, tokens, indices)"),
        (tokens | indices, "v1 = SequenceMap(x or y, tokens, indices)"),
        (rasp.numerical(tokens + 2), "v1 = Map(x + 2, tokens) : numerical"),
    ],
)
def test_overloaded_operators_are_recognised(sop, text):
    assert Program.from_tracr(sop).text() == text


@pytest.mark.parametrize("comparison", rasp.Comparison)
def test_comparisons_are_recognised(comparison):
    select = rasp.Select(rasp.tokens, rasp.indices, comparison)
    program = Program.from_tracr(rasp.SelectorWidth(select))
    back = program.to_tracr()

    assert isinstance(program.ops[0].function, Primitive)
    assert back.selector.predicate is comparison


def test_other_functions_are_kept_as_they_are():
    def is_vowel(x):
        return x in "aeiou"

    sop = rasp.Map(is_vowel, rasp.tokens)
    program = Program.from_tracr(sop)

    assert program.ops[0].function is is_vowel
    assert program.to_tracr().f is is_vowel
    assert evaluate(program, Domain(("a", "b"), 2)).output.values == (False, True)


def test_operators_with_constants_that_have_no_text_stay_callables():
    program = Program.from_tracr(rasp.tokens < float("inf"))

    assert not isinstance(program.ops[0].function, Primitive)
    assert evaluate(program, Domain((1, 2), 2)).output.values == (True,)


def test_shared_expressions_stay_shared():
    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    hist = rasp.SelectorWidth(same)
    program = Program.from_tracr(hist + hist)

    assert [op.kind for op in program.ops] == ["Select", "SelectorWidth", "SequenceMap"]
    assert program.output.operands == (3, 3)


def test_given_names_are_kept_and_default_names_are_not():
    inner = (rasp.tokens + rasp.indices).named("sum of both")
    program = Program.from_tracr(rasp.SequenceMap(lambda x, y: x, inner, rasp.indices))

    assert program.names == ("sum_of_both", "v2")


def test_deep_programs_convert_without_recursion():
    sop = rasp.tokens
    for _ in range(3000):
        sop = rasp.SequenceMap(lambda x, y: x, sop, rasp.indices)

    assert len(Program.from_tracr(sop)) == 3000


@pytest.mark.parametrize(
    ("name", "sop"),
    [
        ("reverse", lib.make_reverse(rasp.tokens)),
        ("hist", lib.make_hist()),
        ("length", lib.make_length()),
        ("sort_unique", lib.make_sort_unique(rasp.tokens, rasp.tokens)),
        ("frac_prevs", lib.make_frac_prevs(rasp.tokens == "x")),
        ("pair_balance", lib.make_pair_balance(rasp.tokens, "(", ")")),
    ],
)
def test_library_programs_of_tracr_are_those_of_our_library(name, sop):
    assert Program.from_tracr(sop) == LIBRARY[name].program


select = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
other = rasp.Select(rasp.tokens, rasp.indices, rasp.Comparison.EQ)


@pytest.mark.parametrize(
    ("sop", "reason"),
    [
        (rasp.tokens, "the program is an input itself; it needs at least one op"),
        (rasp.Full(1), "is a Full, which has no weights; write it with Map"),
        (rasp.ConstantSOp([1, 2]), "is a ConstantSOp, which has no weights"),
        (rasp.length, "is a LengthType, which has no weights"),
        (rasp.tokens + rasp.length, "is a LengthType, which has no weights"),
        (rasp.SelectorWidth(select & other), "is a SelectorAnd, which has no weights"),
        (rasp.SelectorWidth(select | other), "is a SelectorOr, which has no weights"),
        (rasp.numerical(rasp.tokens) + 1, "tokens is numerical; the inputs are categorical"),
        (
            rasp.Aggregate(select, rasp.tokens, default=1).named("first"),
            "first has default 1; a categorical Aggregate has default None",
        ),
        (
            rasp.numerical(rasp.Aggregate(select, rasp.tokens)).named("mean"),
            "mean has default None; a numerical Aggregate has default 0",
        ),
    ],
)
def test_what_no_program_can_hold_is_refused(sop, reason):
    with pytest.raises(TracrLabError, match=reason):
        Program.from_tracr(sop)


def test_opaque_predicates_survive():
    def any_of(key, query):
        return key < query or key == 0

    program = Program.of(
        [Op(SELECT, (0, 1), any_of, None), Op("SelectorWidth", (2,), None), Op(MAP, (3,), abs)]
    )

    assert Program.from_tracr(program.to_tracr()) == program
