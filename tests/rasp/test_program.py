import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import op_lists, programs
from tracrlab import TracrLabError
from tracrlab.rasp import Op, Program
from tracrlab.rasp.primitives import LINEAR_SEQUENCE_MAP, MAP, SELECT, SEQUENCE_MAP, Primitive
from tracrlab.rasp.program import (
    AGGREGATE,
    CATEGORICAL,
    FIRST_OP,
    NUMERICAL,
    SELECTOR_WIDTH,
    depths,
)


def in_another_order(ops, rng):
    """The same graph: ops in a random topological order."""
    order = []
    while len(order) < len(ops) - 1:
        ready = [
            number
            for number, op in enumerate(ops[:-1])
            if number not in order
            and all(ref < FIRST_OP or ref - FIRST_OP in order for ref in op.operands)
        ]
        order.append(rng.choice(ready))
    order.append(len(ops) - 1)
    new_ref = {0: 0, 1: 1} | {old + FIRST_OP: new + FIRST_OP for new, old in enumerate(order)}
    return [
        ops[old]._replace(operands=tuple(new_ref[ref] for ref in ops[old].operands))
        for old in order
    ]


@given(op_lists(max_ops=9), st.integers(0, 2**32))
def test_the_order_of_writing_does_not_matter(ops, seed):
    program = Program.of(ops)
    other = Program.of(in_another_order(ops, random.Random(seed)))

    assert other.text() == program.text()
    assert other == program
    assert hash(other) == hash(program)


@given(programs(max_ops=9))
def test_canonical_form_is_a_fixed_point(program):
    assert Program.of(program.ops).ops == program.ops


@given(programs(max_ops=9))
def test_ops_are_ordered_by_depth_and_all_used_once(program):
    depth = depths(program.ops)

    assert depth == sorted(depth)
    assert len(set(program.ops)) == len(program.ops)
    used = {ref for op in program.ops for ref in op.operands}
    assert {number + FIRST_OP for number in range(len(program.ops) - 1)} <= used


@given(op_lists(max_ops=5))
def test_a_graph_written_twice_is_merged(ops):
    count = len(ops)
    again = [
        op._replace(operands=tuple(r if r < FIRST_OP else r + count for r in op.operands))
        for op in ops
    ]
    join = Primitive(SEQUENCE_MAP, "x + y")
    last = count + 1
    joined = Op(SEQUENCE_MAP, (last, last + count), join)

    program = Program.of([*ops, *again, joined])

    assert program.ops[:-1] == Program.of(ops).ops
    assert program.output.operands == (program.output.operands[0],) * 2


def test_equal_sub_graphs_are_one_op():
    program = Program.from_text(
        """
        a = Map(x + 1, tokens)
        b = Map(x + 1, tokens)
        c = SequenceMap(x * y, a, b)
        """
    )

    assert program.text() == "v1 = Map(x + 1, tokens)\nv2 = SequenceMap(x * y, v1, v1)"


def test_the_encoding_tells_ops_apart():
    program = Program.from_text(
        """
        a = Map(x, tokens)
        b = Map(x, tokens) : numerical
        c = Map(x, b)
        d = SequenceMap(x * y, a, c)
        """
    )

    assert len(program) == 4


def test_what_the_output_does_not_need_is_left_out():
    program = Program.from_text(
        """
        unused = Map(x + 1, tokens)
        a = Map(x + 2, tokens)
        unused_too = Map(x + 3, a)
        b = Map(x + 4, a)
        """
    )

    assert program.names == ("a", "b")


@pytest.mark.parametrize("function", ["x * y", "x == y", "x != y", "min(x, y)", "max(x, y)"])
def test_operands_of_commutative_functions_are_ordered(function):
    written = Program.from_text(f"a = SequenceMap({function}, indices, tokens)")

    assert written == Program.from_text(f"a = SequenceMap({function}, tokens, indices)")


@pytest.mark.parametrize("function", ["x + y", "x - y", "x / y", "x < y", "x or y", "x and y"])
def test_operands_of_all_other_functions_stay(function):
    text = f"v1 = SequenceMap({function}, indices, tokens)"

    assert Program.from_text(text).text() == text
    assert Program.from_text(text) != Program.from_text(
        f"v1 = SequenceMap({function}, tokens, indices)"
    )


def test_operands_of_a_select_stay():
    assert Program.from_text(
        "s = Select(indices, tokens, key == query)\nw = SelectorWidth(s)"
    ) != Program.from_text("s = Select(tokens, indices, key == query)\nw = SelectorWidth(s)")


def test_factors_move_with_the_operands_of_a_linear_map():
    def difference(first, second, a, b):
        return Program.from_text(
            f"""
            p = Map(x + 1, tokens) : numerical
            q = Map(x + 2, tokens) : numerical
            d = LinearSequenceMap({a} * x + {b} * y, {first}, {second}) : numerical
            """
        )

    assert difference("p", "q", 1, -1) == difference("q", "p", -1, 1)
    assert difference("p", "q", 1, -1) != difference("q", "p", 1, -1)


def test_opaque_functions_are_told_apart_by_identity():
    def double(x):
        return 2 * x

    def triple(x):
        return 3 * x

    ops = [Op(MAP, (0,), double), Op(MAP, (0,), triple), Op(MAP, (0,), double)]
    add = Primitive(SEQUENCE_MAP, "x + y")

    program = Program.of([*ops, Op(SEQUENCE_MAP, (2, 3), add), Op(SEQUENCE_MAP, (4, 5), add)])

    assert len(program) == 4
    assert program != Program.of([Op(MAP, (0,), triple)])


def test_names_are_kept_and_made_distinct():
    ops = [
        Op(MAP, (0,), Primitive(MAP, "x + c", (1,))),
        Op(MAP, (2,), Primitive(MAP, "x + c", (1,))),
        Op(MAP, (3,), Primitive(MAP, "x + c", (1,))),
        Op(MAP, (4,), Primitive(MAP, "x + c", (1,))),
    ]

    assert Program.of(ops, ["step", "step", "tokens", None]).names == (
        "step",
        "step_2",
        "tokens_2",
        "v4",
    )


def test_names_are_not_part_of_a_program():
    ops = [Op(MAP, (0,), Primitive(MAP, "not x"))]

    assert Program.of(ops, ["a"]) == Program.of(ops, ["b"])
    assert Program.of(ops, ["a"]).text() == Program.of(ops, ["b"]).text()


@given(st.lists(st.text(), min_size=2, max_size=2))
def test_any_name_can_be_written_and_read(names):
    ops = [
        Op(MAP, (0,), Primitive(MAP, "x + c", (1,))),
        Op(MAP, (2,), Primitive(MAP, "x + c", (1,))),
    ]
    program = Program.of(ops, names)

    assert Program.from_text(program.text(names=True)).names == program.names


def test_a_program_prints_its_names():
    text = 'is_a = Map(x == "a", tokens)'

    assert str(Program.from_text(text)) == text


SELECTOR = Op(SELECT, (0, 0), Primitive(SELECT, "True"), None)


@pytest.mark.parametrize(
    ("ops", "reason"),
    [
        ([], "the program is empty; it needs at least one op"),
        ([SELECTOR], "the output of the program is a Select; it must be a sequence"),
        ([Op("Sort", (0,))], r"op 1 \(Sort\) is not a RASP op; the ops are Map"),
        ([Op(MAP, (0, 1), Primitive(MAP, "x"))], r"op 1 \(Map\) takes 1 operands, not 2"),
        ([Op(MAP, (2,), Primitive(MAP, "x"))], "uses an operand that is not computed before it"),
        ([Op(MAP, (-1,), Primitive(MAP, "x"))], "uses an operand that is not computed before it"),
        ([Op(SELECTOR_WIDTH, (0,))], "takes a Select as operand 1"),
        ([SELECTOR, Op(AGGREGATE, (2, 2))], "takes a sequence, not a Select as operand 2"),
        ([SELECTOR, Op(MAP, (2,), Primitive(MAP, "x"))], "takes a sequence, not a Select"),
        ([Op(MAP, (0,))], "has the wrong number of functions"),
        (
            [SELECTOR, Op(SELECTOR_WIDTH, (2,), Primitive(MAP, "x"))],
            "has the wrong number of functions",
        ),
        ([Op(MAP, (0,), Primitive(SELECT, "True"))], "cannot take the Select function True"),
        ([Op(MAP, (0,), Primitive(MAP, "x"), None)], "has encoding None"),
        ([Op(MAP, (0,), Primitive(MAP, "x"), "one-hot")], "has encoding 'one-hot'"),
        (
            [SELECTOR._replace(encoding=CATEGORICAL), Op(SELECTOR_WIDTH, (2,))],
            "has encoding 'categorical'",
        ),
    ],
)
def test_malformed_programs_are_refused(ops, reason):
    with pytest.raises(TracrLabError, match=reason):
        Program.of(ops)


def test_encodings_and_labels_by_operand_number():
    program = Program.from_text(
        """
        p = Map(x + 1, tokens) : numerical
        q = LinearSequenceMap(1 * x + 2 * y, p, p) : numerical
        """
    )

    assert [program.label(ref) for ref in range(4)] == ["tokens", "indices", "p", "q"]
    assert [program.encoding(ref) for ref in range(4)] == [
        CATEGORICAL,
        CATEGORICAL,
        NUMERICAL,
        NUMERICAL,
    ]
    assert program.output.kind == LINEAR_SEQUENCE_MAP
