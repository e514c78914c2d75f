"""Every task against a plain solver that reads the prompt's text, and its compiled program."""

import re

import numpy as np
import pytest

from tests.tasks.conftest import SMALL
from tracrlab.tasks.addition import cascades
from tracrlab.tasks.encoding import (
    check,
    check_mark,
    compile_task,
    encode,
    run_program,
    splits,
)
from tracrlab.tasks.registry import load_task
from tracrlab.tasks.shuffle_dyck import is_matched


def plain_answer(name: str, prompt: str) -> str:
    """What a person would answer, from the prompt alone."""
    if name == "addition":
        first, second = re.fullmatch(r"([\d.]+) \+ ([\d.]+) = ", prompt).groups()
        total = float(first) + float(second)
        return f"{total:.1f}" if "." in prompt else str(int(total))
    if name == "reverse":
        return " ".join(reversed(prompt.removesuffix(" ->").split(": ")[1].split()))
    asked = re.search(r"\? (.*)\. Answer", prompt)[1]
    if name == "count":
        return str(asked.count("x"))
    if name == "shuffle_dyck":
        return "Yes" if matched_by_erasing(asked) else "No"
    if name == "most_frequent":
        return max("abc", key=asked.count)
    return "odd" if asked.count("h") % 2 else "even"


def matched_by_erasing(brackets: str) -> bool:
    """Each family alone, its pairs erased until nothing changes."""
    for family in ("()", "{}", "[]", "<>"):
        word = "".join(bracket for bracket in brackets if bracket in family)
        while family in word:
            word = word.replace(family, "")
        if word:
            return False
    return True


def draws(task, count: int):
    rng = np.random.default_rng(3)
    return [task.sample(rng) for _ in range(count)]


def test_training_examples_have_the_right_answer(task):
    for example in draws(task, 300):
        assert example.answer == plain_answer(task.name, example.prompt)
        assert "".join(example.pieces).startswith(example.prompt)
        assert "".join(example.targets[:-1]).strip() == example.answer


def test_examples_outside_the_range_have_the_right_answer(task):
    for test_set in task.test_sets:
        for example in test_set.examples(100, np.random.default_rng(0)):
            assert example.answer == plain_answer(task.name, example.prompt), test_set.name


def test_the_compiled_program_solves_held_out_examples(task, compiled, tokenizer):
    _, held = splits(task, 0, 400, 5)
    check(task, compiled[task.name], encode(task, tokenizer, held))


@pytest.mark.parametrize("name", SMALL)
def test_the_marks_of_the_sets_are_what_the_program_does(name, compiled, tokenizer):
    """The fourth family of brackets differs from the program about once in 300 examples."""
    task = load_task(name)
    for test_set in task.test_sets:
        count = 2000 if test_set.name == "extra_family" else 300
        examples = encode(task, tokenizer, test_set.examples(count, np.random.default_rng(0)))
        share = check_mark(task, compiled[name], test_set.name, test_set.solved, examples)
        assert (share == 1) is test_set.solved


def test_training_ranges_reach_no_set_outside_them():
    rng = np.random.default_rng(0)
    for name, outside in {
        "count": lambda prompt: "y" not in prompt.split("?")[1] or prompt.count(" ") > 52,
        "addition": lambda prompt: (
            cascades(*map(int, re.findall(r"\d+", prompt)))
            or max(map(int, re.findall(r"\d+", prompt))) > 450
        ),
        "shuffle_dyck": lambda prompt: len(prompt[40:-9]) % 2 == 1 or "<" in prompt,
        "reverse": lambda prompt: len(set(prompt[20:-3].split())) == 1,
        "most_frequent": lambda prompt: len(set(prompt[31:-9].split())) == 1,
        "parity": lambda prompt: " t" not in prompt[35:],
    }.items():
        task = load_task(name)
        assert not any(outside(task.sample(rng).prompt) for _ in range(500)), name


def test_the_paper_s_own_examples():
    count, addition, dyck = (load_task(name) for name in ("count", "addition", "shuffle_dyck"))
    example = count._example("xyxxy")
    assert example.prompt == "What is the number of 'X' in this text? x y x x y. Answer: "
    assert example.answer == "3"
    example = addition._example("211", "123", "334")
    assert example.prompt + example.answer == "211 + 123 = 334"
    assert example.targets == ("3", "3", "4", "\n")
    example = dyck._example("[]{(})")
    assert example.prompt == "Are parentheses here correctly matched? []{(}). Answer:"
    assert example.targets == (" Yes", "\n")


def test_half_of_the_brackets_match_and_lengths_are_even():
    examples = draws(load_task("shuffle_dyck"), 1000)
    assert 0.44 < np.mean([example.answer == "Yes" for example in examples]) < 0.56
    lengths = {len(e.prompt) - len("Are parentheses here correctly matched? . Answer:")
               for e in examples}  # fmt: skip
    assert lengths == set(range(2, 31, 2))


def test_almost_balanced_examples_lack_one_closing_bracket():
    almost, *_ = load_task("shuffle_dyck").test_sets
    for example in almost.examples(200, np.random.default_rng(1)):
        asked = re.search(r"\? (.*)\. Answer", example.prompt)[1]
        assert any(is_matched(asked + closing) for closing in ")}]")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(299, 1, True), (199, 201, True), (250, 250, False), (99, 2, True), (9, 1, False)],
)
def test_an_overflow_cascades_where_the_tens_carry_only_with_the_units(first, second, expected):
    assert cascades(first, second) is expected


def test_decimals_and_four_digits_are_what_they_say():
    _, long, decimals = load_task("addition").test_sets
    for example in long.examples(100, np.random.default_rng(0)):
        assert re.fullmatch(r"\d{4} \+ \d{4} = ", example.prompt)
    for example in decimals.examples(100, np.random.default_rng(0)):
        assert re.fullmatch(r"\d{1,3}\.\d \+ \d{1,3}\.\d = ", example.prompt)
        assert re.fullmatch(r"\d{1,3}\.\d", example.answer)


@pytest.mark.slow
def test_the_paper_s_program_solves_what_the_small_one_solves(tokenizer):
    """Its variables are those of Algorithm 1; 814 directions at 48 tokens."""
    task = load_task("shuffle_dyck_paper")
    compiled = compile_task(task)
    assert {"left_start_counts_round:3", "left_right_diffs_curly:-2"} <= set(compiled.labels)
    rng = np.random.default_rng(0)
    examples = [task.sample(rng) for _ in range(30)] + task.test_sets[0].examples(10, rng)
    short = [task._example(word) for word in ("", ")(", "([)]", "{}{", "[(])", "}", "((()))")]
    check(task, compiled, encode(task, tokenizer, examples + short))


def test_x_only_is_every_length_up_to_40():
    examples = load_task("count").test_sets[0].examples(1000, np.random.default_rng(0))
    assert sorted(int(example.answer) for example in examples) == list(range(1, 41))


def test_every_sum_of_place_values_is_added_right(compiled, tokenizer):
    """Carries, leading zeros that are not written, and all lengths of answers."""
    task = load_task("addition")
    rng = np.random.default_rng(0)
    pairs = [(0, 0), (0, 9), (5, 5), (95, 5), (99, 1), (450, 450), (9, 450), (100, 0)]
    pairs += [tuple(map(int, pair)) for pair in rng.integers(0, 451, size=(500, 2))]
    examples = [task._example(str(a), str(b), str(a + b)) for a, b in pairs]
    given = run_program(compiled["addition"], encode(task, tokenizer, examples))
    assert ["".join(pieces) for pieces in given] == [f"{a + b}\n" for a, b in pairs]


def test_the_sets_of_the_paper_are_there_with_its_figures():
    found = {
        (name, test_set.name): (test_set.solved, dict(test_set.paper))
        for name in ("count", "addition", "shuffle_dyck")
        for test_set in load_task(name).test_sets
    }
    figures = {
        ("addition", "cascading_overflow"): (True, 47.8, 49.1),
        ("addition", "four_digits"): (False, 0.9, 6.6),
        ("addition", "decimals"): (False, 0.0, 0.0),
        ("shuffle_dyck", "almost_balanced"): (True, 96.6, 75.28),
        ("shuffle_dyck", "length_3x"): (False, 98.5, 88.6),
        ("shuffle_dyck", "extra_family"): (False, 99.1, 84.3),
        ("count", "x_only"): (True, 21.9, 33.3),
        ("count", "length_3x"): (False, 2.8, 3.5),
        ("count", "replace_y_by_z"): (True, 4.6, 3.0),
    }
    assert found == {
        key: (solved, {"tracr_injection": injected, "finetune_kl": tuned})
        for key, (solved, injected, tuned) in figures.items()
    }
