"""Models over letters and brackets: read as numbers, answered in their own symbols."""

from dataclasses import replace

import numpy as np
import pytest

from tests.decompiler.models import TOKENS
from tracrlab.compiler import BOS, compile_table
from tracrlab.decompiler.building import build
from tracrlab.decompiler.checking import NONE, VERIFIED, Checker
from tracrlab.decompiler.decompiling import Decompiler, Search
from tracrlab.decompiler.grammar import Grammar
from tracrlab.decompiler.model_folder import Trained
from tracrlab.decompiler.symbols import Numbering
from tracrlab.rasp import Domain, Program, evaluate

LETTERS = ("a", "b", "c")
IS_FIRST = "a = Map(x == 0, tokens)"


def of(text, vocab=LETTERS, max_seq_len=3):
    return compile_table(evaluate(Program.from_text(text), Domain(vocab, max_seq_len)))


def translated(text, vocab=LETTERS):
    numbering = Numbering.of(of("v1 = Map(x, tokens)", vocab))
    return numbering.translated(Program.from_text(text)).text().splitlines()


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("Map(x == 0, tokens)", 'Map(x == "a", tokens)'),
        ("Map(x < 2, tokens) : numerical", 'Map(x < "c", tokens) : numerical'),
        ("Map(not x, tokens)", 'Map(x == "a", tokens)'),
        ("Map(x != 7, tokens)", "Map(x != 7, tokens)"),  # no symbol: never equal, in either
        ("Map(x == 1, indices)", "Map(x == 1, indices)"),
        ("Map(not x, indices)", "Map(not x, indices)"),
        ("Map(x + 1, tokens)", "Map(x + 1, tokens)"),  # has no counterpart
    ],
)
def test_one_op_by_hand(written, wanted):
    assert translated(f"v1 = {written}") == [f"v1 = {wanted}"]


BY_HAND = """
before = Select(indices, indices, key < query)
last = Select(tokens, indices, key == {last})
least = Aggregate(before, tokens)
count = SelectorWidth(last)
kept = SequenceMap(max(x, y), least, tokens)
one = Map(x == {one}, kept)
twice = Map(x == 2, count)
again = Map(x == 1, one)
all = SequenceMap(x and y, twice, again)
"""


def test_a_program_by_hand():
    """What passes symbols on is compared with symbols, what counts or tells apart with numbers."""
    written, wanted = BY_HAND.format(last=2, one=1), BY_HAND.format(last='"c"', one='"b"')
    assert translated(written) == Program.from_text(wanted).text().splitlines()


@pytest.mark.parametrize(
    "text",
    [
        IS_FIRST,
        "a = Map(x >= 1, tokens) : numerical",
        "s = Select(tokens, tokens, key < query)\nn = SelectorWidth(s)\nm = Map(x == 1, n)",
        "s = Select(tokens, tokens, key > 0)\nn = SelectorWidth(s) : numerical",
        "i = Map(x + 1, indices)\ns = Select(indices, i, key == query)\na = Aggregate(s, tokens)",
        "a = Map(not x, tokens)\ns = Select(a, tokens, key == True)\nn = SelectorWidth(s)",
    ],
)
def test_the_translation_computes_the_same(text):
    """Verified on the weights of the program over numbers whose symbols are named anew."""
    numbers = of(text, (0, 1, 2))
    named = dict(enumerate(LETTERS))
    outputs = numbers.output_values
    if text.endswith("Aggregate(s, tokens)"):
        outputs = tuple(named[value] for value in outputs)
    architecture = replace(numbers.architecture, input_symbols=(*LETTERS, BOS))
    letters = replace(numbers, architecture=architecture, output_values=outputs, program=None)
    numbering = Numbering.of(letters)

    assert numbering.symbols == named
    again = numbering.numbered(letters)
    assert again.architecture == numbers.architecture
    assert again.output_values == numbers.output_values
    program = numbering.translated(Program.from_text(text))
    assert Checker(letters).check(program).verdict == VERIFIED


def test_symbols_that_are_numbers_stand_for_themselves():
    model = of(IS_FIRST, (1, 2, 4))
    numbering = Numbering.of(model)

    assert numbering.symbols == {}
    assert numbering.numbered(model).architecture == model.architecture
    assert translated("v1 = Map(x == 2, tokens)", (1, 2, 4)) == ["v1 = Map(x == 2, tokens)"]


def test_mixed_symbols():
    """Words take the numbers that are left; a number is itself, as symbol and as count."""
    vocab = (1, 3, "x", "y", "z")
    model = of("a = Map(x, tokens)", vocab, 2)
    numbered = Numbering.of(model).numbered(model)

    assert model.architecture.input_symbols == (*vocab, BOS)
    assert numbered.architecture.input_symbols == (1, 3, 0, 2, 4, BOS)
    assert dict(zip(model.output_values, numbered.output_values, strict=True)) == {
        1: 1, 3: 3, "x": 0, "y": 2, "z": 4,
    }  # fmt: skip
    for number, wanted in ((0, '"x"'), (1, "1"), (2, '"y"'), (3, "3"), (5, "5")):
        text = f"v1 = Map(x == {number}, tokens)"
        assert translated(text, vocab) == [f"v1 = Map(x == {wanted}, tokens)"]


@pytest.mark.parametrize("symbol", ['"', "\\", "(", "é", "x == 1", " ", "\u2028", "0", "True"])
def test_any_symbol_can_be_written_read_and_compiled(symbol):
    vocab = (symbol, "~~")
    [line] = translated(IS_FIRST, vocab)
    model = of(line, vocab)

    assert Program.from_text(line).text() == line
    assert Program.from_tokens(Program.from_text(line).tokens()).text() == line
    word = [symbol, "~~", symbol]
    assert model.apply(word) == [one == min(vocab) for one in word]


def test_whatever_is_written_can_be_checked():
    """Arithmetic on what was a number is refuted or has no verdict, and nothing else happens."""
    model = of('s = Select(tokens, tokens, key == "a")\nn = SelectorWidth(s)')
    numbering, checker = Numbering.of(model), Checker(model)
    grammar = Grammar.of_preset("default", 4, spelled="none")
    refused = 0
    for ids in grammar.walk(150, np.random.default_rng(0)):
        program = numbering.translated(Program.from_tokens(ids))
        check = checker.check(program)
        assert checker.check_parts(program)[1].agreement >= check.agreement
        refused += check.verdict == NONE and bool(check.reason)
        assert Program.from_text(program.text()) == program
    assert 10 < refused < 150


def test_models_over_letters_and_numbers_are_read_together():
    """An untrained decompiler: what counts is whose symbols an answer is in."""
    decompiler = Decompiler(Trained(build(TOKENS).eval(), TOKENS))
    text = "s = Select(tokens, tokens, key == {})\nn = SelectorWidth(s)"
    models = [of(text.format(1), (0, 1, 2)), of(text.format('"b"')), of(text.format('"("'), "()[")]
    together = decompiler.decompile(models, Search(4, 8))
    for model, answer in zip(models, together, strict=True):
        [alone] = decompiler.decompile([model], Search(4, 8))
        assert (answer.program, answer.check) == (alone.program, alone.check)
        assert answer.check.agreement == Checker(model).check(answer.program).agreement


@pytest.mark.parametrize(
    "text", [BY_HAND.format(last=1, one=2), "v1 = Map(not x, tokens)", "v1 = Map(x == 1, indices)"]
)
def test_what_is_translated_back_translates_to_the_same(text):
    numbering = Numbering.of(of("v1 = Map(x, tokens)"))
    own = numbering.translated(Program.from_text(text))
    assert numbering.translated(numbering.untranslated(own)) == own
