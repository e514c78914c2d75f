import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracr.rasp import causal_eval, rasp

from tests.strategies import LETTERS, NUMBERS, letter_programs, number_programs
from tracrlab.rasp import Domain, Op, Program, UndefinedProgramError, evaluate
from tracrlab.rasp.primitives import MAP
from tracrlab.rasp.program import FIRST_OP
from tracrlab.rasp.tables import SelectorTable


def mean_of_equal_values(values, default):
    """Tracr's mean, and what Tracr refuses: several equal values that are not numbers."""
    if values and all(value == values[0] and value is not None for value in values):
        return values[0]
    return tracr_mean(values, default)


tracr_mean = rasp._mean


def tracr_outputs(program, domain):
    """What Tracr's evaluator says of every op on every input, or None where it fails on one."""
    evaluator = causal_eval.CausalEvaluator() if domain.causal else rasp.DefaultRASPEvaluator()
    expressions = {}
    stack = [program.to_tracr()]
    while stack:
        expression = stack.pop()
        expressions[expression.name] = expression
        stack.extend(expression.children)
    outputs = []
    with mock.patch.object(rasp, "_mean", mean_of_equal_values):
        for number in range(len(domain.codes)):
            word = domain.input(number)
            try:
                outputs.append([evaluator.evaluate(expressions[n], word) for n in program.names])
            except Exception:
                return None
    return outputs


def close(one, other):
    if one is None or other is None or isinstance(one, str) or isinstance(other, str):
        return one == other
    if isinstance(one, tuple) or isinstance(other, tuple):
        return len(one) == len(other) and all(map(close, one, other))
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def assert_like_tracr(program, domain):
    expected = tracr_outputs(program, domain)
    if expected is None:
        with pytest.raises(UndefinedProgramError, match="is undefined on the input"):
            evaluate(program, domain)
        return
    table = evaluate(program, domain)
    for number, outputs in enumerate(expected):
        length = domain.lengths[number]
        for entry, output in zip(table.tables[FIRST_OP:], outputs, strict=True):
            if isinstance(entry, SelectorTable):
                matrix = entry.matrix[:, :, number]
                assert matrix[:length, :length].T.tolist() == output
                assert not matrix[length:].any()
                assert not matrix[:, length:].any()
            else:
                decoded = entry.decoded(domain, number)
                assert all(map(close, decoded, output)), (program.text(), decoded, output)


@pytest.mark.parametrize("causal", [False, True])
@given(program=number_programs(max_ops=7))
@settings(max_examples=150)
def test_numbers_like_tracr(causal, program):
    assert_like_tracr(program, Domain(NUMBERS, 3, causal))


@pytest.mark.parametrize("causal", [False, True])
@given(program=letter_programs())
@settings(max_examples=60)
def test_strings_like_tracr(causal, program):
    assert_like_tracr(program, Domain(LETTERS, 3, causal))


@given(program=number_programs(max_ops=7))
def test_tables_describe_themselves(program):
    domain = Domain(NUMBERS, 3)
    try:
        table = evaluate(program, domain)
    except UndefinedProgramError:
        return
    for op, entry in zip(program.ops, table.tables[FIRST_OP:], strict=True):
        if isinstance(entry, SelectorTable):
            continue
        reached = set(entry.codes[domain.mask].tolist())
        none = len(entry.values)
        assert set(range(none)) <= reached <= set(range(none + 1))
        assert entry.nones == np.count_nonzero(entry.codes[domain.mask] == none)
        assert (entry.codes[~domain.mask] == none).all()
        if entry.mapping is None:
            continue
        columns = [(*table.tables[ref].values, None) for ref in op.operands]
        for codes in np.ndindex(entry.mapping.shape):
            if entry.mapping[codes] >= 0:
                result = op.function(*(column[i] for column, i in zip(columns, codes, strict=True)))
                assert result == (*entry.values, None)[entry.mapping[codes]]


def table_of(text, vocab=(0, 1, 2), max_seq_len=3, causal=False):
    return evaluate(Program.from_text(text), Domain(vocab, max_seq_len, causal))


def outputs_on(table, *word):
    (number,) = (i for i in range(len(table.domain.codes)) if table.domain.input(i) == list(word))
    return table.output.decoded(table.domain, number)


def test_several_selected_numbers_are_averaged():
    table = table_of("all = Select(tokens, tokens, True)\nmean = Aggregate(all, tokens)")

    assert outputs_on(table, 0, 1, 1) == [2 / 3] * 3
    assert table.output.averages


def test_several_equal_values_are_that_value():
    text = "same = Select(tokens, tokens, key == query)\nmoved = Aggregate(same, tokens)"
    table = table_of(text, vocab=("a", "b"))

    assert outputs_on(table, "a", "b", "a") == ["a", "b", "a"]
    assert not table.output.averages


@pytest.mark.parametrize(("suffix", "default"), [("", None), (" : numerical", 0)])
def test_where_nothing_is_selected_the_default_is_given(suffix, default):
    table = table_of(
        f"""
        number = Map(x, tokens){suffix}
        before = Select(indices, indices, query == key + 1)
        shifted = Aggregate(before, number){suffix}
        """
    )

    assert outputs_on(table, 2, 1, 2) == [default, 2, 1]


def test_none_goes_through_maps():
    text = """
        before = Select(indices, indices, query == key + 1)
        shifted = Aggregate(before, tokens)
        larger = Map(x + 1, shifted)
        sum = SequenceMap(x + y, larger, tokens)
        """

    assert outputs_on(table_of(text), 2, 1, 2) == [None, 4, 4]


def test_a_selected_none_is_none():
    text = """
        before = Select(indices, indices, query == key + 1)
        shifted = Aggregate(before, tokens)
        shifted_twice = Aggregate(before, shifted)
        """

    assert outputs_on(table_of(text), 2, 1, 2) == [None, None, 2]


def test_a_causal_position_sees_what_is_before_it():
    text = "all = Select(tokens, tokens, True)\nwidth = SelectorWidth(all)"

    assert outputs_on(table_of(text, causal=True), 2, 1, 2) == [1, 2, 3]
    assert outputs_on(table_of(text, causal=False), 2, 1, 2) == [3, 3, 3]


SHIFTED = """
before = Select(indices, indices, query == key + 1)
shifted = Aggregate(before, tokens)
"""


@pytest.mark.parametrize(
    ("text", "vocab", "reason"),
    [
        (
            "half = Map(1 / x, tokens)",
            (0, 1),
            r"half \(Map\) is undefined on the input \[0\]: its function fails on \(0\) with "
            "division by zero; restrict the inputs or change the op",
        ),
        (
            "ratio = SequenceMap(x / y, tokens, indices)",
            (1, 2),
            r"ratio \(SequenceMap\) is undefined on the input \[1\]: .* fails on \(1, 0\)",
        ),
        (
            "s = Select(tokens, indices, key < query)\nw = SelectorWidth(s)",
            ("a", "b"),
            r"s \(Select\) is undefined on the input \['a'\]: its predicate cannot compare",
        ),
        (
            "s = Select(tokens, tokens, True)\nmean = Aggregate(s, tokens)",
            ("a", "b"),
            r"on the input \['a', 'b'\]: values that are not numbers would be averaged",
        ),
        (
            SHIFTED + "all = Select(indices, indices, True)\nmean = Aggregate(all, shifted)",
            (0, 1),
            r"mean \(Aggregate\) is undefined on the input \[0, 0\]: None would be averaged",
        ),
        (
            SHIFTED + "s = Select(shifted, shifted, key == query)\nw = SelectorWidth(s)",
            (0, 1),
            r"s \(Select\) is undefined on the input \[0\]",
        ),
        (
            'joined = Map(x + "a", tokens)',
            (0, 1),
            r"joined \(Map\) is undefined on the input \[0\]: its function fails on \(0\)",
        ),
    ],
)
def test_undefined_programs_say_where_and_why(text, vocab, reason):
    with pytest.raises(UndefinedProgramError, match=reason):
        table_of(text, vocab)


@pytest.mark.parametrize("result", [float("inf"), float("nan"), [1], 1j])
def test_functions_must_give_values(result):
    program = Program.of([Op(MAP, (0,), lambda x: result)])

    with pytest.raises(UndefinedProgramError, match="its function gives"):
        evaluate(program, Domain(("a",), 1))


def test_a_function_may_give_none():
    program = Program.of([Op(MAP, (0,), lambda x: x if x == "a" else None)])

    assert outputs_on(evaluate(program, Domain(("a", "b"), 2)), "a", "b") == ["a", None]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = Map(x < 2, tokens)", "a = Map(x <= 1, tokens)"),
        ("a = Map(x + 1, tokens)", "b = Map(x + 2, tokens)\na = Map(x - 1, b)"),
        ("a = Map(x == 1, tokens)", "b = Map(x == 1, tokens)\na = Map(x * 1, b)"),
        ("a = Map(x * 2, tokens)", "a = Map(x * 2.0, tokens)"),
        ("a = Map(x * -1, tokens)", "a = Map(x * -1.0, tokens)"),
        ("a = Map(x + 1, tokens)", "a = Map(x + 1, tokens) : numerical"),
        (
            "a = SequenceMap((x, y), tokens, tokens)",
            "b = Map(x * 1.0, tokens)\na = SequenceMap((x, y), b, b)",
        ),
        ("a = Map(x / 3, tokens)", "b = Map(x * 0.1, tokens)\na = Map(x / 0.3, b)"),
    ],
)
def test_equal_functions_have_equal_behaviour(one, other):
    assert table_of(one).behaviour == table_of(other).behaviour


@given(number_programs(max_ops=2), number_programs(max_ops=2))
@settings(max_examples=200)
def test_behaviour_is_equal_exactly_where_all_outputs_are(one, other):
    domain = Domain(NUMBERS, 2)
    try:
        tables = [evaluate(program, domain) for program in (one, other)]
    except UndefinedProgramError:
        return
    outputs = [
        [table.output.decoded(domain, number) for number in range(len(domain.codes))]
        for table in tables
    ]
    same = all(
        close(a, b) for x, y in zip(*outputs, strict=True) for a, b in zip(x, y, strict=True)
    )

    assert (tables[0].behaviour == tables[1].behaviour) == same


@given(st.data())
@settings(max_examples=50)
def test_behaviour_does_not_depend_on_the_order_of_the_vocabulary(data):
    program = data.draw(number_programs(max_ops=3))
    vocab = data.draw(st.permutations(NUMBERS))
    try:
        table = evaluate(program, Domain(NUMBERS, 2))
    except UndefinedProgramError:
        return
    assert evaluate(program, Domain(tuple(vocab), 2)).behaviour == table.behaviour


def test_behaviour_belongs_to_a_domain():
    text = "a = Map(x + 1, tokens)"
    hashes = {
        table_of(text).behaviour,
        table_of(text, vocab=(0, 1)).behaviour,
        table_of(text, max_seq_len=2).behaviour,
        table_of(text, causal=True).behaviour,
    }

    assert len(hashes) == 4
    assert {len(digest) for digest in hashes} == {32}
