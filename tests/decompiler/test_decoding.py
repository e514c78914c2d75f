from functools import cache

import numpy as np
import pytest

from tests.decompiler.models import SETTINGS, compiled, table
from tracrlab import TracrLabError
from tracrlab.decompiler.checking import VERIFIED, Checker
from tracrlab.decompiler.decoding import beam_search
from tracrlab.decompiler.grammar import Grammar
from tracrlab.decompiler.token_tables import ID, SIZE
from tracrlab.rasp import Program
from tracrlab.rasp.tokens import END, START

OPS = [
    ID[name]
    for name in (
        "Map|not x|numerical",
        "Map|x == c|categorical",
        "Select|key == query|",
        "Aggregate||numerical",
        "SelectorWidth||categorical",
    )
]
SMALL = Grammar(2, ops=OPS, constants=[ID["=0"], ID["=1"]], spelled="none")


def toy_logits(prefix, source):
    """A distribution that is fixed for each prefix, and spread enough for greed to fail."""
    return np.random.default_rng([source, *prefix]).standard_normal(SIZE)


def toy(tokens, source, parent):
    return np.stack(
        [toy_logits(row, one) for row, one in zip(tokens.tolist(), source.tolist(), strict=True)]
    )


@cache
def all_programs(source):
    """Every program of the small grammar with its probability, by trying all prefixes."""
    totals = {}
    prefixes = [((START,), SMALL.start(1), 0.0)]
    while prefixes:
        tokens, state, score = prefixes.pop()
        allowed = np.flatnonzero(SMALL.mask(state)[0])
        logits = toy_logits(tokens, source)[allowed]
        log_probs = logits - np.logaddexp.reduce(logits)
        for token, step in zip(allowed.tolist(), log_probs.tolist(), strict=True):
            if token == END:
                program = Program.from_tokens(tokens)
                totals[program] = np.logaddexp(totals.get(program, -np.inf), score + step)
                continue
            after = state.take(np.array([0]))
            SMALL.advance(after, np.array([token]))
            prefixes.append(((*tokens, token), after, score + step))
    return sorted(totals.items(), key=lambda item: -item[1])


def test_probabilities_of_all_programs_sum_to_one():
    assert np.logaddexp.reduce([score for _, score in all_programs(0)]) == pytest.approx(0)


def test_a_wide_beam_finds_every_program_in_order():
    found = beam_search(toy, SMALL, sources=3, beams=1000)

    for source, candidates in enumerate(found):
        wanted = all_programs(source)
        assert [one.program for one in candidates] == [program for program, _ in wanted]
        np.testing.assert_allclose(
            [one.log_probability for one in candidates], [score for _, score in wanted]
        )


def test_one_beam_is_greedy():
    state, prefix, score = SMALL.start(1), [START], 0.0
    while not state.done.all():
        logits = np.where(SMALL.mask(state)[0], toy_logits(prefix, 0), -np.inf)
        prefix.append(int(logits.argmax()))
        score += logits.max() - np.logaddexp.reduce(logits)
        SMALL.advance(state, np.array(prefix[-1:]))
    ((candidate,),) = beam_search(toy, SMALL)

    assert candidate.program == Program.from_tokens(prefix)
    assert candidate.log_probability == pytest.approx(score)


def test_wider_beams_are_no_worse():
    best = [
        [one[0].log_probability for one in beam_search(toy, SMALL, sources=20, beams=beams)]
        for beams in (1, 2, 8, 1000)
    ]

    assert np.mean(best[0]) < np.mean(best[1]) <= np.mean(best[2]) <= np.mean(best[3])


def test_sources_do_not_touch_each_other():
    together = beam_search(toy, SMALL, sources=4, beams=5)
    for source in range(4):
        (alone,) = beam_search(
            lambda tokens, _, parent, one=source: toy(tokens, np.full(len(tokens), one), parent),
            SMALL,
            beams=5,
        )
        assert [one.program for one in alone] == [one.program for one in together[source]]


def test_parents_are_rows_of_the_last_call():
    """A model that keeps its prefixes in a cache of its own sees the same ones."""
    kept = []

    def cached(tokens, source, parent):
        nonlocal kept
        if tokens.shape[1] > 1:
            kept = [
                (*kept[row], int(last)) for row, last in zip(parent, tokens[:, -1], strict=True)
            ]
        else:
            kept = [(START,)] * len(tokens)
        assert kept == [tuple(row) for row in tokens.tolist()]
        return toy(tokens, source, parent)

    assert beam_search(cached, SMALL, sources=2, beams=6) == beam_search(toy, SMALL, 2, 6)


@pytest.mark.parametrize("index", range(6))
def test_execution_finds_what_the_model_is_wrong_about(index):
    """A meta-model that knows the program but takes a wrong token to be likelier in one place."""
    wanted = [*table(index).program.tokens(), END]
    grammar = Grammar.of_preset("default", SETTINGS.max_ops)
    place = len(wanted) // 2

    def doubtful(tokens, source, parent):
        length = tokens.shape[1] - 1
        logits = np.random.default_rng(length).standard_normal((len(tokens), SIZE))
        logits[:, wanted[min(length, len(wanted) - 1)]] += 12 if length != place else -0.5
        return logits

    (candidates,) = beam_search(doubtful, grammar, beams=60)
    answer = Checker(compiled(index)).best(candidates)

    assert answer.check.verdict == VERIFIED
    assert beam_search(doubtful, grammar)[0][0].program != table(index).program


def test_wrong_use_is_one_sentence():
    with pytest.raises(TracrLabError, match="at least one beam, not 0"):
        beam_search(toy, SMALL, beams=0)
    with pytest.raises(TracrLabError, match="logits that are not finite"):
        beam_search(lambda *_: np.full((1, SIZE), np.nan), SMALL)
