"""The one-op-a-line text form of programs.

    is_x = Map(x == "x", tokens) : numerical
    prevs = Select(indices, indices, key <= query)
    frac_prevs = Aggregate(prevs, is_x) : numerical

The last line is the output. An op without ``: numerical`` is categorical. Aggregate's default
follows its encoding, as Tracr requires: None for categorical, 0 for numerical. Lines that are empty
or start with ``#`` are skipped.
"""

from __future__ import annotations

import re

from tracrlab.errors import TracrLabError
from tracrlab.rasp.primitives import LINEAR_SEQUENCE_MAP, MAP, SELECT, SEQUENCE_MAP, Primitive
from tracrlab.rasp.primitives import parse_primitive as parse_function
from tracrlab.rasp.program import (
    ARITY,
    CATEGORICAL,
    INPUTS,
    KINDS,
    NUMERICAL,
    Op,
    Program,
)

_LINE = re.compile(
    r"(?P<name>[^\W\d][\w.()+\-]*)\s*=\s*(?P<kind>\w+)\s*\((?P<arguments>.*)\)"
    r"\s*(?::\s*(?P<encoding>\w+))?"
)


def render(program: Program, names: tuple[str, ...] | None = None) -> str:
    """Writes a program as text, one op a line, ops named v1, v2, ... unless `names` are given.

    Raises:
      TracrLabError: if a function is an opaque Python callable, which has no text.
    """
    names = names or tuple(f"v{number + 1}" for number in range(len(program.ops)))
    labels = (*INPUTS, *names)
    lines = []
    for op, name in zip(program.ops, names, strict=True):
        operands = [labels[ref] for ref in op.operands]
        if op.kind in (MAP, SEQUENCE_MAP, LINEAR_SEQUENCE_MAP):
            arguments = [_function_text(op, name), *operands]
        elif op.kind == SELECT:
            arguments = [*operands, _function_text(op, name)]
        else:
            arguments = operands
        suffix = " : numerical" if op.encoding == NUMERICAL else ""
        lines.append(f"{name} = {op.kind}({', '.join(arguments)}){suffix}")
    return "\n".join(lines)


def _function_text(op: Op, name: str) -> str:
    if isinstance(op.function, Primitive):
        return op.function.text
    raise TracrLabError(
        f"the function of {name} ({op.kind}) is a Python callable without a text form; "
        "use a function from tracrlab.rasp.primitives."
    )


def parse(text: str) -> Program:
    """Reads the text form.

    Raises:
      TracrLabError: naming the line and what is wrong in it.
    """
    ops: list[Op] = []
    names: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            name, op = _parse_line(stripped, names)
        except TracrLabError as error:
            raise TracrLabError(f"line {number} of the program: {error}") from None
        ops.append(op)
        names.append(name)
    return Program.of(ops, names)


def _parse_line(line: str, names: list[str]) -> tuple[str, Op]:
    match = _LINE.fullmatch(line)
    if not match:
        raise TracrLabError(f"{line!r} is not of the form `name = Op(arguments)`.")
    name, kind = match["name"], match["kind"]
    if kind not in KINDS:
        raise TracrLabError(f"unknown op {kind!r}; the ops are {', '.join(KINDS)}.")
    if name in INPUTS or name in names:
        raise TracrLabError(f"the name {name!r} is taken already.")
    encoding = match["encoding"] or CATEGORICAL
    if encoding not in (CATEGORICAL, NUMERICAL):
        raise TracrLabError(f"unknown encoding {encoding!r}; it is categorical or numerical.")
    function_text, operand_texts = _split(kind, match["arguments"])
    refs = {label: ref for ref, label in enumerate((*INPUTS, *names))}
    for operand in operand_texts:
        if operand not in refs:
            raise TracrLabError(f"{operand!r} is not computed above; known: {', '.join(refs)}.")
    if kind == SELECT and match["encoding"]:
        raise TracrLabError("a Select has no encoding.")
    function = None if function_text is None else parse_function(kind, function_text)
    operands = tuple(refs[operand] for operand in operand_texts)
    return name, Op(kind, operands, function, None if kind == SELECT else encoding)


def _split(kind: str, arguments: str) -> tuple[str | None, list[str]]:
    """Separates the function, which may hold commas, from the operands, which may not."""
    arity = ARITY[kind]
    if kind in (MAP, SEQUENCE_MAP, LINEAR_SEQUENCE_MAP):
        function, *operands = arguments.rsplit(",", arity)
    elif kind == SELECT:
        *operands, function = arguments.split(",", arity)
    else:
        function, operands = None, arguments.split(",") if arguments.strip() else []
    if len(operands) != arity:
        shape = {0: "", 1: ", operand", 2: ", operand, operand"}[arity]
        usage = {
            SELECT: "keys, queries, predicate",
            "Aggregate": "selector, operand",
            "SelectorWidth": "selector",
        }.get(kind, f"function{shape}")
        raise TracrLabError(f"{kind} takes ({usage}), not ({arguments}).")
    return (
        None if function is None else function.strip(),
        [operand.strip() for operand in operands],
    )
