"""Programs as token ids, for language models that write programs.

An op is one token for its kind, function template and encoding, then its constants, then its
operands. Common constants are one token; any other is spelled out, so every program has token ids.
The vocabulary is fixed and append-only: ids stored in a zoo keep their meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracrlab.errors import TracrLabError
from tracrlab.rasp.primitives import TEMPLATES, Primitive, constant_count
from tracrlab.rasp.program import (
    AGGREGATE,
    ARITY,
    CATEGORICAL,
    FIRST_OP,
    INPUTS,
    KINDS,
    NUMERICAL,
    SELECT,
    SELECTOR_WIDTH,
    Op,
    Program,
)
from tracrlab.rasp.values import literal, parse_literal

PAD, START, END = 0, 1, 2
MAX_OPS = 62

_SPELL, _SPELL_END = "<spell>", "</spell>"
_COMMON_CONSTANTS = (
    *(str(number) for number in range(-32, 97)),
    *(str(number + 0.5) for number in range(-8, 16)),
    "True",
    "False",
)


def _op_tokens() -> list[str]:
    tokens = []
    for kind in KINDS:
        for template in TEMPLATES.get(kind, {"": None}):
            encodings = [""] if kind == SELECT else [CATEGORICAL, NUMERICAL]
            tokens += [f"{kind}|{template}|{encoding}" for encoding in encodings]
    return tokens


#: Every token, by id.
VOCABULARY: tuple[str, ...] = (
    "<pad>",
    "<start>",
    "<end>",
    *_op_tokens(),
    *INPUTS,
    *(f"v{number + 1}" for number in range(MAX_OPS)),
    *(f"={text}" for text in _COMMON_CONSTANTS),
    _SPELL,
    _SPELL_END,
    *(f"byte {byte}" for byte in range(256)),
)
_ID = {token: number for number, token in enumerate(VOCABULARY)}
_FIRST_REF = _ID[INPUTS[0]]
_FIRST_BYTE = _ID["byte 0"]


def encode(program: Program) -> list[int]:
    """Token ids of a program, without start and end symbols.

    Raises:
      TracrLabError: if the program is longer than `MAX_OPS` or has an opaque function.
    """
    if len(program.ops) > MAX_OPS:
        raise TracrLabError(
            f"the program has {len(program.ops)} ops; token ids exist for at most {MAX_OPS}."
        )
    ids: list[int] = []
    for op, name in zip(program.ops, program.names, strict=True):
        function = op.function
        if function is not None and not isinstance(function, Primitive):
            raise TracrLabError(
                f"the function of {name} is a Python callable; token ids exist for the functions "
                "of tracrlab.rasp.primitives."
            )
        template = function.template if function else ""
        ids.append(_ID[f"{op.kind}|{template}|{op.encoding or ''}"])
        for constant in function.constants if function else ():
            ids.extend(_encode_constant(literal(constant)))
        ids.extend(_FIRST_REF + ref for ref in op.operands)
    return ids


def _encode_constant(text: str) -> list[int]:
    common = _ID.get(f"={text}")
    if common is not None:
        return [common]
    return [_ID[_SPELL], *(_FIRST_BYTE + byte for byte in text.encode()), _ID[_SPELL_END]]


def decode(ids: Iterable[int]) -> Program:
    """The inverse of `encode`; a start symbol, an end symbol and padding are allowed around it.

    Raises:
      TracrLabError: if the ids are not a valid program.
    """
    stream = _program_ids(ids)
    ops: list[Op] = []
    for token_id in stream:
        kind, *rest = VOCABULARY[token_id].split("|")
        if not rest:
            raise TracrLabError(f"token {VOCABULARY[token_id]!r} stands where an op must begin.")
        template, encoding = rest[0], rest[1] or None
        function = None
        if kind not in (AGGREGATE, SELECTOR_WIDTH):
            constants = tuple(_decode_constant(stream) for _ in range(constant_count(template)))
            function = Primitive(kind, template, constants)
        operands = tuple(_decode_operand(stream) for _ in range(ARITY[kind]))
        ops.append(Op(kind, operands, function, encoding))
    return Program.of(ops)


def _program_ids(ids: Iterable[int]) -> Iterator[int]:
    for token_id in ids:
        if not 0 <= token_id < len(VOCABULARY):
            raise TracrLabError(f"token id {token_id} is outside 0..{len(VOCABULARY) - 1}.")
        if token_id == END:
            return
        if token_id not in (PAD, START):
            yield int(token_id)


def _decode_constant(stream: Iterator[int]):
    token = _next(stream)
    if token.startswith("="):
        return parse_literal(token[1:])
    if token != _SPELL:
        raise TracrLabError(f"token {token!r} stands where a constant must be.")
    spelled = bytearray()
    while (token := _next(stream)) != _SPELL_END:
        if not token.startswith("byte "):
            raise TracrLabError(f"token {token!r} stands inside a spelled constant.")
        spelled.append(int(token[5:]))
    try:
        return parse_literal(spelled.decode())
    except UnicodeDecodeError:
        raise TracrLabError("a spelled constant is not valid UTF-8.") from None


def _decode_operand(stream: Iterator[int]) -> int:
    token = _next(stream)
    ref = _ID[token] - _FIRST_REF
    if not 0 <= ref < FIRST_OP + MAX_OPS:
        raise TracrLabError(f"token {token!r} stands where an operand must be.")
    return ref


def _next(stream: Iterator[int]) -> str:
    try:
        return VOCABULARY[next(stream)]
    except StopIteration:
        raise TracrLabError("the token ids end in the middle of an op.") from None
