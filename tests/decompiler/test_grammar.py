from itertools import product

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.strategies import letter_programs, number_programs
from tracrlab import TracrLabError
from tracrlab.compiler.compiling import _unsupported_encoding
from tracrlab.decompiler.constant_bytes import byte_automaton
from tracrlab.decompiler.grammar import Grammar
from tracrlab.decompiler.program_encoding import (
    left_out,
    line_form,
    pad_programs,
    program_of_lines,
    unpad_programs,
)
from tracrlab.decompiler.token_tables import ID, IS_OP
from tracrlab.rasp import Domain, Program, UndefinedProgramError, evaluate
from tracrlab.rasp.library import LIBRARY
from tracrlab.rasp.sampler import SamplerSettings, sample
from tracrlab.rasp.tokens import END, PAD
from tracrlab.rasp.values import parse_literal

EVERYTHING = Grammar(20, spelled="all")


def ids(*names):
    return [ID[name] for name in names]


def accepts(automaton, text):
    """Whether an automaton takes a text, byte by byte."""
    state = 0
    for length, byte in enumerate(text.encode()):
        if not automaton.allowed(np.array([state]), np.array([length]))[0, byte]:
            return False
        state = automaton.next[state, byte]
    return bool(automaton.accepting[state])


@pytest.mark.parametrize("name", ["default", "thesis"])
def test_every_token_of_sampled_programs_is_allowed(name):
    settings = SamplerSettings((0, 1, 2, 3), 4, min_ops=1, max_ops=8, preset=name)
    grammar = Grammar.of_preset(name, 8)

    for index in range(150):
        program = sample(settings, 3, index).program
        assert not grammar.refusal(program.tokens())
        # Length is a limit of its own: a program of all the ops that are allowed still fits.
        assert not Grammar.of_preset(name, len(program)).refusal(program.tokens()) or index > 15


@pytest.mark.parametrize("entry", LIBRARY.values(), ids=lambda entry: entry.name)
def test_library_programs_are_allowed(entry):
    assert not Grammar(max(len(entry.program), 1), spelled="all").refusal(entry.program.tokens())


@given(st.one_of(number_programs(max_ops=8), letter_programs(max_ops=8)))
def test_programs_that_have_weights_are_allowed(program):
    assume(not any(_unsupported_encoding(program, n) for n in range(len(program))))
    for op in program.ops:  # factors and divisors are numbers
        if op.kind == "LinearSequenceMap" or (op.function and op.function.template == "x + y / c"):
            assume(not any(isinstance(constant, str) for constant in op.function.constants))

    assert not EVERYTHING.refusal(program.tokens())


def check_walks(walks, max_ops):
    for walk in walks:
        program = Program.from_tokens(walk)
        count = sum(IS_OP[walk])
        assert len(program) <= count <= max_ops  # equal ops are merged
        assert not set(ids(*(f"v{n + 1}" for n in range(count - 1)))) - set(walk)  # all are used
        assert not any(_unsupported_encoding(program, n) for n in range(len(program)))
        assert Program.from_text(program.text()) == program


def test_walks_with_every_op_end_in_valid_programs():
    walks = Grammar(9, spelled="all").walk(1500, np.random.default_rng(0))
    domain = Domain((0, 1, 2), 3)

    check_walks(walks, 9)
    for walk in walks[:200]:
        try:
            evaluate(Program.from_tokens(walk), domain)
        except UndefinedProgramError:  # a function that does not take such values
            continue


def test_walks_with_the_samplers_ops_can_be_evaluated():
    walks = Grammar.of_preset("default", 5).walk(400, np.random.default_rng(1))
    domain = Domain((0, 1, 2), 3)

    check_walks(walks, 5)
    refusals = []
    for walk in walks:
        try:
            assert evaluate(Program.from_tokens(walk), domain).output.numeric
        except UndefinedProgramError as error:
            refusals.append(str(error))
    assert all("None would be averaged" in refusal for refusal in refusals)
    assert len(refusals) < 0.05 * len(walks)


def test_the_mask_is_exact():
    """All programs of up to three ops over a few ops, by trying every sequence of them."""
    ops = ids(
        "Map|not x|numerical",
        "LinearSequenceMap|a * x + b * y|numerical",
        "Select|key == query|",
        "Aggregate||numerical",
        "SelectorWidth||categorical",
        "SequenceMap|x * y|categorical",
    )
    one = ID["=1"]
    by_hand = set()
    lines = []
    for number in range(3):
        refs = ids("tokens", "indices", "v1", "v2")[: 2 + number]
        of_op = [(op, *([one, one] if op == ops[1] else [])) for op in ops]
        arity = [1, 2, 2, 2, 1, 2]
        lines.append(
            [
                head + r
                for head, n in zip(of_op, arity, strict=True)
                for r in product(refs, repeat=n)
            ]
        )
    for count in (1, 2, 3):
        for chosen in product(*lines[:count]):
            tokens = tuple(token for line in chosen for token in line)
            try:
                program = Program.from_tokens(tokens)
            except TracrLabError:
                continue
            unsupported = any(_unsupported_encoding(program, n) for n in range(len(program)))
            # Two equal ops are merged, which the mask does not know of.
            unused = set(ids(*(f"v{n + 1}" for n in range(count - 1)))) - set(tokens)
            if not unsupported and not unused:
                by_hand.add(tokens)

    grammar = Grammar(3, ops=ops, constants=[one], spelled="none")
    found, prefixes = set(), [((), grammar.start(1))]
    while prefixes:
        tokens, state = prefixes.pop()
        allowed = np.flatnonzero(grammar.mask(state)[0])
        assert len(allowed), tokens  # no prefix is a dead end
        for token in allowed.tolist():
            if token == END:
                found.add(tokens)
                continue
            after = state.take(np.array([0]))
            grammar.advance(after, np.array([token]))
            prefixes.append(((*tokens, token), after))

    assert found == by_hand
    assert len(found) > 300


def test_states_of_a_batch_are_independent():
    grammar = Grammar.of_preset("default", 6)
    walks = grammar.walk(40, np.random.default_rng(2))
    padded = pad_programs(walks)[:, 1:]
    state = grammar.start(len(walks))
    order = np.arange(len(walks))
    rng = np.random.default_rng(3)
    for step in range(padded.shape[1]):
        shuffle = rng.permutation(len(walks))
        order, state = order[shuffle], state.take(shuffle)
        mask = grammar.mask(state)
        assert mask[np.arange(len(order)), padded[order, step]].all()
        grammar.advance(state, padded[order, step])

    assert state.done.all()
    assert grammar.mask(state).sum() == len(walks)
    assert grammar.mask(state)[:, PAD].all()


@given(st.one_of(st.integers(-(10**40), 10**40), st.floats(-1e90, 1e90), st.text(max_size=8)))
@example("naïve ✓ \u2028 \ud800")
@example(-0.0)
@example(1e-320)
@example('"\\')
def test_constants_can_be_spelled(constant):
    program = Program.from_text("a = Map(x == 1, tokens)")
    (op,) = program.ops
    program = Program.of([op._replace(function=type(op.function)("Map", "x == c", (constant,)))])

    assert not EVERYTHING.refusal(program.tokens())


@pytest.mark.parametrize("strings", [False, True])
def test_what_is_spelled_is_a_constant(strings):
    automaton = byte_automaton(strings)
    rng = np.random.default_rng(4)
    for _ in range(2000):
        state, spelled = 0, b""
        while not (automaton.accepting[state] and rng.random() < 0.3):
            allowed = automaton.allowed(np.array([state]), np.array([len(spelled)]))[0]
            if not allowed.any():
                assert automaton.accepting[state]
                break
            byte = int(rng.choice(np.flatnonzero(allowed)))
            spelled, state = spelled + bytes([byte]), automaton.next[state, byte]
        value = parse_literal(spelled.decode())
        assert isinstance(value, int | float) or strings


@pytest.mark.parametrize("text", ["", "-", "01", "1.", ".5", "1e", "1e+999", '"a', '"\\x"', "nan"])
def test_what_is_no_constant_is_not_spelled(text):
    assert not accepts(byte_automaton(True), text)


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["tokens"], 1),
        (["Map|not x|categorical", "v1"], 2),
        (["Map|x < c|categorical", "tokens"], 2),
        (["SelectorWidth||categorical"], 1),
        (["SequenceMap|x + y|numerical"], 1),
        (["Select|True|", "tokens", "tokens"], 4),
        (["Map|not x|categorical", "tokens", "Map|not x|numerical", "tokens"], 4),
        (["Map|not x|categorical", "tokens"] * 3, 5),
    ],
)
def test_what_is_refused(names, place):
    """The last: with two ops left over, the last op of three has to take the first two."""
    grammar = Grammar(2 if len(names) == 4 else 3)

    assert grammar.refusal(ids(*names)).startswith(f"token {place} (")


def test_wrong_settings_are_one_sentence():
    with pytest.raises(TracrLabError, match="1 to 62 ops; max_ops is 63"):
        Grammar(63)
    with pytest.raises(TracrLabError, match="spelled is none, numbers or all, not 'some'"):
        Grammar(3, spelled="some")
    with pytest.raises(TracrLabError, match="no program of at most 3 ops"):
        Grammar(3, ops=ids("Select|True|"))


@pytest.mark.slow
def test_round_trips_over_a_million_tokens():
    """Token ids, padded batches and five-slot lines of programs walked through the mask."""
    rng = np.random.default_rng(5)
    count = 0
    grammar = Grammar(15)
    while count < 1_000_000:
        walks = grammar.walk(2000, rng)
        # A walk may write equal ops twice and in any order; its canonical form is compared.
        programs = [Program.from_tokens(walk) for walk in walks]
        written = [program.tokens() for program in programs]
        assert unpad_programs(pad_programs(written)) == written
        lines = line_form(written, sort_operands=False)
        for program, tokens, one in zip(programs[::50], written[::50], lines[::50], strict=True):
            assert program_of_lines(one, left_out(tokens)) == program
        assert [Program.from_tokens(tokens) for tokens in written] == programs
        count += sum(map(len, written))
