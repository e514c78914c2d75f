"""Interchanged prompts are answered as the compiled model itself answers them."""

import numpy as np
import pytest

from tests.injection.tiny import (
    ASK,
    DIGIT,
    END,
    OTHER,
    TOKEN_X,
    TOKEN_Y,
    WORDS,
    counting_examples,
    counting_task,
)
from tracrlab.errors import TracrLabError
from tracrlab.injection.prompts import PromptInterchange

FILLERS = np.array([40, 41, 42, ASK, TOKEN_X, END])


@pytest.fixture(scope="module")
def task():
    program, examples, _ = counting_task()
    return program, examples, program.codes(examples.symbols)


def test_what_varies_and_what_stands_for_what_is_read_off_the_examples(task):
    interchange = PromptInterchange(*task, FILLERS)
    assert sorted(interchange.varying) == [TOKEN_X, TOKEN_Y]
    assert interchange.varying_others.tolist() == [TOKEN_Y]
    assert interchange.fillers.tolist() == [40, 41, 42]  # no token of the task's own
    assert interchange.ends.tolist() == [END]
    answers = {
        task[0].output.values[code]: token
        for code, token in enumerate(interchange.target_of)
        if token >= 0
    }
    assert answers == {"end": END} | {str(n): DIGIT + n for n in range(7)}


def test_every_new_prompt_has_the_answer_of_the_compiled_model(task):
    program, examples, codes = task
    interchange = PromptInterchange(program, examples, codes, FILLERS)
    made, done = interchange.make(examples, np.random.default_rng(0))
    assert done.all()
    changed = 0
    for number in range(len(made)):
        length, end = made.lengths[number], made.prompts[number]
        tokens = made.tokens[number, :length].tolist()
        assert tokens[:2] == list(WORDS)
        assert tokens[end - 1] == ASK
        assert set(tokens[2 : end - 1]) <= {TOKEN_X, TOKEN_Y, 40, 41, 42}
        changed += tokens != examples.tokens[number, :length].tolist()
        word = [program.symbols[code] for code in made.symbols[number, :length]]
        expected = program.model.apply(word)
        for position in np.flatnonzero(made.supervised[number]):
            target = made.targets[number, position]
            assert expected[position] == ("end" if target == END else str(target - DIGIT))
        count = tokens[2 : end - 1].count(TOKEN_X)
        assert tokens[end:] == [DIGIT + min(6, count)]
    assert changed > len(made) / 2
    assert {40, 41, 42} & set(made.tokens.ravel().tolist())


def test_no_prompt_of_a_test_set_is_made(task):
    program, examples, codes = task
    only_x = counting_examples([[TOKEN_X] * n for n in range(1, 7)])
    free = PromptInterchange(program, examples, codes, FILLERS)
    barred = PromptInterchange(program, examples, codes, FILLERS, only_x.prompt_keys())
    keys = only_x.prompt_keys()
    bases = counting_examples([[TOKEN_X, TOKEN_Y], [TOKEN_Y] * 3] * 100)
    made, _ = free.make(bases, np.random.default_rng(0))
    assert made.prompt_keys() & keys
    made, done = barred.make(bases, np.random.default_rng(0))
    assert not made.prompt_keys() & keys
    assert not done.all()
    kept = np.flatnonzero(~done)
    assert (made.tokens[kept, : bases.tokens.shape[1]] == bases.tokens[kept]).all()


def test_a_token_with_two_meanings_is_refused(task):
    program, examples, codes = task
    symbols = examples.symbols.copy()
    symbols[0, 2] = OTHER if symbols[0, 2] != OTHER else OTHER + 1
    wrong = type(examples)(
        examples.tokens, examples.lengths, symbols, examples.supervised, examples.targets
    )
    with pytest.raises(TracrLabError, match="stands for two symbols"):
        PromptInterchange(program, wrong, codes, FILLERS)


def test_prompts_lose_and_gain_places_within_the_lengths_of_training(task):
    program, examples, codes = task
    interchange = PromptInterchange(program, examples, codes, FILLERS)
    made, done = interchange.make(examples, np.random.default_rng(1))
    gained = (made.prompts - examples.prompts)[done]
    assert set(gained.tolist()) == {-1, 0, 1}
    assert made.prompts.min() == examples.prompts.min()
    assert made.prompts.max() == examples.prompts.max()
