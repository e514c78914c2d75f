"""The programs of the RASP and Tracr papers, in the text form.

Each function builds one program from its parameters; its ops are named as in Tracr's library.
`tracrlab.rasp.library` holds instances of them with domains and examples.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracrlab.errors import TracrLabError
from tracrlab.rasp.program import Program
from tracrlab.rasp.values import Value, literal

_LENGTH = (
    "all_true_selector = Select(tokens, tokens, True)",
    "length = SelectorWidth(all_true_selector)",
)
_HIST = ("same_tok = Select(tokens, tokens, key == query)", "hist = SelectorWidth(same_tok)")
_PREVS = ("prevs = Select(indices, indices, key <= query)",)


def _program(*lines: str) -> Program:
    return Program.from_text("\n".join(lines))


def length() -> Program:
    """The number of tokens, at every position."""
    return _program(*_LENGTH)


def reverse() -> Program:
    """The tokens in reverse order."""
    return _program(
        *_LENGTH,
        "opp_idx_plus_1 = SequenceMap(x - y, length, indices)",
        "opp_idx = Map(x - 1, opp_idx_plus_1)",
        "reverse_selector = Select(indices, opp_idx, key == query)",
        "reverse = Aggregate(reverse_selector, tokens)",
    )


def hist() -> Program:
    """How often each token occurs in the input."""
    return _program(*_HIST)


def double_hist() -> Program:
    """How many different tokens occur as often as this one (RASP paper, section 4).

    Positions whose tokens are equally frequent, divided by that frequency, are distinct tokens.
    """
    return _program(
        *_HIST,
        "same_hist = Select(hist, hist, key == query)",
        "num_same_hist = SelectorWidth(same_hist)",
        "double_hist = SequenceMap(x // y, num_same_hist, hist)",
    )


def count(symbol: Value) -> Program:
    """How often a symbol occurs in the input, at every position."""
    return _program(
        f"is_symbol = Select(tokens, tokens, key == {literal(symbol)})",
        "count = SelectorWidth(is_symbol)",
    )


def count_less_freq(times: int) -> Program:
    """How many positions hold a token that occurs at most `times` times, at every position."""
    return _program(
        *_HIST,
        f"select_less = Select(hist, hist, key <= {times})",
        "count_less_freq = SelectorWidth(select_less)",
    )


def frac_prevs(symbol: Value) -> Program:
    """The fraction of tokens up to here that are a symbol."""
    return _program(
        f"is_x = Map(x == {literal(symbol)}, tokens) : numerical",
        *_PREVS,
        "frac_prevs = Aggregate(prevs, is_x) : numerical",
    )


def pair_balance(opening: Value, closing: Value) -> Program:
    """The fraction of opening symbols up to here less the fraction of closing ones."""
    return _program(*_PREVS, *_balance(opening, closing, ""))


def _balance(opening: Value, closing: Value, suffix: str) -> tuple[str, ...]:
    """Lines that end in ``pair_balance{suffix}``; they use ``prevs``."""
    return (
        f"bools_open{suffix} = Map(x == {literal(opening)}, tokens) : numerical",
        f"bools_close{suffix} = Map(x == {literal(closing)}, tokens) : numerical",
        f"opens{suffix} = Aggregate(prevs, bools_open{suffix}) : numerical",
        f"closes{suffix} = Aggregate(prevs, bools_close{suffix}) : numerical",
        f"pair_balance{suffix} = LinearSequenceMap(1 * x + -1 * y, opens{suffix}, closes{suffix})"
        " : numerical",
    )


def shuffle_dyck(pairs: Sequence[tuple[Value, Value]]) -> Program:
    """Whether each kind of bracket is balanced by itself, at every position.

    Args:
      pairs: the opening and the closing symbol of each kind.

    Raises:
      TracrLabError: if there are no pairs.
    """
    if not pairs:
        raise TracrLabError("shuffle_dyck needs at least one pair of symbols.")
    lines = [*_LENGTH, *_PREVS]
    for number, (opening, closing) in enumerate(pairs, start=1):
        lines += _balance(opening, closing, f"_{number}")
        lines.append(f"negative_{number} = Map(x < 0, pair_balance_{number})")
        lines.append(f"zero_{number} = Map(x == 0, pair_balance_{number})")
    any_negative = _fold(lines, "x or y", "negative", "any_negative", len(pairs))
    all_zero = _fold(lines, "x and y", "zero", "all_zero", len(pairs))
    return _program(
        *lines,
        f"any_negative_number = Map(x, {any_negative}) : numerical",
        "select_all = Select(indices, indices, True)",
        "has_neg = Aggregate(select_all, any_negative_number) : numerical",
        "not_has_neg = Map(not x, has_neg)",
        "last_idx = Map(x - 1, length)",
        "select_last = Select(indices, last_idx, key == query)",
        f"last_zero = Aggregate(select_last, {all_zero})",
        "shuffle_dyck = SequenceMap(x and y, last_zero, not_has_neg)",
    )


def _fold(lines: list[str], function: str, name: str, result: str, terms: int) -> str:
    """Joins ``{name}_1`` to ``{name}_{terms}`` pair by pair; returns the name of the last op."""
    joined = f"{name}_1"
    for number in range(2, terms + 1):
        lines.append(f"{result}_{number} = SequenceMap({function}, {joined}, {name}_{number})")
        joined = f"{result}_{number}"
    return joined


def _sorted_by(keys: str) -> tuple[str, ...]:
    """The tokens in the order of unique keys."""
    return (
        f"smaller = Select({keys}, {keys}, key < query)",
        "target_pos = SelectorWidth(smaller)",
        "sel_new = Select(target_pos, indices, key == query)",
        "sort = Aggregate(sel_new, tokens)",
    )


def _frequency_keys(max_seq_len: int) -> tuple[str, ...]:
    """Unique keys that are smaller for tokens that are more frequent, then for earlier ones."""
    return (
        *_HIST,
        "neg_hist = Map(-1 * x, hist)",
        f"keys = SequenceMap(x + y / {max_seq_len}, neg_hist, indices)",
    )


def sort_unique() -> Program:
    """The tokens in ascending order, where none occurs twice; None where one is missing."""
    return _program(*_sorted_by("tokens"))


def sort(max_seq_len: int) -> Program:
    """The tokens, whole numbers, in ascending order; equal ones may occur."""
    keys = f"keys = SequenceMap(x + y / {max_seq_len}, tokens, indices)"
    return _program(keys, *_sorted_by("keys"))


def sort_freq(max_seq_len: int) -> Program:
    """The tokens, the most frequent first; equally frequent positions keep their order."""
    return _program(*_frequency_keys(max_seq_len), *_sorted_by("keys"))


def most_frequent(max_seq_len: int) -> Program:
    """The most frequent token, at every position; of equally frequent ones the first in the input.

    The position with the smallest key is moved everywhere.
    """
    return _program(
        *_frequency_keys(max_seq_len),
        "smaller = Select(keys, keys, key < query)",
        "rank = SelectorWidth(smaller)",
        "select_first = Select(rank, indices, key == 0)",
        "most_frequent = Aggregate(select_first, tokens)",
    )


def shift_by(offset: int) -> Program:
    """The tokens moved `offset` positions to the right; None in front of them."""
    return _program(
        f"select_off_by_offset = Select(indices, indices, query == key + {offset})",
        "shift_by = Aggregate(select_off_by_offset, tokens)",
    )


def detect_pattern(pattern: Sequence[Value]) -> Program:
    """Whether a pattern ends here; None at the positions before its first possible end.

    Raises:
      TracrLabError: if the pattern is empty.
    """
    if not pattern:
        raise TracrLabError("detect_pattern needs a pattern of at least one symbol.")
    lines, detectors = [], []
    for number, symbol in enumerate(pattern):
        offset = len(pattern) - 1 - number
        lines.append(f"is_{number} = Map(x == {literal(symbol)}, tokens)")
        detectors.append(f"is_{number}")
        if offset:
            lines.append(f"back_{offset} = Select(indices, indices, query == key + {offset})")
            lines.append(f"was_{number} = Aggregate(back_{offset}, is_{number})")
            detectors[-1] = f"was_{number}"
    joined = detectors[0]
    for number, detector in enumerate(detectors[1:], start=1):
        lines.append(f"detected_{number} = SequenceMap(x and y, {joined}, {detector})")
        joined = f"detected_{number}"
    return _program(*lines)


def sum_less_index() -> Program:
    """The value x + y - z of token, token and index, through tuples (Tracr's n-ary SequenceMap)."""
    return _program(
        "pairs = SequenceMap((x, y), tokens, tokens)",
        "triples = SequenceMap((x, y), pairs, indices)",
        "sum_less_index = Map(x[0] + x[1] - x[2], triples)",
    )


def square_over_token() -> Program:
    """The value x * y / z of index, index and token, through tuples (Tracr's n-ary SequenceMap)."""
    return _program(
        "pairs = SequenceMap((x, y), indices, indices)",
        "triples = SequenceMap((x, y), pairs, tokens)",
        "square_over_token = Map(x[0] * x[1] / x[2], triples)",
    )
