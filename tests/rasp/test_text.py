import pytest
from hypothesis import given

from tests.strategies import programs
from tracrlab import TracrLabError
from tracrlab.rasp import Op, Program
from tracrlab.rasp.primitives import MAP


@given(programs(max_ops=8))
def test_text_is_read_back(program):
    read = Program.from_text(program.text())

    assert read.ops == program.ops
    assert read.text() == program.text()


@given(programs(max_ops=8))
def test_one_op_a_line(program):
    assert len(program.text().splitlines()) == len(program)


def test_the_form():
    text = "\n".join(
        [
            'is_x = Map(x == "x", tokens) : numerical',
            "prevs = Select(indices, indices, key <= query)",
            "frac_prevs = Aggregate(prevs, is_x) : numerical",
        ]
    )
    program = Program.from_text(text)

    assert program.text(names=True) == text
    assert program.text() == (
        'v1 = Map(x == "x", tokens) : numerical\n'
        "v2 = Select(indices, indices, key <= query)\n"
        "v3 = Aggregate(v2, v1) : numerical"
    )


def test_empty_lines_comments_and_spaces_are_skipped():
    written = """
    # counts the letters a
    is_a   =  Select( tokens ,tokens,   key == "a" )

    count=SelectorWidth( is_a ):categorical
    """

    assert Program.from_text(written).text(names=True) == (
        'is_a = Select(tokens, tokens, key == "a")\ncount = SelectorWidth(is_a)'
    )


@pytest.mark.parametrize("constant", ['","', '") : numerical"', '"# x"', r'"\"), tokens)"', '"="'])
def test_constants_may_hold_what_the_form_is_made_of(constant):
    text = f"v1 = Map(x == {constant}, tokens)\nv2 = Select(v1, v1, key == {constant})"
    text += "\nv3 = Aggregate(v2, v1)"

    assert Program.from_text(text).text() == text


def test_names_of_tracr_are_names_here():
    text = "shift_by(1) = Map(x + 1, tokens)\nopp_idx-1 = Map(x + 2, shift_by(1))"

    assert Program.from_text(text).text(names=True) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the program is empty"),
        ("# nothing", "the program is empty"),
        ("hello", "line 1 of the program: 'hello' is not of the form `name = Op"),
        ("\n\na = ", "line 3 of the program: 'a =' is not of the form"),
        ("a = Map(x, tokens", "is not of the form"),
        ("1a = Map(x, tokens)", "is not of the form"),
        ("a = Sort(tokens)", "unknown op 'Sort'; the ops are Map, SequenceMap"),
        ("tokens = Map(x, tokens)", "the name 'tokens' is taken already"),
        ("a = Map(x, tokens)\na = Map(x, a)", "line 2 of the program: the name 'a' is taken"),
        ("a = Map(x, tokens) : dense", "unknown encoding 'dense'; it is categorical or numerical"),
        ("a = Map(x, b)", "'b' is not computed above; known: tokens, indices"),
        (
            "a = Map(x, tokens)\nb = Map(x, c)",
            "'c' is not computed above; known: tokens, indices, a",
        ),
        ("a = Select(tokens, tokens, True) : numerical", "a Select has no encoding"),
        ("a = Map(x ** 2, tokens)", r"'x \*\* 2' is not a function that Map takes; it takes `x`"),
        ("a = Map(x < nan, tokens)", "'x < nan' is not a function that Map takes"),
        ("a = Map(tokens)", r"Map takes \(function, operand\), not \(tokens\)"),
        ("a = SequenceMap(x + y, tokens)", r"SequenceMap takes \(function, operand, operand\)"),
        (
            "a = LinearSequenceMap(tokens)",
            r"LinearSequenceMap takes \(function, operand, operand\)",
        ),
        ("a = Select(tokens, True)", r"Select takes \(keys, queries, predicate\)"),
        ("a = Aggregate(tokens)", r"Aggregate takes \(selector, operand\)"),
        ("a = SelectorWidth()", r"SelectorWidth takes \(selector\), not \(\)"),
        ("a = SelectorWidth(tokens)", "takes a Select as operand 1"),
        ("a = Select(tokens, tokens, True)", "the output of the program is a Select"),
        ("a = Map(x < 1.2.3, tokens)", "'1.2.3' is not a constant; write a number"),
    ],
)
def test_errors_name_the_line_and_the_mend(text, reason):
    with pytest.raises(TracrLabError, match=reason) as caught:
        Program.from_text(text)

    assert "\n" not in str(caught.value)


def test_a_python_function_has_no_text():
    program = Program.of([Op(MAP, (0,), lambda x: x)])

    with pytest.raises(TracrLabError, match=r"the function of v1 \(Map\) is a Python callable"):
        program.text()
