"""What cannot be compiled is refused in one sentence, before anything large is made."""

import time

import pytest

from benchmarks.measure import peak_mb
from tracrlab import Program, TracrLabError, compile
from tracrlab.compiler import (
    BOS,
    PAD,
    Limits,
    ModelTooLargeError,
    UnsupportedProgramError,
)
from tracrlab.rasp import Op, UndefinedProgramError
from tracrlab.rasp import paper_programs as papers
from tracrlab.rasp.primitives import MAP


def refusal(text, vocab=(0, 1, 2), max_seq_len=3, error=UnsupportedProgramError, **settings):
    """The sentence with which a program is refused."""
    with pytest.raises(error) as caught:
        compile(Program.from_text(text), vocab, max_seq_len, **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize("symbol", [BOS, PAD])
@pytest.mark.parametrize("reference", [False, True])
def test_reserved_symbols(symbol, reference):
    message = refusal("a = Map(x, tokens)", ("a", symbol), error=TracrLabError, reference=reference)

    assert message == f"the vocabulary holds {symbol!r}, which is reserved; rename that symbol."


NUMBER = "n = Map(x + 1, tokens) : numerical\n"
SHIFTED = """
before = Select(indices, indices, query == key + 1)
shifted = Aggregate(before, tokens)
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            NUMBER + "s = Select(n, tokens, key == query)\nw = SelectorWidth(s)",
            "s (Select) cannot be compiled: its keys and queries must be categorical",
        ),
        (
            NUMBER + "s = Select(tokens, n, key == query)\nw = SelectorWidth(s)",
            "s (Select) cannot be compiled: its keys and queries must be categorical",
        ),
        (
            NUMBER + "sum = SequenceMap(x + y, n, tokens)",
            "sum (SequenceMap) cannot be compiled: its operands and output must be categorical",
        ),
        (
            "sum = SequenceMap(x + y, tokens, indices) : numerical",
            "sum (SequenceMap) cannot be compiled: its operands and output must be categorical",
        ),
        (
            NUMBER + "sum = LinearSequenceMap(1 * x + 1 * y, n, tokens) : numerical",
            "sum (LinearSequenceMap) cannot be compiled: its operands and output must be numerical",
        ),
        (
            NUMBER + "sum = LinearSequenceMap(1 * x + 1 * y, n, n)",
            "sum (LinearSequenceMap) cannot be compiled: its operands and output must be numerical",
        ),
        (
            "s = Select(tokens, tokens, key == query)\nmean = Aggregate(s, tokens) : numerical",
            "mean (Aggregate) cannot be compiled: its operand is categorical and its output "
            "numerical",
        ),
        (
            "all = Select(tokens, tokens, True)\nmean = Aggregate(all, tokens)",
            "mean (Aggregate) cannot be compiled: it averages different categorical values",
        ),
        (
            SHIFTED + "number = Map(x + 1, shifted) : numerical",
            "number (Map) cannot be compiled: it is numerical and None somewhere, which a number "
            "cannot say",
        ),
        (
            "never = Select(tokens, tokens, False)\nnothing = Aggregate(never, tokens)",
            "nothing (Aggregate) cannot be compiled: it is None everywhere",
        ),
    ],
)
def test_programs_that_no_weights_compute(text, reason):
    assert refusal(text) == f"{reason}; change the op or its encoding."


def test_numerical_strings():
    message = refusal("a = Map(x, tokens) : numerical", vocab=("a", "b"))

    assert "a (Map) cannot be compiled: it is numerical and has values that are not" in message


def test_selected_nones():
    def first_or_later(key, query):
        return key is None or query is None

    program = Program.from_text(SHIFTED)
    program = Program.of(
        [*program.ops, Op("Select", (3, 3), first_or_later, None), Op("SelectorWidth", (4,))]
    )

    with pytest.raises(
        UnsupportedProgramError, match="selects positions whose key or query is None"
    ):
        compile(program, (0, 1), 3)


def test_undefined_programs():
    message = refusal("a = Map(1 / x, tokens)", error=UndefinedProgramError)

    assert "a (Map) is undefined on the input [0]" in message


def test_a_program_may_be_defined_on_some_inputs_only():
    program = Program.from_text("ratio = SequenceMap(x / y, indices, tokens)")
    model = compile(program, (0, 1, 2), 2, inputs=[(1, 2), (2, 2), (1, 1)])

    assert model.apply((1, 2)) == [0, 0.5]


def test_numbers_that_float32_cannot_tell_apart():
    """1 and 1 + 2^-24 are one number in float32."""
    program = Program.of(
        [
            Op(MAP, (0,), lambda x: 1 + x * 2.0**-24, "numerical"),
            Op(MAP, (2,), lambda x: x > 1, "categorical"),
        ]
    )

    with pytest.raises(
        TracrLabError, match=r"must tell 1.0 from 1.00000005.* too close for float32"
    ):
        compile(program, (0, 1), 2)


def test_close_numbers_with_equal_results_need_not_be_told_apart():
    program = Program.of(
        [
            Op(MAP, (0,), lambda x: 1 + x * 2.0**-24, "numerical"),
            Op(MAP, (2,), lambda x: x > 0.5, "categorical"),
        ]
    )

    assert compile(program, (0, 1), 2).apply((0, 1)) == [True, True]


@pytest.mark.parametrize(
    ("vocab", "max_seq_len", "reason"),
    [((), 3, "0 symbols and length 3"), (("a",), 0, "1 symbols and length 0")],
)
def test_empty_domains(vocab, max_seq_len, reason):
    assert reason in refusal("a = Map(x, tokens)", vocab, max_seq_len, error=TracrLabError)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(d_model=11), "its residual stream is 12 and the limit is 11"),
        (Limits(mlp_hidden=1), "its widest MLP is 2 and the limit is 1"),
        (Limits(weights=500), "its number of weights is"),
    ],
)
def test_each_limit_is_named(limits, reason):
    with pytest.raises(ModelTooLargeError, match=reason):
        compile(papers.reverse() if limits.weights == 500 else WITH_MLP, "ab", 4, limits=limits)


WITH_MLP = Program.from_text(
    """
    is_a = Map(x == "a", tokens)
    s = Select(is_a, is_a, key == query)
    moved = Aggregate(s, is_a)
    """
)


def test_a_model_at_the_limits_is_compiled():
    model = compile(WITH_MLP, "ab", 4)
    sizes = model.architecture
    exact = Limits(sizes.d_model, 2, sizes.weight_count)

    assert sizes.d_model == 2 + 1 + 4 + 1 + 2 + 2
    assert compile(WITH_MLP, "ab", 4, limits=exact).architecture == sizes


LARGE = {
    # pairs and triples: 200 x 50 values, then 2,000,000 of them: more than 10^12 weights
    "tuples": (
        "p = SequenceMap((x, y), tokens, indices)\nq = SequenceMap((x, y), p, tokens)",
        tuple(range(200)),
        50,
    ),
    "symbols": ("a = Map(x + 1, tokens)", tuple(range(200_000)), 2),
    "positions": ("a = Map(x + 1, indices)", ("a", "b"), 1_000_000),
    "selectors": ("s = Select(tokens, tokens, True)\nw = SelectorWidth(s)", ("a", "b"), 4_000),
}


@pytest.mark.parametrize("name", LARGE)
def test_huge_models_are_refused_at_once(name):
    before = peak_mb()
    start = time.perf_counter()

    refusal(*LARGE[name], error=TracrLabError)

    assert time.perf_counter() - start < 1
    assert peak_mb() - before < 200


def test_tuples_are_refused_by_their_count():
    message = refusal(*LARGE["tuples"], error=ModelTooLargeError)

    assert "p has 10,000 values, one residual direction each, and the limit is 4,096" in message


def test_huge_models_of_tracr_are_refused_by_the_limits():
    with pytest.raises(ModelTooLargeError, match="the limit is 10"):
        compile(papers.hist(), "ab", 5, reference=True, limits=Limits(d_model=10))
