import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import primitives
from tracrlab import TracrLabError
from tracrlab.rasp.primitives import (
    COMMUTATIVE,
    LINEAR_SEQUENCE_MAP,
    MAP,
    SELECT,
    SEQUENCE_MAP,
    TEMPLATES,
    Primitive,
    constant_count,
    parse_primitive,
)

ALL_TEMPLATES = [(op, template) for op, table in TEMPLATES.items() for template in table]
VARIABLES = {
    MAP: ("x",),
    SEQUENCE_MAP: ("x", "y"),
    LINEAR_SEQUENCE_MAP: ("x", "y"),
    SELECT: ("key", "query"),
}


@pytest.mark.parametrize("op", TEMPLATES)
@given(data=st.data())
def test_text_is_read_back(op, data):
    function = data.draw(primitives(op))

    assert parse_primitive(op, function.text) == function


@pytest.mark.parametrize(("op", "template"), ALL_TEMPLATES)
def test_every_template_reads_back_with_numbers(op, template):
    function = Primitive(op, template, (2, -1.5)[: constant_count(template)])

    read = parse_primitive(op, function.text)

    assert (read.template, read.constants) == (function.template, function.constants)


@pytest.mark.parametrize(("op", "template"), ALL_TEMPLATES)
def test_a_template_says_in_python_what_it_does(op, template):
    function = Primitive(op, template, (2, 3)[: constant_count(template)])
    arguments = [(3, 5, 4)] if "x[0]" in template else [3, 5][: len(VARIABLES[op])]
    written = eval(function.text, {}, dict(zip(VARIABLES[op], arguments, strict=True)))

    assert function(*arguments) == written


def test_tuples_grow():
    append = Primitive(SEQUENCE_MAP, "(x, y)")

    assert append(append(1, 2), 3) == (1, 2, 3)


def test_spaces_do_not_matter_outside_strings():
    assert parse_primitive(MAP, " x  <   3 ") == Primitive(MAP, "x < c", (3,))
    assert parse_primitive(MAP, 'x == "a  b"').constants == ("a  b",)


def test_a_selector_never_sees_none():
    with pytest.raises(ValueError, match="None"):
        Primitive(SELECT, "True")(None, 1)


@pytest.mark.parametrize("template", sorted(COMMUTATIVE))
def test_commutative_functions_commute(template):
    function = Primitive(SEQUENCE_MAP, template)

    for x, y in [(1, 2), (2.5, -1), (True, 0)]:
        assert function(x, y) == function(y, x)


@pytest.mark.parametrize("op", TEMPLATES)
def test_an_unknown_function_names_the_known_ones(op):
    with pytest.raises(TracrLabError) as caught:
        parse_primitive(op, "x @ y")

    message = str(caught.value)
    assert "'x @ y'" in message
    assert f"is not a function that {op} takes" in message
    assert all(f"`{template}`" in message for template in TEMPLATES[op])
    assert message.count("\n") == 0


def test_unknown_template():
    with pytest.raises(TracrLabError, match="'x @ c' is not a function that Map takes"):
        Primitive(MAP, "x @ c", (1,))


def test_constant_count_is_checked():
    with pytest.raises(TracrLabError, match="'x < c' takes 1 constants, not 2"):
        Primitive(MAP, "x < c", (1, 2))


@pytest.mark.parametrize("constant", [float("inf"), float("nan"), None, (1, 2), [1]])
def test_constants_are_finite_numbers_and_strings(constant):
    with pytest.raises(TracrLabError, match="cannot be a constant"):
        Primitive(MAP, "x == c", (constant,))
