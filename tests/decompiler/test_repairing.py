"""Repair: what is one token away, the likelier first, and what execution makes of it."""

import numpy as np
import pytest

from tests.decompiler.models import SETTINGS, compiled
from tracrlab.decompiler import decompiling
from tracrlab.decompiler.checking import MOST_KNOWN, VERIFIED, Candidate, Checker
from tracrlab.decompiler.decoding import log_probabilities
from tracrlab.decompiler.decompiling import _repair, _Trial
from tracrlab.decompiler.grammar import Grammar, allowed_tokens
from tracrlab.decompiler.program_encoding import pad_programs
from tracrlab.decompiler.repairing import best_seeds, neighbours, valid
from tracrlab.decompiler.token_tables import SIZE
from tracrlab.rasp.program import Program
from tracrlab.rasp.tokens import END

GRAMMAR = Grammar.of_preset("default", 8, spelled="none")
TEXT = "v1 = Select(tokens, indices, key < query)\nv2 = SelectorWidth(v1)\nv3 = Map(x > 2, v2)"


def even(tokens):
    allowed = allowed_tokens(GRAMMAR, tokens[None])[0]
    return log_probabilities(np.zeros(allowed.shape), allowed)


def framed(program):
    return pad_programs([program.tokens()])[0]


def test_neighbours_against_all_exchanges():
    tokens = framed(Program.from_text(TEXT))
    expected = set()
    for place in range(1, len(tokens) - 1):
        for token in range(SIZE):
            changed = [*tokens[1:place].tolist(), token, *tokens[place + 1 : -1].tolist()]
            if token != tokens[place] and not GRAMMAR.refusal(changed):
                expected.add(Program.from_tokens(changed))
    found = neighbours(GRAMMAR, tokens, even(tokens), 0.0, 10_000)
    assert {one.program for one in found} == expected
    assert len(expected) > 150


def test_likelier_exchanges_come_first_and_say_so():
    """By hand: the constant 2 made a 3, e times less likely, and the predicate e^2 times."""
    tokens = framed(Program.from_text(TEXT))
    wanted = [TEXT.replace("x > 2", "x > 3"), TEXT.replace("key < query", "key > query")]
    log_probs = np.full((len(tokens) - 1, SIZE), -20.0)
    log_probs[np.arange(len(tokens) - 1), tokens[1:]] = -0.5
    for drop, text in enumerate(wanted, start=1):
        other = framed(Program.from_text(text))
        (place,) = np.flatnonzero(other != tokens)
        log_probs[place - 1, other[place]] = -0.5 - drop
    found = neighbours(GRAMMAR, tokens, log_probs, -4.0, 2)
    assert [one.program for one in found] == [Program.from_text(text) for text in wanted]
    assert [one.log_probability for one in found] == pytest.approx([-5.0, -6.0])


def test_valid_is_what_the_grammar_says():
    rng = np.random.default_rng(0)
    programs = pad_programs(GRAMMAR.walk(200, rng))
    broken = programs.copy()
    rows = np.arange(len(broken))
    places = rng.integers(1, (programs > 0).sum(axis=1) - 1)
    broken[rows, places] = rng.integers(SIZE, size=len(rows))
    for group in (programs, broken):
        for row, found in zip(group, valid(GRAMMAR, group), strict=True):
            ids = row[1:].tolist()
            ids = ids[: ids.index(END)] if END in ids else ids
            padded = pad_programs([ids], len(row)) if len(ids) < len(row) - 1 else None
            is_program = padded is not None and (padded[0] == row).all()
            assert found == (is_program and not GRAMMAR.refusal(ids))
    assert valid(GRAMMAR, programs).all()
    assert 0 < valid(GRAMMAR, broken).sum() < len(broken)


def test_the_nearest_are_repaired_first():
    programs = [Program.from_text(f"a = Map(x > {number}, tokens)") for number in range(4)]
    scores = [(0.5, -1.0), (0.9, -3.0), (0.9, -2.0), (0.7, -1.0)]
    executed = [
        (Candidate(program, probability), agreement)
        for program, (agreement, probability) in zip(programs, scores, strict=True)
    ]
    chosen = best_seeds(executed, {programs[3]}, 3)
    assert [one.program for one in chosen] == [programs[2], programs[1], programs[0]]


class Off:
    """Proposes what is near by the real search, with every token as likely as any other."""

    def near(self, row, candidate, count):
        tokens = framed(candidate.program)
        return neighbours(GRAMMAR, tokens, even(tokens), candidate.log_probability, count)


def test_execution_finds_the_way_back(monkeypatch):
    """From programs with one token wrong, and then with two."""
    monkeypatch.setattr(decompiling, "NEIGHBOURS", 2000)
    rng = np.random.default_rng(1)
    for steps in (1, 2):
        found = tried = 0
        for index in range(10):
            model = compiled(index)
            away = model.program
            for _ in range(steps):
                tokens = framed(away)
                near = neighbours(GRAMMAR, tokens, even(tokens), 0.0, 500)
                away = near[int(rng.integers(len(near)))].program
            trial = _Trial(Checker(model, SETTINGS.domain))
            trial.execute([Candidate(away, -1.0)])
            if trial.settled:
                continue
            tried += 1
            _repair(Off(), 0, trial, steps)
            found += trial.settled
            if trial.settled:
                assert trial.checker.check(trial.chosen.program).verdict == VERIFIED
        assert tried >= 4
        assert found >= 0.75 * tried  # canonical order may move more than a token


def test_what_is_kept_of_other_candidates_changes_nothing():
    """Candidates share ops; each is said the same of as by a checker that knows no other."""
    rng = np.random.default_rng(2)
    model = compiled(1)
    checker = Checker(model, SETTINGS.domain)
    programs = [Program.from_tokens(ids) for ids in GRAMMAR.walk(120, rng)]
    for program in [*programs, *programs[:30]]:
        alone = Checker(model, SETTINGS.domain).check(program)
        assert checker.check(program) == alone
    assert len(checker._known) <= MOST_KNOWN + GRAMMAR.max_ops
