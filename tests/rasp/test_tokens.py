import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.strategies import any_constant, programs
from tracrlab import TracrLabError
from tracrlab.rasp import Op, Program
from tracrlab.rasp.primitives import MAP, SEQUENCE_MAP, Primitive
from tracrlab.rasp.tokens import END, MAX_OPS, PAD, START, VOCABULARY

#: The vocabulary when zoos began to be written: so many tokens, and their digest.
FIRST_TOKENS = 589
DIGEST = "81387b24c96a8f6bb39a32989eb5deedc4fdbed7ad95941d48de36ddec708c2e"


def ids(*tokens):
    return [VOCABULARY.index(token) for token in tokens]


def chain(length):
    add = Primitive(MAP, "x + c", (1,))
    return Program.of(
        [Op(MAP, (0 if number == 0 else number + 1,), add) for number in range(length)]
    )


@given(programs(max_ops=8))
def test_token_ids_are_read_back(program):
    read = Program.from_tokens(program.tokens())

    assert read == program
    assert read.text() == program.text()


@given(any_constant)
@example(10**40)
@example(-0.0)
@example(1e-320)
@example("")
@example("naïve ✓ \u2028 \ud800")
@example("</spell>")
def test_constants_of_every_kind(constant):
    program = Program.of([Op(MAP, (0,), Primitive(MAP, "x == c", (constant,)))])
    (op,) = Program.from_tokens(program.tokens()).ops

    assert op.function.text == program.ops[0].function.text
    assert type(op.function.constants[0]) is type(constant)


def test_the_form():
    program = Program.from_text("a = SequenceMap(x - y, indices, tokens)\nb = Map(x < 2.5, a)")

    assert [VOCABULARY[number] for number in program.tokens()] == [
        "SequenceMap|x - y|categorical",
        "indices",
        "tokens",
        "Map|x < c|categorical",
        "=2.5",
        "v1",
    ]


def test_uncommon_constants_are_spelled():
    program = Program.from_text('a = Map(x == "é", tokens)')

    spelled = [VOCABULARY[number] for number in program.tokens()[1:-1]]

    assert spelled == ["<spell>", "byte 34", "byte 195", "byte 169", "byte 34", "</spell>"]


def test_start_end_and_padding_are_allowed_around():
    program = chain(3)

    assert Program.from_tokens([START, *program.tokens(), END, PAD, PAD]) == program
    assert Program.from_tokens([START, *program.tokens(), END, 7, 7]) == program


def test_stored_ids_keep_their_meaning():
    """The vocabulary is append-only: what is there now must never move."""
    digest = hashlib.sha256("\0".join(VOCABULARY[:FIRST_TOKENS]).encode()).hexdigest()

    assert len(set(VOCABULARY)) == len(VOCABULARY)
    assert digest == DIGEST


def test_the_longest_program():
    program = chain(MAX_OPS)

    assert Program.from_tokens(program.tokens()) == program
    with pytest.raises(TracrLabError, match="63 ops; token ids exist for at most 62"):
        chain(MAX_OPS + 1).tokens()


def test_a_python_function_has_no_token_ids():
    with pytest.raises(TracrLabError, match="the function of v1 is a Python callable"):
        Program.of([Op(MAP, (0,), lambda x: x)]).tokens()


IS_TRUE = "Map|not x|categorical"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ([], "the program is empty"),
        ([START, END], "the program is empty"),
        ([len(VOCABULARY)], "is outside 0.."),
        ([-1], "token id -1 is outside 0.."),
        (ids("tokens"), "token 'tokens' stands where an op must begin"),
        (ids("=3"), "token '=3' stands where an op must begin"),
        (ids("byte 65"), "token 'byte 65' stands where an op must begin"),
        (ids(IS_TRUE), "the token ids end in the middle of an op"),
        (ids(IS_TRUE, "v2"), "uses an operand that is not computed before it"),
        (ids(IS_TRUE, "=3"), "token '=3' stands where an operand must be"),
        (ids(IS_TRUE, IS_TRUE), "stands where an operand must be"),
        (ids("Map|x < c|numerical", "tokens"), "token 'tokens' stands where a constant must be"),
        (ids("Map|x < c|numerical", "<spell>", "byte 49"), "end in the middle of an op"),
        (ids("Map|x < c|numerical", "<spell>", "tokens"), "stands inside a spelled constant"),
        (ids("Map|x < c|numerical", "<spell>", "byte 255", "</spell>"), "not valid UTF-8"),
        (ids("Map|x < c|numerical", "<spell>", "byte 40", "</spell>"), "is not a constant"),
        (
            ids("Map|x < c|numerical", "<spell>", "byte 40", "byte 41", "</spell>"),
            "cannot be a constant",
        ),
        (ids("SelectorWidth||categorical", "tokens"), "takes a Select as operand 1"),
        (ids("Select|True|", "tokens", "tokens"), "the output of the program is a Select"),
    ],
)
def test_wrong_ids_are_one_sentence(wrong, reason):
    with pytest.raises(TracrLabError, match=reason):
        Program.from_tokens(wrong)


@given(st.lists(st.integers(-2, len(VOCABULARY) + 1), max_size=30))
def test_any_ids_are_a_program_or_an_error(numbers):
    try:
        program = Program.from_tokens(numbers)
    except TracrLabError:
        return
    assert Program.from_tokens(program.tokens()) == program


@given(programs(max_ops=5), st.data())
def test_damaged_ids_are_a_program_or_an_error(program, data):
    numbers = program.tokens()
    place = data.draw(st.integers(0, len(numbers) - 1))
    numbers[place] = data.draw(st.integers(0, len(VOCABULARY) - 1))
    try:
        read = Program.from_tokens(numbers)
    except TracrLabError:
        return
    assert Program.from_tokens(read.tokens()) == read


def test_numpy_ids_are_read():
    np = pytest.importorskip("numpy")
    program = Program.of([Op(SEQUENCE_MAP, (0, 1), Primitive(SEQUENCE_MAP, "x + y"))])

    assert Program.from_tokens(np.array(program.tokens(), dtype=np.int32)) == program
