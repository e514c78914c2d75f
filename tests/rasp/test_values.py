import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.strategies import any_constant
from tracrlab import TracrLabError
from tracrlab.rasp.values import distinct, is_number, literal, parse_literal, sort_key

values = st.recursive(any_constant, lambda inner: st.lists(inner, max_size=3).map(tuple))


@given(values)
def test_a_literal_is_read_back_as_the_same_value(value):
    read = parse_literal(literal(value))

    assert read == value
    assert literal(read) == literal(value)


@given(st.text())
@example("\u2028\u2029\x85\x1c\r\n")
def test_a_string_is_one_line_of_text(text):
    assert len(literal(text).splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (-0.5, "-0.5"),
        (True, "True"),
        ("a", '"a"'),
        ('say "é"\n', r'"say \"é\"\n"'),
        ("line\u2028paragraph\x85", r'"line\u2028paragraph\u0085"'),
        ("half a pair \ud800", r'"half a pair \ud800"'),
        ((1, "a"), '(1, "a")'),
        ((1,), "(1,)"),
        ((), "()"),
    ],
)
def test_literals(value, text):
    assert literal(value) == text
    assert parse_literal(text) == value


@pytest.mark.parametrize(
    "text", ["", "x", "None", "nan", "1e999", "[1]", "'a", '"a', "1 +", "__import__('os')", "{}"]
)
def test_anything_else_is_not_a_constant(text):
    with pytest.raises(TracrLabError, match="is not a constant; write a number"):
        parse_literal(text)


def test_numbers_come_before_strings_and_those_before_tuples():
    assert distinct([(1, "a"), "b", 2, "a", 1.5, -1, (0,)]) == (
        -1,
        1.5,
        2,
        "a",
        "b",
        (0,),
        (1, "a"),
    )


def test_equal_numbers_are_one_value():
    assert distinct([1, True, 1.0, 0.5]) == (0.5, 1)
    assert distinct([True, False]) == (False, True)
    mixed = distinct([True, 2])
    assert [type(value) for value in mixed] == [int, int]


@given(st.lists(values))
def test_distinct_values_are_in_order_and_all_there(many):
    result = distinct(many)

    assert set(result) == set(many)
    assert len(set(result)) == len(result)
    keys = [sort_key(value) for value in result]
    assert keys == sorted(keys)


def test_what_counts_as_a_number():
    assert all(is_number(value) for value in (0, -1.5, True))
    assert not any(is_number(value) for value in ("1", None, (1,), float("inf"), float("nan")))
