"""The library: an instance of each paper's program, with a domain and an example.

`LIBRARY` has the programs by name. `held_out_programs` builds them anew over a zoo's own
vocabulary, so that what they compute can be kept out of sampling.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

from tracrlab.rasp import paper_programs as papers
from tracrlab.rasp.program import Program
from tracrlab.rasp.values import Value, distinct

_LIBRARY = "Tracr library"
_RASP_PAPER = "RASP paper"


@dataclass(frozen=True)
class LibraryProgram:
    """A program with a domain and an example.

    Attributes:
      name: its key in `LIBRARY`.
      summary: what it computes, in one sentence.
      source: where the program comes from.
      program: the program.
      vocab: the input symbols.
      max_seq_len: the longest input.
      example: an input.
      expected: the output on it, worked out by hand.
      causal: whether a position sees only itself and earlier ones.
      inputs: the inputs on which it is defined, where it is not defined on all.
    """

    name: str
    summary: str
    source: str
    program: Program
    vocab: tuple[Value, ...]
    max_seq_len: int
    example: tuple[Value, ...]
    expected: tuple[Value | None, ...]
    causal: bool = False
    inputs: tuple[tuple[Value, ...], ...] | None = None


_ENTRIES = (
    LibraryProgram(
        "frac_prevs",
        'The fraction of tokens up to here that are "x".',
        "Tracr paper, Figure 2",
        papers.frac_prevs("x"),
        vocab=("a", "b", "c", "x"),
        max_seq_len=5,
        example=("x", "a", "c", "x"),
        expected=(1, 1 / 2, 1 / 3, 1 / 2),
    ),
    LibraryProgram(
        "sort_unique",
        "The tokens in ascending order, where none occurs twice; None where one is missing.",
        "Tracr paper, Figure 5",
        papers.sort_unique(),
        vocab=(1, 2, 3, 4),
        max_seq_len=5,
        example=(2, 4, 3, 1),
        expected=(1, 2, 3, 4),
    ),
    LibraryProgram(
        "sort",
        "The tokens in ascending order.",
        "Tracr paper, Figure 9",
        papers.sort(5),
        vocab=(1, 2, 3, 4, 5),
        max_seq_len=5,
        example=(4, 3, 3, 4),
        expected=(3, 3, 4, 4),
    ),
    LibraryProgram(
        "sort_freq",
        "The tokens, the most frequent first; equally frequent positions keep their order.",
        _LIBRARY,
        papers.sort_freq(5),
        vocab=(1, 2, 3, 4),
        max_seq_len=5,
        example=(2, 4, 2, 1),
        expected=(2, 2, 4, 1),
    ),
    LibraryProgram(
        "most_frequent",
        "The most frequent token, at every position; of equally frequent ones the first.",
        _RASP_PAPER,
        papers.most_frequent(5),
        vocab=("a", "b", "c", "d"),
        max_seq_len=5,
        example=("c", "b", "d", "b", "c"),
        expected=("c", "c", "c", "c", "c"),
    ),
    LibraryProgram(
        "pair_balance",
        'The fraction of "(" up to here less the fraction of ")".',
        "Tracr paper, Figure 10",
        papers.pair_balance("(", ")"),
        vocab=("(", ")"),
        max_seq_len=5,
        example=("(", "(", ")", "("),
        expected=(1, 1, 1 / 3, 1 / 2),
    ),
    LibraryProgram(
        "shuffle_dyck1",
        'Whether the brackets "()" are balanced, at every position.',
        _RASP_PAPER,
        papers.shuffle_dyck([("(", ")")]),
        vocab=("(", ")"),
        max_seq_len=8,
        example=("(", ")", ")", "("),
        expected=(False, False, False, False),
    ),
    LibraryProgram(
        "shuffle_dyck2",
        'Whether "()" and "{}" are balanced, each by itself, at every position.',
        "Tracr paper, Figure 11",
        papers.shuffle_dyck([("(", ")"), ("{", "}")]),
        vocab=("(", ")", "{", "}"),
        max_seq_len=5,
        example=("(", "{", ")", "}"),
        expected=(True, True, True, True),
    ),
    LibraryProgram(
        "shuffle_dyck3",
        'Whether "()", "{}" and "[]" are balanced, each by itself, at every position.',
        "Tracr-injection paper, Algorithm 1",
        papers.shuffle_dyck([("(", ")"), ("{", "}"), ("[", "]")]),
        vocab=("(", ")", "{", "}", "[", "]"),
        max_seq_len=6,
        example=("(", "{", ")", "[", "}", "]"),
        expected=(True, True, True, True, True, True),
    ),
    LibraryProgram(
        "hist",
        "How often each token occurs in the input.",
        _RASP_PAPER,
        papers.hist(),
        vocab=("a", "b", "c", "d"),
        max_seq_len=5,
        example=("a", "b", "a", "c"),
        expected=(2, 1, 2, 1),
    ),
    LibraryProgram(
        "double_hist",
        "How many different tokens occur as often as this one.",
        _RASP_PAPER,
        papers.double_hist(),
        vocab=("a", "b", "c", "d"),
        max_seq_len=5,
        example=("a", "b", "a", "c", "d"),
        expected=(1, 3, 1, 3, 3),
    ),
    LibraryProgram(
        "length",
        "The number of tokens, at every position.",
        _RASP_PAPER,
        papers.length(),
        vocab=("a", "b", "c", "d"),
        max_seq_len=5,
        example=("c", "a", "d"),
        expected=(3, 3, 3),
    ),
    LibraryProgram(
        "reverse",
        "The tokens in reverse order.",
        _RASP_PAPER,
        papers.reverse(),
        vocab=("a", "b", "c", "d"),
        max_seq_len=5,
        example=("a", "b", "c", "d"),
        expected=("d", "c", "b", "a"),
    ),
    LibraryProgram(
        "shift_by_1",
        "The tokens moved one position to the right; None at the first position.",
        _LIBRARY,
        papers.shift_by(1),
        vocab=("a", "b", "c", "d"),
        max_seq_len=5,
        example=("a", "b", "c", "d"),
        expected=(None, "a", "b", "c"),
    ),
    LibraryProgram(
        "shift_by_2",
        "The tokens moved two positions to the right; None at the first two positions.",
        _LIBRARY,
        papers.shift_by(2),
        vocab=("a", "b", "c", "d"),
        max_seq_len=5,
        example=("a", "b", "c", "d"),
        expected=(None, None, "a", "b"),
    ),
    LibraryProgram(
        "detect_pattern_ab",
        'Whether "ab" ends here; None at the first position.',
        _LIBRARY,
        papers.detect_pattern("ab"),
        vocab=("a", "b"),
        max_seq_len=5,
        example=("a", "a", "b", "a"),
        expected=(None, False, True, False),
    ),
    LibraryProgram(
        "detect_pattern_abc",
        'Whether "abc" ends here; None at the first two positions.',
        _LIBRARY,
        papers.detect_pattern("abc"),
        vocab=("a", "b", "c"),
        max_seq_len=6,
        example=("a", "b", "c", "a", "b", "c"),
        expected=(None, None, True, False, False, True),
    ),
    LibraryProgram(
        "count",
        'How often "a" occurs in the input, at every position.',
        _LIBRARY,
        papers.count("a"),
        vocab=("a", "b", "c"),
        max_seq_len=8,
        example=("c", "a", "b", "a"),
        expected=(2, 2, 2, 2),
    ),
    LibraryProgram(
        "count_less_freq",
        "How many positions hold a token that occurs at most twice, at every position.",
        _LIBRARY,
        papers.count_less_freq(2),
        vocab=("a", "b", "c", "d"),
        max_seq_len=5,
        example=("a", "a", "a", "b", "c"),
        expected=(2, 2, 2, 2, 2),
    ),
    LibraryProgram(
        "sum_less_index",
        "Twice the token less the index, through triples.",
        _LIBRARY,
        papers.sum_less_index(),
        vocab=(1, 2, 3),
        max_seq_len=5,
        example=(1, 2, 3),
        expected=(2, 3, 4),
    ),
    LibraryProgram(
        "square_over_token",
        "The square of the index over the token, through triples.",
        _LIBRARY,
        papers.square_over_token(),
        vocab=(1, 2, 3),
        max_seq_len=3,
        example=(1, 2, 3),
        expected=(0, 1 / 2, 4 / 3),
    ),
    LibraryProgram(
        "causal_length",
        "The number of tokens up to here, the length as a causal model sees it.",
        _LIBRARY,
        papers.length(),
        vocab=("a", "b", "c", "d"),
        max_seq_len=5,
        example=("a", "b", "c", "d"),
        expected=(1, 2, 3, 4),
        causal=True,
    ),
)

#: The programs by name.
LIBRARY: dict[str, LibraryProgram] = {entry.name: entry for entry in _ENTRIES}


def held_out_programs(vocab: tuple[Value, ...], max_seq_len: int) -> list[Program]:
    """Every library program over a vocabulary, with every choice of its symbols and numbers.

    Programs that have no meaning there are left out: arithmetic on strings, division by a token
    that may be 0, and shifts by more than the longest input. Of shuffle_dyck there is the version
    with one pair of symbols; those with more have over 20 ops.
    """
    return list(dict.fromkeys(_over(distinct(vocab), max_seq_len)))


def _over(vocab: tuple[Value, ...], max_seq_len: int) -> Iterator[Program]:
    yield from (papers.length(), papers.reverse(), papers.hist(), papers.double_hist())
    yield from (papers.sort_freq(max_seq_len), papers.most_frequent(max_seq_len))
    for symbol in vocab:
        yield papers.frac_prevs(symbol)
        yield papers.count(symbol)
    for pattern in product(vocab, repeat=2):
        yield papers.detect_pattern(pattern)
    for opening, closing in permutations(vocab, 2):
        yield papers.pair_balance(opening, closing)
        yield papers.shuffle_dyck([(opening, closing)])
    for number in range(1, max_seq_len):
        yield papers.shift_by(number)
        yield papers.count_less_freq(number)
    if len({isinstance(symbol, str) for symbol in vocab}) == 1:
        yield papers.sort_unique()
    if all(isinstance(symbol, int) for symbol in vocab):
        yield papers.sort(max_seq_len)
        yield papers.sum_less_index()
        if 0 not in vocab:
            yield papers.square_over_token()
