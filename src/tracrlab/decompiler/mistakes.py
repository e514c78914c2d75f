"""What is wrong in a wrong program: Inverse Tracr's Table 5.1, counted automatically.

The predicted ops are first laid beside the true ones, in order and with gaps, so that one missing
op does not make every later one wrong. Variables are then compared through that pairing: a variable
is right if it names the op that is paired with the one the true program names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tracrlab.decompiler.program_encoding import NA, RESULT_SLOT, lines_text
from tracrlab.rasp.primitives import SELECT, Primitive
from tracrlab.rasp.program import ARITY, FIRST_OP, INPUTS, KINDS, Op, Program

WRONG_VARIABLE = "wrong variable"
WRONG_LAMBDA = "wrong lambda"
WRONG_PREDICATE = "wrong predicate"
WRONG_CONSTANT = "wrong constant"
WRONG_ENCODING = "wrong encoding"
WRONG_ORDER = "operands exchanged"
WRONG_OP = "wrong op"
MISSING = "missing line"
EXTRA = "extra line"
INVALID = "not a program"
#: Kinds of mistake; the first columns are those of the thesis.
MISTAKES = (
    WRONG_VARIABLE,
    WRONG_LAMBDA,
    WRONG_OP,
    MISSING,
    EXTRA,
    WRONG_PREDICATE,
    WRONG_CONSTANT,
    WRONG_ENCODING,
    WRONG_ORDER,
    INVALID,
)

#: Rows and columns of the confusion of ops; the last is no op: a missing or an extra line.
CONFUSION_NAMES = (*KINDS, "none")

Pair = tuple[int | None, int | None]

#: What a line may name as an operand, by its number.
_VARIABLES = (*INPUTS, *RESULT_SLOT[1:])

# Costs of the alignment. A gap on either side costs a little more than half of the worst pair, so
# that an op of another kind stands beside the true one rather than as one missing and one extra.
_GAP = 4
_OTHER_KIND, _OTHER_TEMPLATE, _OTHER_CONSTANT, _OTHER_ENCODING, _OTHER_OPERAND = 6, 2, 1, 1, 1


def align(predicted: Sequence[Op], true: Sequence[Op]) -> list[Pair]:
    """Pairs predicted with true ops, in order (Needleman and Wunsch), cheapest in all.

    Returns:
      (number of the predicted op, number of the true op); None in one of them is a gap.
    """
    rows, columns = len(predicted), len(true)
    cost = np.zeros((rows + 1, columns + 1), dtype=np.int64)
    cost[:, 0], cost[0, :] = _GAP * np.arange(rows + 1), _GAP * np.arange(columns + 1)
    pair = np.array([[_pair_cost(p, t) for t in true] for p in predicted]).reshape(rows, columns)
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            beside = cost[i - 1, j - 1] + pair[i - 1, j - 1]
            cost[i, j] = min(beside, cost[i - 1, j] + _GAP, cost[i, j - 1] + _GAP)
    pairs: list[Pair] = []
    i, j = rows, columns
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + pair[i - 1, j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and cost[i, j] == cost[i - 1, j] + _GAP:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def _pair_cost(predicted: Op, true: Op) -> int:
    if predicted.kind != true.kind:
        return _OTHER_KIND
    cost = _OTHER_ENCODING * (predicted.encoding != true.encoding)
    if _template(predicted) != _template(true):
        cost += _OTHER_TEMPLATE
    elif _constants(predicted) != _constants(true):
        cost += _OTHER_CONSTANT
    # Which op a variable names is not known yet, but inputs have no other names.
    for one, other in zip(predicted.operands, true.operands, strict=True):
        cost += _OTHER_OPERAND * (min(one, FIRST_OP) != min(other, FIRST_OP))
    return cost


def _template(op: Op) -> object:
    return op.function.template if isinstance(op.function, Primitive) else op.function


def _constants(op: Op) -> tuple:
    return op.function.constants if isinstance(op.function, Primitive) else ()


def mistakes(predicted: Program | None, true: Program) -> Counter[str]:
    """Mistakes in one program, by kind; empty exactly if the two are equal.

    None is a prediction that is no program: one mistake, and every line missing.
    """
    if predicted is None:
        return Counter({INVALID: 1, MISSING: len(true)})
    return op_mistakes(predicted.ops, true.ops)


def op_mistakes(predicted: Sequence[Op], true: Sequence[Op]) -> Counter[str]:
    """As `mistakes`, for ops that need not make a program, such as those of `line_ops`."""
    if list(predicted) == list(true):
        return Counter()
    pairs = align(predicted, true)
    paired = {ref: ref for ref in range(FIRST_OP)}
    for one, other in pairs:
        if one is not None and other is not None:
            paired[one + FIRST_OP] = other + FIRST_OP
    found: Counter[str] = Counter()
    for one, other in pairs:
        if one is None:
            found[MISSING] += 1
        elif other is None:
            found[EXTRA] += 1
        elif predicted[one].kind != true[other].kind:
            found[WRONG_OP] += 1
        else:
            found.update(_op_mistakes(predicted[one], true[other], paired))
    return found


def line_ops(lines: np.ndarray) -> list[Op]:
    """The ops that the thesis's lines [15, 5] of one program write, as far as they say.

    Functions are templates, and nothing is said of constants and encodings. A line may be no op
    that there is: variables that are missing have the number -1, and superfluous ones are left out.
    """
    ops = []
    for kind, *arguments, _ in lines_text(lines):
        if kind == NA:
            continue
        refs = [_VARIABLES.index(symbol) for symbol in arguments if symbol in _VARIABLES]
        functions = [symbol for symbol in arguments if symbol not in (NA, *_VARIABLES)]
        operands = (*refs, -1, -1)[: ARITY[kind]]
        ops.append(Op(kind, operands, functions[0] if functions else None, None))
    return ops


def _op_mistakes(predicted: Op, true: Op, paired: dict[int, int]) -> Iterable[str]:
    if _template(predicted) != _template(true):
        yield WRONG_PREDICATE if true.kind == SELECT else WRONG_LAMBDA
    elif _constants(predicted) != _constants(true):
        yield WRONG_CONSTANT
    if predicted.encoding != true.encoding:
        yield WRONG_ENCODING
    operands = tuple(paired.get(ref, -1) for ref in predicted.operands)
    if operands == true.operands:
        return
    if operands == true.operands[::-1]:
        yield WRONG_ORDER
        return
    yield from [WRONG_VARIABLE] * sum(a != b for a, b in zip(operands, true.operands, strict=True))


@dataclass(frozen=True)
class MistakeReport:
    """Mistakes over many programs.

    Attributes:
      programs, wrong: how many programs there are, and how many of them are wrong.
      counts: mistakes of each kind.
      share: percentage of the wrong programs with at least one mistake of the kind.
      confusion: true op kinds by predicted ones, int64, ordered as `CONFUSION_NAMES`.
    """

    programs: int
    wrong: int
    counts: dict[str, int]
    share: dict[str, float]
    confusion: np.ndarray


def report(predicted: Sequence[Sequence[Op] | None], true: Sequence[Sequence[Op]]) -> MistakeReport:
    """Counts the mistakes of many programs, given as their ops; None is no program."""
    counts: Counter[str] = Counter()
    with_kind: Counter[str] = Counter()
    confusion = np.zeros((len(CONFUSION_NAMES),) * 2, dtype=np.int64)
    wrong = 0
    for one, other in zip(predicted, true, strict=True):
        ops = one if one is not None else ()
        found = op_mistakes(ops, other)
        found[INVALID] += one is None
        found = +found
        wrong += bool(found)
        counts.update(found)
        with_kind.update(found.keys())
        for left, right in align(ops, other):
            row = len(KINDS) if right is None else KINDS.index(other[right].kind)
            column = len(KINDS) if left is None else KINDS.index(ops[left].kind)
            confusion[row, column] += 1
    return MistakeReport(
        programs=len(true),
        wrong=wrong,
        counts={kind: counts[kind] for kind in MISTAKES},
        share={kind: 100 * with_kind[kind] / wrong if wrong else 0.0 for kind in MISTAKES},
        confusion=confusion,
    )
