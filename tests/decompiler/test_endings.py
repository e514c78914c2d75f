"""Endings: what candidates compute, gone on from until it gives the model's outputs."""

from itertools import product

import numpy as np
import pytest

from tests.decompiler.models import SETTINGS, TOKENS, compiled
from tracrlab.compiler import compile_table
from tracrlab.decompiler.bank import INPUTS, NONE, Bank, Goal, Numbers, Step
from tracrlab.decompiler.building import build
from tracrlab.decompiler.checking import VERIFIED, Candidate, Checker
from tracrlab.decompiler.decompiling import _Trial
from tracrlab.decompiler.endings import Endings, likeliest_endings
from tracrlab.decompiler.grammar import Grammar
from tracrlab.decompiler.proposing import read
from tracrlab.errors import TracrLabError
from tracrlab.rasp import Domain, Program, evaluate
from tracrlab.rasp.presets import PRESETS
from tracrlab.rasp.primitives import LINEAR_SEQUENCE_MAP, MAP, SEQUENCE_MAP, Primitive
from tracrlab.rasp.program import (
    AGGREGATE,
    CATEGORICAL,
    FIRST_OP,
    NUMERICAL,
    SELECTOR_WIDTH,
    Op,
)
from tracrlab.rasp.sampler import SamplerSettings, sample
from tracrlab.rasp.tokens import END, START

DEFAULT = PRESETS["default"]
DOMAIN = Domain((0, 1, 2), 4)
GRAMMAR = Grammar.of_preset("default", 8, spelled="none")


def goal_of(table, domain=None):
    """What a program gives, as a model of it would say it."""
    numbers = Numbers()
    outputs = numbers.of(table.output.values)[table.output.codes]
    return Goal.sampled(table.domain, outputs, table.program.output.encoding, numbers)


def program(text):
    return Program.from_text(text)


def bank_of(domain, *texts):
    bank = Bank(domain)
    for place, text in enumerate(texts):
        bank.add(program(text) if isinstance(text, str) else text, -1.0 - place)
    bank.shorten()
    return bank


def gives(bank, what, goal):
    """Whether a program gives a goal's outputs on its sample, by the interpreter."""
    table = evaluate(what, goal.domain).output
    mask = goal.domain.mask
    given = goal.numbers.of(table.values)[table.codes[mask]]
    return np.allclose(given, goal.outputs[mask], rtol=1e-3, atol=1e-3)


# What stands on the sample.


def test_numbers_and_back():
    numbers = Numbers()
    assert numbers.of([2, True, 0.5]).tolist() == [2, 1, 0.5, NONE]
    a, b, none = numbers.of(["a", "b"]).tolist()
    assert (a != b, a > 1000, none) == (True, True, NONE)
    assert numbers.of(["b"]).tolist() == [b, NONE]
    assert numbers.values([1.0, a, NONE, 0.5]) == [1, "a", 0.5]


def test_a_sample_is_fixed_and_begins_with_rare_outputs():
    table = evaluate(program("v1 = Map(x == 1, tokens)"), Domain((0, 1, 2, 3, 4), 5))
    outputs = np.zeros(table.domain.mask.shape, dtype=np.float32)
    rare = [900, 1700, 2500]
    outputs[rare, 0] = 7
    first, again = (Goal.sampled(table.domain, outputs, CATEGORICAL, Numbers()) for _ in range(2))
    assert np.array_equal(first.outputs, again.outputs)
    assert first.domain == again.domain
    assert first.outputs.shape == (INPUTS, 5)
    assert set(np.flatnonzero((first.outputs == 7).any(axis=1))) <= set(range(20))
    assert (first.outputs == 7).sum() == len(rare)


def test_a_bank_by_hand():
    """`v2` and `w1` compute the same: one number, which needs one op and not two."""
    bank = bank_of(
        DOMAIN,
        "v1 = Map(x + 1, tokens)\nv2 = Map(x - 1, v1)\nv3 = SequenceMap(x * y, v2, indices)",
        "w1 = Map(x, tokens)\nw2 = SequenceMap(x + y, w1, indices)",
    )
    copy = program("w1 = Map(x, tokens)").ops[0]
    numbers = [number for number in range(FIRST_OP, len(bank.tables)) if copy in bank.ways[number]]
    assert len(numbers) == 1
    assert bank.ops[numbers[0] - FIRST_OP] == copy
    assert len(bank.ways[numbers[0]]) == 2
    assert bank.before[numbers[0]].bit_count() == 1
    product_ = bank.add(program("u1 = Map(x, tokens)\nu2 = SequenceMap(x * y, u1, indices)"), -9.0)
    assert bank.before[product_].bit_count() == 2
    others = bank.rewritten(bank.program(product_))
    wanted = "v1 = Map(x + 1, tokens)\nv2 = Map(x - 1, v1)\nv3 = SequenceMap(x * y, indices, v2)"
    assert program(wanted) in others


@pytest.mark.parametrize("index", range(12))
def test_what_a_bank_holds_is_what_the_interpreter_says(index):
    tables = [sample(SETTINGS, 7, number).table for number in range(index, index + 5)]
    bank = bank_of(DOMAIN, *(table.program for table in tables))
    for table in tables:
        number = bank.add(table.program, -3.0)
        assert bank.tables[number].fingerprint == table.output.fingerprint
        short = bank.program(number)
        assert len(short) == bank.before[number].bit_count() <= len(table.program)
        for one in [short, *bank.rewritten(table.program)]:
            assert evaluate(one, DOMAIN).output.fingerprint == table.output.fingerprint


def test_what_cannot_be_evaluated_is_left_out():
    bank = bank_of(DOMAIN, "v1 = Map(1 / x, tokens)\nv2 = Map(x + 1, v1)")
    assert bank.ops == []
    assert bank.add(program("v1 = Map(1 / x, tokens)"), -1.0) is None
    assert bank.rewritten(program("v1 = Map(1 / x, tokens)")) == []


# The search.

TEXTS = (
    "v1 = Select(indices, indices, key <= query)\nv2 = SelectorWidth(v1)",
    "v1 = Map(x > 0, tokens)\nv2 = SequenceMap(x - y, v1, indices)",
    "v1 = Map(x * 2, tokens) : numerical",
)


def all_single_ops(bank, encoding):
    """Every op of the preset on everything in the bank, one after the other."""
    sequences = {
        one: [n for n in range(len(bank.tables)) if bank.encoding(n) == one]
        for one in (CATEGORICAL, NUMERICAL, None)
    }
    constants = [-2, -1, 0, 1, 2, 3, 4]
    own = sequences[encoding]
    for template in DEFAULT.maps:
        for constant in constants if "c" in template.replace("not", "") else [None]:
            chosen = () if constant is None else (constant,)
            for one in sequences[CATEGORICAL] + sequences[NUMERICAL]:
                yield Op(MAP, (one,), Primitive(MAP, template, chosen), encoding)
    for pair in product(own, own):
        if encoding == CATEGORICAL:
            for template in DEFAULT.sequence_maps:
                yield Op(SEQUENCE_MAP, pair, Primitive(SEQUENCE_MAP, template), encoding)
        else:
            for factors in DEFAULT.factors:
                function = Primitive(LINEAR_SEQUENCE_MAP, "a * x + b * y", factors)
                yield Op(LINEAR_SEQUENCE_MAP, pair, function, encoding)
    for one in sequences[None]:
        yield Op(SELECTOR_WIDTH, (one,), None, encoding)
        for other in own:
            yield Op(AGGREGATE, (one, other), None, encoding)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("v1 = Map(x > 0, tokens)\nv2 = SequenceMap(x - y, v1, indices)\nv3 = Map(x < 0, v2)", 2),
        ("v1 = SequenceMap(max(x, y), tokens, indices)", 1),
        ("v1 = Select(indices, indices, key <= query)\nv2 = SelectorWidth(v1) : numerical", 1),
        (
            "v1 = Select(indices, indices, key <= query)\nv2 = Map(x * 2, tokens) : numerical\n"
            "v3 = Aggregate(v1, v2) : numerical",
            1,
        ),
    ],
)
def test_one_op_against_all_ops_one_by_one(text, count):
    """The last op is not in the bank; all that give the outputs are found, by the interpreter."""
    table = evaluate(program(text), DOMAIN)
    goal = goal_of(table)
    bank = bank_of(goal.domain, *TEXTS)
    wanted = set()
    for op in all_single_ops(bank, goal.encoding):
        try:
            result = bank.program(Step(op.kind, op.function, op.encoding, op.operands))
            if gives(bank, result, goal):
                wanted.add(result)
        except TracrLabError:
            continue
    found = set(Endings(bank, goal, DEFAULT, 8).programs(10_000))
    assert len(wanted) >= count
    assert wanted <= found
    assert all(gives(bank, one, goal) for one in found)


def shortened(table, ops):
    """The program without its last ops: everything that stands before them, as one program each."""
    kept = table.program.ops[: len(table.program) - ops]
    return [
        Program.of(kept[: number + 1]) for number, op in enumerate(kept) if not op.is_selector
    ] + [
        Program.of([*kept[: number + 1], Op(SELECTOR_WIDTH, (FIRST_OP + number,))])
        for number, op in enumerate(kept)
        if op.is_selector
    ]


@pytest.mark.parametrize("ops", [1, 2])
def test_programs_are_finished(ops):
    """Sampled programs whose last ops nobody wrote: most are found again, or what does the same."""
    settings = SamplerSettings((0, 1, 2), 4, min_ops=3, max_ops=5)
    finished = 0
    for index in range(20):
        table = sample(settings, 11, index).table
        goal = goal_of(table)
        bank = bank_of(goal.domain, *shortened(table, ops))
        found = Endings(bank, goal, DEFAULT, 5).programs(64)
        assert all(gives(bank, one, goal) and len(one) <= 5 for one in found)
        finished += any(evaluate(one, table.domain).behaviour == table.behaviour for one in found)
    assert finished >= {1: 18, 2: 13}[ops]


def test_symbols_that_are_no_numbers():
    text = "v1 = Select(tokens, tokens, key == query)\nv2 = SelectorWidth(v1)"
    whole = text + '\nv3 = Map(x == "b", tokens)\nv4 = SequenceMap(x * y, v2, v3)'
    table = evaluate(program(whole), Domain(("a", "b", "c"), 3))
    checker = Checker(compile_table(table))
    goal = checker.goal()
    bank = bank_of(goal.domain, text)
    found = Endings(bank, goal, DEFAULT, 6).programs(64)
    assert program(whole) in found
    assert all(checker.check(one).verdict == VERIFIED for one in found)


def test_long_inputs_are_searched_on_few():
    table = evaluate(
        program("v1 = Map(x + 1, indices)\nv2 = SequenceMap(x * y, v1, tokens)"), Domain((0, 1), 40)
    )
    goal = goal_of(table)
    assert program("v1 = Map(x + 1, indices)\nv2 = SequenceMap(x * y, tokens, v1)") in Endings(
        bank_of(goal.domain, "v1 = Map(x + 1, indices)"), goal, DEFAULT, 3
    ).programs(64)


# In a search.


def proposals(model):
    return read(build(TOKENS).eval(), TOKENS, GRAMMAR, [model])


def one_token_after_the_other(reading, ids):
    """The log-probability of a program's ids, among what the grammar allows."""
    state, total = GRAMMAR.start(1), 0.0
    prefix = [START]
    for token in [*ids, END]:
        here = np.array([0])
        logits = reading(np.array([prefix]), here, here)[0].astype(np.float64)
        logits[~GRAMMAR.mask(state)[0]] = -np.inf
        total += logits[token] - np.logaddexp.reduce(logits)
        GRAMMAR.advance(state, np.array([token]))
        prefix.append(token)
    return total


def test_scores_are_the_products_of_the_next_tokens():
    """Of programs of several lengths at once, the most probable first."""
    found = proposals(compiled(0))
    programs = [sample(SETTINGS, 7, index).table.program for index in range(70)]
    scored = found.scored(0, programs)
    assert {one.program for one in scored} == set(programs)
    for one in scored[::7]:
        plain = one_token_after_the_other(found._numbered._reading, one.program.tokens())
        assert one.log_probability == pytest.approx(plain, abs=1e-3)
    again = [one.program for one in scored]
    scores = [one.log_probability for one in found.scored(0, again[::-1])]
    assert scores == sorted(scores, reverse=True)
    too_long = "\n".join(
        f"v{n + 1} = Map(x + {n % 3}, {'tokens' if not n else f'v{n}'})" for n in range(9)
    )
    assert found.scored(0, [program(too_long)]) == []


def test_an_ending_is_executed_and_chosen():
    """A candidate that lacks its last op, and a search that finds it."""
    index = 3
    model = compiled(index)
    true = sample(SETTINGS, 7, index).table
    trial = _Trial(Checker(model))
    trial.execute([Candidate(one, -2.0) for one in shortened(true, 1)])
    assert trial.check.verdict != VERIFIED
    found = likeliest_endings(
        trial.checker.goal(),
        [one for one, _ in trial.executed],
        lambda programs: proposals(model).scored(0, programs),
        DEFAULT,
        8,
        64,
    )
    trial.execute(found)
    assert trial.check.verdict == VERIFIED
    assert trial.chosen.program in {one.program for one in found}
