"""Hypothesis strategies for values, primitives and programs, shared by all tests."""

from hypothesis import strategies as st

from tracrlab.rasp import Op, Program
from tracrlab.rasp.primitives import (
    LINEAR_SEQUENCE_MAP,
    MAP,
    SELECT,
    SEQUENCE_MAP,
    TEMPLATES,
    Primitive,
    constant_count,
)
from tracrlab.rasp.program import (
    AGGREGATE,
    CATEGORICAL,
    FIRST_OP,
    INDICES,
    NUMERICAL,
    SELECTOR_WIDTH,
    TOKENS,
)

NUMBERS = (0, 1, 2)
LETTERS = ("a", "b", "c")

#: Every constant that a program may hold.
any_constant = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(),
)
#: Constants with which programs over NUMBERS have something to say.
small_number = st.sampled_from((0, 1, 2, 3, -1, 0.5, 1.5))
letter = st.sampled_from(LETTERS)

#: Templates whose results stay of the kind of their operands: numbers (and bools) or strings.
_TUPLES = {"(x, y)", "x[0] + x[1] - x[2]", "x[0] * x[1] / x[2]"}
_PLAIN = {op: [t for t in table if t not in _TUPLES] for op, table in TEMPLATES.items()}


@st.composite
def primitives(draw, op, constants=any_constant, templates=TEMPLATES):
    """A function that `op` takes."""
    template = draw(st.sampled_from(list(templates[op])))
    return Primitive(op, template, tuple(draw(constants) for _ in range(constant_count(template))))


@st.composite
def op_lists(draw, constants=any_constant, max_ops=6, templates=TEMPLATES):
    """Ops whose kinds and encodings fit, operands before their users, the output last."""
    ops: list[Op] = []
    by_encoding = {CATEGORICAL: [TOKENS, INDICES], NUMERICAL: [], None: []}

    def operand(*encodings):
        refs = sorted((ref for e in encodings for ref in by_encoding[e]), reverse=True)
        return draw(st.sampled_from(refs))

    def add(op):
        by_encoding[op.encoding].append(len(ops) + FIRST_OP)
        ops.append(op)

    wanted = draw(st.integers(1, max_ops))
    while len(ops) < wanted:
        kinds = [MAP, SEQUENCE_MAP, SELECT]
        kinds += [LINEAR_SEQUENCE_MAP] if by_encoding[NUMERICAL] else []
        kinds += [AGGREGATE, SELECTOR_WIDTH] if by_encoding[None] else []
        kind = draw(st.sampled_from(kinds))
        encoding = draw(st.sampled_from((CATEGORICAL, NUMERICAL)))
        if kind == AGGREGATE:
            selector, value = operand(None), operand(CATEGORICAL, NUMERICAL)
            encoding = CATEGORICAL if value in by_encoding[CATEGORICAL] else NUMERICAL
            add(Op(AGGREGATE, (selector, value), None, encoding))
            continue
        if kind == SELECTOR_WIDTH:
            add(Op(SELECTOR_WIDTH, (operand(None),), None, encoding))
            continue
        function = draw(primitives(kind, constants, templates))
        if kind == MAP:
            add(Op(MAP, (operand(CATEGORICAL, NUMERICAL),), function, encoding))
        elif kind == LINEAR_SEQUENCE_MAP:
            operands = (operand(NUMERICAL), operand(NUMERICAL))
            add(Op(LINEAR_SEQUENCE_MAP, operands, function, NUMERICAL))
        else:
            operands = (operand(CATEGORICAL), operand(CATEGORICAL))
            add(Op(kind, operands, function, None if kind == SELECT else CATEGORICAL))
    if ops[-1].is_selector:
        add(Op(SELECTOR_WIDTH, (len(ops) - 1 + FIRST_OP,), None, CATEGORICAL))
    return ops


def programs(constants=any_constant, max_ops=6, templates=TEMPLATES):
    """Well-typed programs; with odd constants most of them are undefined on any domain."""
    return op_lists(constants, max_ops, templates).map(Program.of)


def number_programs(max_ops=6):
    """Programs for a vocabulary of numbers, many of them defined everywhere."""
    return programs(small_number, max_ops, _PLAIN)


def letter_programs(max_ops=5):
    """Programs for a vocabulary of strings; arithmetic makes many of them undefined."""
    return programs(st.one_of(letter, st.sampled_from((0, 1))), max_ops)
