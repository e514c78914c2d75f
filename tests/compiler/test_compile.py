"""Compiled programs are exact, in every variable and on every input."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from tracr.compiler import test_cases
from tracr.rasp import causal_eval, rasp

from tests.compiler.models import assert_exact
from tests.strategies import LETTERS, NUMBERS, letter_programs, number_programs
from tracrlab import Program, TracrLabError, compile
from tracrlab.compiler import Limits, verify
from tracrlab.compiler.compiling import check_supported, lay_out
from tracrlab.rasp import Domain, evaluate
from tracrlab.rasp import paper_programs as papers
from tracrlab.rasp.library import LIBRARY
from tracrlab.rasp.sampler import SamplerSettings, sample

TRACR_CASES = [(case, False) for case in test_cases.TEST_CASES]
TRACR_CASES += [(case, True) for case in test_cases.CAUSAL_TEST_CASES]
TRACR_IDS = [f"{case['testcase_name']}{'_causal' * causal}" for case, causal in TRACR_CASES]


def same(found, expected):
    return len(found) == len(expected) and all(
        x == y or (None not in (x, y) and not isinstance(x, str) and abs(x - y) < 1e-3)
        for x, y in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize(("case", "causal"), TRACR_CASES, ids=TRACR_IDS)
def test_every_case_of_tracr(case, causal):
    domain = Domain(tuple(case["vocab"]), case["max_seq_len"], causal)
    model = assert_exact(evaluate(Program.from_tracr(case["program"]), domain))

    assert same(model.apply(case["test_input"]), case["expected_output"])


@pytest.mark.parametrize(
    "case", test_cases.UNSUPPORTED_TEST_CASES, ids=lambda c: c["testcase_name"]
)
def test_what_tracr_does_not_support_is_right_or_refused(case):
    try:
        model = compile(case["program"], case["vocab"], case["max_seq_len"])
    except TracrLabError:
        return
    domain = Domain(tuple(case["vocab"]), case["max_seq_len"])
    assert verify(model, evaluate(model.program, domain), None).passed


@pytest.mark.parametrize("name", LIBRARY)
def test_every_variable_of_the_library(name):
    entry = LIBRARY[name]
    domain = Domain(entry.vocab, entry.max_seq_len, entry.causal, entry.inputs)
    assert_exact(evaluate(entry.program, domain))


@pytest.mark.parametrize("name", [name for name in LIBRARY if name != "most_frequent"])
def test_every_variable_of_the_library_run_causally(name):
    """Run causally, most_frequent finds several positions of rank 0 and is undefined."""
    entry = LIBRARY[name]
    assert_exact(evaluate(entry.program, Domain(entry.vocab, entry.max_seq_len, causal=True)))


def supported_table(program, domain):
    """The program's table; programs that cannot be compiled are left out of the test."""
    try:
        table = evaluate(program, domain)
        check_supported(table)
    except TracrLabError:
        assume(False)
    return table


@pytest.mark.parametrize("causal", [False, True])
@given(program=number_programs(max_ops=7))
@settings(max_examples=100)
def test_random_programs_over_numbers(causal, program):
    assert_exact(supported_table(program, Domain(NUMBERS, 3, causal)))


@pytest.mark.parametrize("causal", [False, True])
@given(program=letter_programs())
@settings(max_examples=40)
def test_random_programs_over_letters(causal, program):
    assert_exact(supported_table(program, Domain(LETTERS, 3, causal)))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("preset", ["default", "thesis"])
def test_sampled_programs(preset, causal):
    settings = SamplerSettings((0, 1, 2, 3), 4, causal, min_ops=3, max_ops=12, preset=preset)

    for index in range(30):
        assert_exact(evaluate(sample(settings, 5, index).program, settings.domain))


@pytest.mark.parametrize("causal", [False, True])
@given(program=number_programs(max_ops=6))
@settings(max_examples=30)
def test_inferred_value_sets_hold_what_is_reached(causal, program):
    """Over a domain that is too large to enumerate."""
    table = supported_table(program, Domain(NUMBERS, 8, causal))
    try:
        layout = lay_out(table, Limits())
    except TracrLabError:  # too large: refused, with its reason
        return
    for entry, found in zip(table.tables, layout.sets, strict=True):
        if hasattr(entry, "values"):
            assert all(
                any(abs(value - other) < 1e-9 for other in found.values) for value in entry.values
            ) or set(entry.values) <= set(found.values)
    assert verify(compile(program, NUMBERS, 8, causal), table, 256).passed


def brackets(rng, length):
    """Half the time a balanced word with one bracket moved, or none; else any word."""
    pairs = ("()", "{}", "[]")
    if rng.random() < 0.3:
        return [str(symbol) for symbol in rng.choice(list("".join(pairs)), size=length)]
    word = []
    open_now = []
    while len(word) + len(open_now) < length:
        if open_now and rng.random() < 0.5:
            word.append(open_now.pop(int(rng.integers(len(open_now)))))
        else:
            pair = pairs[int(rng.integers(3))]
            word.append(pair[0])
            open_now.append(pair[1])
    word += open_now
    if rng.random() < 0.5:
        word.insert(int(rng.integers(len(word))), word.pop(int(rng.integers(len(word)))))
    return word[:length]


def test_shuffle_dyck3_at_length_20():
    program = papers.shuffle_dyck([("(", ")"), ("{", "}"), ("[", "]")])
    model = compile(program, "(){}[]", 20)
    sop = program.to_tracr()
    rng = np.random.default_rng(0)
    answers = set()

    for length in [*range(1, 21), *(20,) * 60]:
        word = brackets(rng, length)
        expected = rasp.evaluate(sop, word)
        assert model.apply(word) == expected
        answers.add(expected[0])

    assert answers == {False, True}


@pytest.mark.parametrize("causal", [False, True])
def test_count_at_length_60(causal):
    program = papers.count("x")
    model = compile(program, "xyz", 60, causal)
    evaluator = causal_eval.evaluate if causal else rasp.evaluate
    sop = program.to_tracr()
    rng = np.random.default_rng(0)
    words = [[str(symbol) for symbol in rng.choice(list("xyz"), size=60)] for _ in range(30)]

    for word in [*words, ["x"] * 60, ["x"] * 59 + ["y"], ["y"] * 60, ["x"], ["z"]]:
        assert model.apply(word) == evaluator(sop, word)


def test_given_inputs_need_not_use_every_symbol_or_position():
    inputs = (("c", "b"), ("b", "b", "c"), ("c",))
    program = papers.reverse()
    model = compile(program, ("a", "b", "c", "d"), 5, inputs=inputs)

    assert model.architecture.input_symbols == ("a", "b", "c", "d", "compiler_bos")
    assert model.apply(("b", "b", "c")) == ["c", "b", "b"]
    assert_exact(evaluate(program, Domain(("a", "b", "c", "d"), 5, inputs=inputs)))


def test_a_program_and_its_tracr_version_give_the_same_model():
    entry = LIBRARY["sort"]
    ours = compile(entry.program, entry.vocab, entry.max_seq_len)
    theirs = compile(entry.program.to_tracr(), entry.vocab, entry.max_seq_len)

    assert ours.labels == theirs.labels
    assert all(np.array_equal(ours.weights[name], theirs.weights[name]) for name in ours.weights)


def test_compiling_is_deterministic_and_ignores_the_order_of_the_vocabulary():
    models = [compile(papers.hist(), vocab, 4) for vocab in ("abc", "cba", {"b", "c", "a"})]

    for model in models[1:]:
        assert model.labels == models[0].labels
        for name, weight in model.weights.items():
            assert np.array_equal(weight, models[0].weights[name])


def layers(model):
    return len(model.architecture.layers)


@pytest.mark.parametrize("case", test_cases.TEST_CASES, ids=lambda case: case["testcase_name"])
def test_never_more_layers_than_tracr(case):
    arguments = (case["program"], case["vocab"], case["max_seq_len"])

    assert layers(compile(*arguments)) <= layers(compile(*arguments, reference=True))


def test_never_more_layers_than_tracr_in_sampled_programs():
    settings = SamplerSettings((0, 1, 2), 3, min_ops=5, max_ops=12)
    compared = 0
    for index in range(40):
        program = sample(settings, 1, index).program
        try:
            reference = compile(program, settings.vocab, 3, reference=True)
        except TracrLabError:
            continue
        compared += 1
        assert layers(compile(program, settings.vocab, 3)) <= layers(reference)
    assert compared > 10
