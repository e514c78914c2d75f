import math

import pytest
from tracr.compiler import lib
from tracr.rasp import causal_eval, rasp

from tracrlab import TracrLabError
from tracrlab.compiler import compile, verify
from tracrlab.rasp import Domain, Program, evaluate
from tracrlab.rasp import paper_programs as papers
from tracrlab.rasp.library import LIBRARY, held_out_programs
from tracrlab.rasp.values import is_number

tokens = rasp.tokens
#: Tracr's own versions of the programs.
IN_TRACR = {
    "frac_prevs": lib.make_frac_prevs(tokens == "x"),
    "sort_unique": lib.make_sort_unique(tokens, tokens),
    "sort": lib.make_sort(tokens, tokens, max_seq_len=5, min_key=1),
    "sort_freq": lib.make_sort_freq(max_seq_len=5),
    "pair_balance": lib.make_pair_balance(tokens, "(", ")"),
    "shuffle_dyck1": lib.make_shuffle_dyck(["()"]),
    "shuffle_dyck2": lib.make_shuffle_dyck2(),
    "shuffle_dyck3": lib.make_shuffle_dyck(["()", "{}", "[]"]),
    "hist": lib.make_hist(),
    "length": lib.make_length(),
    "causal_length": lib.make_length(),
    "reverse": lib.make_reverse(tokens),
    "shift_by_1": lib.shift_by(1, tokens),
    "shift_by_2": lib.shift_by(2, tokens),
    "detect_pattern_ab": lib.detect_pattern(tokens, "ab"),
    "detect_pattern_abc": lib.detect_pattern(tokens, "abc"),
    "count": lib.make_count(tokens, "a"),
    "count_less_freq": lib.make_count_less_freq(2),
    "sum_less_index": lib.make_nary_sequencemap(
        lambda x, y, z: x + y - z, tokens, tokens, rasp.indices
    ),
    "square_over_token": lib.make_nary_sequencemap(
        lambda x, y, z: x * y / z, rasp.indices, rasp.indices, tokens
    ),
}
#: Inputs compared with Tracr's evaluator, one in so many of the domain.
STRIDE = 7


def same_values(found, expected):
    """Equal, numbers to 1e-9; True is 1, as in Python."""
    return all(
        math.isclose(x, y, abs_tol=1e-9) if is_number(x) and is_number(y) else x == y
        for x, y in zip(found, expected, strict=True)
    )


def domain_of(entry):
    return Domain(entry.vocab, entry.max_seq_len, entry.causal, entry.inputs)


def example_domain(entry):
    return Domain(entry.vocab, entry.max_seq_len, entry.causal, (entry.example,))


@pytest.fixture(params=LIBRARY.values(), ids=LIBRARY, scope="module")
def entry(request):
    return request.param


def test_the_example(entry):
    domain = example_domain(entry)

    assert same_values(evaluate(entry.program, domain).output.decoded(domain, 0), entry.expected)


def test_it_describes_itself(entry):
    assert LIBRARY[entry.name] is entry
    assert entry.summary.endswith(".")
    assert entry.source
    assert set(entry.example) <= set(entry.vocab)
    assert len(entry.example) == len(entry.expected) <= entry.max_seq_len


def test_it_is_written_in_the_text_form(entry):
    assert Program.from_text(entry.program.text()) == entry.program
    assert Program.from_tokens(entry.program.tokens()) == entry.program


@pytest.mark.parametrize("name", IN_TRACR)
def test_it_is_what_tracr_evaluates(name):
    entry = LIBRARY[name]
    evaluator = causal_eval.evaluate if entry.causal else rasp.evaluate
    domain = domain_of(entry)
    table = evaluate(entry.program, domain)
    for number in range(0, min(len(domain.codes), 1500), STRIDE):
        expected = evaluator(IN_TRACR[name], domain.input(number))
        assert same_values(table.output.decoded(domain, number), expected)


def most_frequent(word):
    return [max(word, key=lambda token: (word.count(token), -word.index(token)))] * len(word)


def double_hist(word):
    return [sum(word.count(other) == word.count(t) for other in set(word)) for t in word]


@pytest.mark.parametrize(
    ("name", "in_python"), [("most_frequent", most_frequent), ("double_hist", double_hist)]
)
def test_it_is_what_python_says(name, in_python):
    domain = domain_of(LIBRARY[name])
    table = evaluate(LIBRARY[name].program, domain)

    for number in range(len(domain.codes)):
        assert table.output.decoded(domain, number) == in_python(domain.input(number))


def test_it_compiles_exactly(entry):
    table = evaluate(entry.program, domain_of(entry))
    model = compile(
        entry.program, entry.vocab, entry.max_seq_len, entry.causal, inputs=entry.inputs
    )

    verification = verify(model, table, None)

    assert verification.mismatches == 0, verification.example
    assert verification.max_error < 1e-5
    assert verify(model, evaluate(entry.program, example_domain(entry)), None).passed


@pytest.mark.parametrize(
    ("vocab", "max_seq_len", "count"),
    [
        # length, reverse, hist, double_hist, sort_freq, most_frequent: 6; frac_prevs and count: 2
        # a symbol; detect_pattern: 25; pair_balance and shuffle_dyck: 20 each; shift_by and
        # count_less_freq: 4 each; sort_unique, sort, sum_less_index.
        ((0, 1, 2, 3, 4), 5, 6 + 10 + 25 + 40 + 8 + 3),
        ((1, 2), 4, 6 + 4 + 4 + 4 + 6 + 4),
        (("a", "b"), 4, 6 + 4 + 4 + 4 + 6 + 1),
        (("a", 1), 4, 6 + 4 + 4 + 4 + 6),
    ],
)
def test_held_out_programs_are_defined_on_their_vocabulary(vocab, max_seq_len, count):
    held_out = held_out_programs(vocab, max_seq_len)
    domain = Domain(vocab, max_seq_len)

    for program in held_out:
        evaluate(program, domain)

    assert len(held_out) == len(set(held_out)) == count


def test_held_out_programs_have_the_behaviour_of_the_library():
    domain = Domain((1, 2, 3, 4, 5), 5)
    behaviours = {
        evaluate(program, domain).behaviour for program in held_out_programs(domain.vocab, 5)
    }

    for name in ("sort", "sort_unique", "hist", "reverse", "length", "shift_by_2", "double_hist"):
        assert evaluate(LIBRARY[name].program, domain).behaviour in behaviours


@pytest.mark.parametrize("build", [papers.shuffle_dyck, papers.detect_pattern])
def test_programs_of_nothing_are_refused(build):
    with pytest.raises(TracrLabError, match="needs"):
        build(())
