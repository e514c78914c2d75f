"""Programs from and to ``tracr.rasp`` objects.

A `Primitive` is an ordinary callable, so it survives the way to Tracr and back. The lambdas that
``tracr.rasp`` makes for overloaded operators (``tokens == "x"``) are recognised; any other Python
function is kept as it is: such a program runs and compiles, but has no text.
"""

from __future__ import annotations

from functools import cache

from tracr.rasp import rasp

from tracrlab.errors import TracrLabError
from tracrlab.rasp.primitives import (
    LINEAR_SEQUENCE_MAP,
    MAP,
    SELECT,
    SEQUENCE_MAP,
    Primitive,
)
from tracrlab.rasp.program import (
    AGGREGATE,
    CATEGORICAL,
    FIRST_OP,
    INDICES,
    NUMERICAL,
    SELECTOR_WIDTH,
    TOKENS,
    Function,
    Op,
    Program,
)

_COMPARISONS = {
    comparison: f"key {comparison.value} query"
    if comparison not in (rasp.Comparison.TRUE, rasp.Comparison.FALSE)
    else comparison.value
    for comparison in rasp.Comparison
}


@cache
def _operator_templates() -> dict[object, tuple[str, str]]:
    """The code object of each lambda behind an overloaded operator, and the template it is."""
    sop, other = rasp.tokens, rasp.indices
    maps = {
        "x < c": sop < 0,
        "x <= c": sop <= 0,
        "x == c": sop == 0,
        "x != c": sop != 0,
        "x > c": sop > 0,
        "x >= c": sop >= 0,
        "x + c": sop + 0,
        "c + x": 0 + sop,
        "x - c": sop - 0,
        "c - x": 0 - sop,
        "x * c": sop * 0,
        "c * x": 0 * sop,
        "x / c": sop / 1,
        "c / x": 1 / sop,
        "not x": ~sop,
        "x and c": sop & 0,
        "c and x": 0 & sop,
        "x or c": sop | 0,
        "c or x": 0 | sop,
    }
    sequence_maps = {
        "x + y": sop + other,
        "x - y": sop - other,
        "x * y": sop * other,
        "x / y": sop / other,
        "x and y": sop & other,
        "x or y": sop | other,
    }
    return {sop_.f.__code__: (MAP, template) for template, sop_ in maps.items()} | {
        sop_.f.__code__: (SEQUENCE_MAP, template) for template, sop_ in sequence_maps.items()
    }


def _recognised(function: object) -> Function:
    if isinstance(function, Primitive):
        return function
    if isinstance(function, rasp.Comparison):
        return Primitive(SELECT, _COMPARISONS[function])
    op, template = _operator_templates().get(getattr(function, "__code__", None), (None, None))
    if op is None:
        return function
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    constants = tuple(cell for cell in cells if isinstance(cell, bool | int | float | str))
    try:
        return Primitive(op, template, constants)
    except TracrLabError:
        return function


def from_tracr(sop: rasp.SOp) -> Program:
    """Converts a ``tracr.rasp`` SOp; names given with ``.named`` are kept.

    Raises:
      TracrLabError: if it uses an object that no program can hold (Full, ConstantSOp, compound
        selectors, the length primitive), a default other than Tracr's, or numerical inputs.
    """
    ops: list[Op] = []
    names: list[str | None] = []
    refs: dict[int, int] = {}
    for expression in _in_order(sop):
        if isinstance(expression, rasp.TokensType | rasp.IndicesType):
            if rasp.is_numerical(expression):
                raise TracrLabError(f"{expression.label} is numerical; the inputs are categorical.")
            refs[id(expression)] = TOKENS if isinstance(expression, rasp.TokensType) else INDICES
            continue
        operands = tuple(refs[id(child)] for child in expression.children)
        refs[id(expression)] = len(ops) + FIRST_OP
        ops.append(_op(expression, operands))
        names.append(_given_name(expression))
    if not ops:
        raise TracrLabError("the program is an input itself; it needs at least one op.")
    return Program.of(ops, names)


def _in_order(sop: rasp.SOp) -> list[rasp.RASPExpr]:
    """Every expression once, operands before their users."""
    done: dict[int, rasp.RASPExpr] = {}
    stack = [(sop, False)]
    while stack:
        expression, expanded = stack.pop()
        if id(expression) in done:
            continue
        if expanded:
            done[id(expression)] = expression
        else:
            stack.append((expression, True))
            stack.extend((child, False) for child in reversed(expression.children))
    return list(done.values())


def _op(expression: rasp.RASPExpr, operands: tuple[int, ...]) -> Op:
    if isinstance(expression, rasp.Select):
        return Op(SELECT, operands, _recognised(expression.predicate), None)
    if isinstance(expression, rasp.SOp):
        encoding = NUMERICAL if rasp.is_numerical(expression) else CATEGORICAL
        if isinstance(expression, rasp.Map):
            return Op(MAP, operands, _recognised(expression.f), encoding)
        if isinstance(expression, rasp.LinearSequenceMap):
            factors = (expression.fst_fac, expression.snd_fac)
            function = Primitive(LINEAR_SEQUENCE_MAP, "a * x + b * y", factors)
            return Op(LINEAR_SEQUENCE_MAP, operands, function, encoding)
        if isinstance(expression, rasp.SequenceMap):
            return Op(SEQUENCE_MAP, operands, _recognised(expression.f), encoding)
        if isinstance(expression, rasp.Aggregate):
            default = 0 if encoding == NUMERICAL else None
            if expression.default != default:
                raise TracrLabError(
                    f"{expression.name} has default {expression.default!r}; a {encoding} Aggregate "
                    f"has default {default}."
                )
            return Op(AGGREGATE, operands, None, encoding)
        if isinstance(expression, rasp.SelectorWidth):
            return Op(SELECTOR_WIDTH, operands, None, encoding)
    raise TracrLabError(
        f"{expression.name} is a {type(expression).__name__}, which has no weights; write it with "
        "Map, SequenceMap, LinearSequenceMap, Select, Aggregate and SelectorWidth."
    )


def _given_name(expression: rasp.RASPExpr) -> str | None:
    name = expression.name
    return None if name == rasp.default_name(expression) else name


def to_tracr(program: Program) -> rasp.SOp:
    """The same program as ``tracr.rasp`` objects, named like its ops."""
    expressions: list[rasp.RASPExpr] = [rasp.tokens, rasp.indices]
    for op, name in zip(program.ops, program.names, strict=True):
        operands = [expressions[ref] for ref in op.operands]
        expression = _expression(op, operands).named(name)
        if op.encoding == NUMERICAL:
            expression = rasp.numerical(expression)
        expressions.append(expression)
    return expressions[-1]


def _expression(op: Op, operands: list[rasp.RASPExpr]) -> rasp.RASPExpr:
    if op.kind == MAP:
        return rasp.Map(op.function, *operands, simplify=False)
    if op.kind == SEQUENCE_MAP:
        return rasp.SequenceMap(op.function, *operands)
    if op.kind == LINEAR_SEQUENCE_MAP:
        return rasp.LinearSequenceMap(*operands, *op.function.constants)
    if op.kind == SELECT:
        return rasp.Select(*operands, _tracr_predicate(op.function))
    if op.kind == AGGREGATE:
        return rasp.Aggregate(*operands, default=0 if op.encoding == NUMERICAL else None)
    return rasp.SelectorWidth(*operands)


def _tracr_predicate(function: Function) -> Function:
    for comparison, template in _COMPARISONS.items():
        if isinstance(function, Primitive) and function.template == template:
            return comparison
    return function
