import dataclasses

import numpy as np
import pytest

from tracrlab.errors import TracrLabError
from tracrlab.tasks import COMPUTE, END, OTHER, Piece, TestSet, example
from tracrlab.tasks.checking import task_table
from tracrlab.tasks.encoding import check, check_mark, compile_task, encode, splits
from tracrlab.tasks.protocol import distinct_examples
from tracrlab.tasks.registry import load_task


@pytest.fixture(scope="module")
def count():
    return load_task("count")


def test_a_row_by_hand(count, tokenizer):
    """`x` is 2124 with its blank, a lone blank 220, digits 15 + the digit, the newline 198."""
    short = example(
        [Piece("Count"), Piece(" x", "x"), Piece(" y"), Piece(" ")],
        [Piece("1", "1"), Piece("2", "2")],
    )
    encoded = encode(count, tokenizer, [short, count._example("xx")])
    words = tokenizer.encode("Count")
    assert encoded.lengths.tolist() == [len(words) + 5, 19]
    n = len(words)
    assert encoded.tokens[0, : n + 5].tolist() == [*words, 2124, 331, 220, 16, 17]
    symbols = sorted(count.vocabulary)
    read = [symbols[code] for code in encoded.symbols[0, : n + 5]]
    assert read == [*[OTHER] * n, "x", OTHER, COMPUTE, "1", "2"]
    assert np.flatnonzero(encoded.supervised[0]).tolist() == [n + 2, n + 3, n + 4]
    assert encoded.targets[0, n + 2 : n + 5].tolist() == [16, 17, 198]
    assert not encoded.targets[0, : n + 2].any()
    assert not encoded.tokens[0, n + 5 :].any()


def test_codes_are_those_of_the_compiled_model(task, compiled, tokenizer):
    rng = np.random.default_rng(0)
    encoded = encode(task, tokenizer, [task.sample(rng)])
    word = [compiled[task.name].architecture.input_symbols[code] for code in encoded.symbols[0]]
    assert compiled[task.name].encode(word)[1:].tolist() == encoded.symbols[0].tolist()


def test_brackets_and_digits_are_never_merged(tokenizer):
    assert len(tokenizer.encode("()")) == 1
    task = load_task("shuffle_dyck")
    encoded = encode(task, tokenizer, [task._example("(){}[]")])
    texts = [tokenizer.decode([token]) for token in encoded.tokens[0]]
    assert texts[texts.index("(") :][:6] == list("(){}[]")


def test_splits_repeat_nothing_and_the_held_out_stay(task):
    train, held = splits(task, 300, 100, seed=4)
    prompts = [example.prompt for example in (*train, *held)]
    assert len(prompts) == len(set(prompts)) == 400
    more, same = splits(task, 350, 100, seed=4)
    assert same == held
    assert more[:300] == train
    assert splits(task, 10, 100, seed=5)[1] != held


def test_a_small_range_is_trained_on_whole(count):
    small = dataclasses.replace(count, longest=4)  # 2 + 4 + 8 + 16 texts less those of x alone
    train, held = splits(small, 1000, 5, seed=0)
    assert len(train) + len(held) == 26
    with pytest.raises(TracrLabError, match="gives only 26 different examples of 40 asked for"):
        splits(small, 1000, 40, seed=0)


def test_an_empty_set_is_named():
    empty = TestSet("nothing", "no examples", solved=True, draw=lambda rng: None, limit=0)
    with pytest.raises(TracrLabError, match="set nothing has no examples"):
        empty.examples(10, np.random.default_rng(0))


def test_a_set_that_repeats_itself_is_named(count):
    with pytest.raises(TracrLabError, match="the set ones gives only 1 different examples of 3"):
        distinct_examples(lambda: count._example("x"), 3, "the set ones")


def test_a_symbol_that_is_not_one_token_is_named(count, tokenizer):
    long = example([Piece("How many?"), Piece(" zyzzyva", "x"), Piece(" ")], [Piece("1", "1")])
    with pytest.raises(TracrLabError, match=r"count needs ' zyzzyva' as one token, and .* makes"):
        encode(count, tokenizer, [long])


def test_an_answer_outside_the_vocabulary_is_named(count, compiled, tokenizer):
    strange = example([Piece("How many?"), Piece(" x", "x"), Piece(" ")], [Piece("one", "1")])
    encoded = encode(count, tokenizer, [strange])
    with pytest.raises(TracrLabError, match=r"answers .* with 'one', which is none of its answers"):
        check(count, compiled["count"], encoded)
    unknown = example([Piece("How many?"), Piece(" ")], [Piece("one", "one")])
    with pytest.raises(TracrLabError, match="symbol 'one', which is not in its vocabulary"):
        encode(count, tokenizer, [unknown])


def test_a_program_that_does_not_solve_the_task_is_refused(count, tokenizer):
    class OffByOne(type(count)):
        def _example(self, letters):
            right = super()._example(letters)
            wrong = super()._example(letters + "x")
            length = len(right.supervised) - 1
            tail = wrong.pieces[-(len(wrong.supervised) - 1) :]
            return example(
                [Piece(*pair) for pair in zip(right.pieces, right.symbols, strict=True)][:-length],
                [Piece(digit, digit) for digit in tail],
            )

    off = OffByOne()
    with pytest.raises(TracrLabError, match=r"does not solve .*x y x.*must give '3' then '\\n', "
                       r"and it gives '2' then '\\n'"):  # fmt: skip
        check(off, compile_task(count), encode(off, tokenizer, [off._example("xyx")]))


def test_too_long_an_example_is_named(count, compiled, tokenizer):
    with pytest.raises(TracrLabError, match="is too long for it"):
        check(count, compiled["count"], encode(count, tokenizer, [count._example("x" * 60)]))


@pytest.mark.parametrize(("number", "message"), [(0, "marked as not solved"), (1, "too long")])
def test_a_wrong_mark_is_named(count, compiled, tokenizer, number, message):
    test_set = count.test_sets[number]
    encoded = encode(count, tokenizer, test_set.examples(30, np.random.default_rng(0)))
    with pytest.raises(TracrLabError, match=message):
        check_mark(count, compiled["count"], test_set.name, not test_set.solved, encoded)


def test_no_examples_are_named(count, tokenizer):
    with pytest.raises(TracrLabError, match="the task count was given no examples"):
        encode(count, tokenizer, [])


def test_a_vocabulary_without_the_wording_is_named(count):
    with pytest.raises(TracrLabError, match="count has no symbol 'other'"):
        compile_task(dataclasses.replace(count, vocabulary=("x", COMPUTE)))


def test_an_example_needs_a_prompt_and_an_answer():
    with pytest.raises(TracrLabError, match="at least one piece of prompt"):
        example([], [Piece("1", "1")])
    with pytest.raises(TracrLabError, match="one of answer"):
        example([Piece("a")], [])
    assert example([Piece("a"), Piece("b")], [Piece("1")]).targets == ("1", END)


def test_the_table_of_tasks(count, tokenizer):
    table = task_table([count], tokenizer, seed=0, count=60)
    assert table["set"].tolist() == ["held_out", "x_only", "length_3x", "replace_y_by_z"]
    assert table["program"].tolist()[:2] == [100, 100]
    assert table["program"][2] < 50
    assert table["examples"].tolist() == [60, 40, 60, 60]
    assert set(table["layers"]) == {2}
