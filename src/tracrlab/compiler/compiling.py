"""`compile`: every stage from a program to a model, in order."""

from __future__ import annotations

from collections.abc import Collection

from tracrlab.compiler.architecture import Limits, ModelTooLargeError
from tracrlab.compiler.assembly import assemble
from tracrlab.compiler.layout import Layout, plan
from tracrlab.compiler.model import BOS, PAD, CompiledModel
from tracrlab.compiler.value_sets import value_sets
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import MAX_ENUMERATED, Domain
from tracrlab.rasp.primitives import LINEAR_SEQUENCE_MAP, SELECT, SEQUENCE_MAP
from tracrlab.rasp.program import AGGREGATE, CATEGORICAL, FIRST_OP, NUMERICAL, Program
from tracrlab.rasp.truth_table import TruthTable, evaluate
from tracrlab.rasp.values import Value

#: A selector's truth table has inputs x positions x positions entries, at most this many.
MAX_SELECTOR_ENTRIES = 2**30


class UnsupportedProgramError(TracrLabError):
    """A program that RASP defines and no weights can compute."""


def compile(
    program,
    vocab: Collection[Value],
    max_seq_len: int,
    causal: bool = False,
    *,
    reference: bool = False,
    limits: Limits | None = None,
    inputs: Collection[Collection[Value]] | None = None,
) -> CompiledModel:
    """Compiles a RASP program to transformer weights (Tracr paper, section 3).

    Where the domain (all inputs of up to `max_seq_len` symbols) has at most 4,096 inputs, value
    sets are those that are reached; a larger domain's are inferred, and conditions on values are
    checked on 4,096 seeded inputs.

    None is represented by the absence of a categorical value: the model's output is None exactly
    where no output direction reaches one half.

    Args:
      program: a `Program`, or any ``tracr.rasp`` SOp.
      vocab: the input symbols, without the reserved ``compiler_bos`` and ``compiler_pad``.
      max_seq_len: the longest input, without the beginning-of-sequence symbol.
      causal: whether attention is masked causally (and the program is understood so).
      reference: give Tracr's own weights, bit for bit, with what is wrong in them.
      limits: the largest model to compile.
      inputs: the inputs on which the program is defined, where it is not defined on all.

    Returns:
      the compiled model.

    Raises:
      UndefinedProgramError: if RASP cannot evaluate the program on some input.
      UnsupportedProgramError: if the program cannot be represented exactly.
      ModelTooLargeError: if the model would pass the limits.
      TracrLabError: if the vocabulary holds a reserved symbol.
    """
    _check_vocabulary(vocab)
    limits = limits or Limits()
    if reference:
        from tracrlab.compiler.reference import compile_reference

        return compile_reference(program, vocab, max_seq_len, causal=causal, limits=limits)
    if not isinstance(program, Program):
        program = Program.from_tracr(program)
    domain = Domain(
        tuple(vocab),
        max_seq_len,
        causal,
        None if inputs is None else tuple(tuple(word) for word in inputs),
    )
    _check_evaluation(domain, limits)
    return compile_table(evaluate(program, domain), limits)


def compile_table(table: TruthTable, limits: Limits | None = None) -> CompiledModel:
    """Compiles a program that has been evaluated already; arguments and errors as `compile`."""
    layout = lay_out(table, limits or Limits())
    encoding = table.program.output.encoding
    return CompiledModel(
        architecture=layout.architecture,
        weights=assemble(layout),
        labels=layout.labels,
        output_encoding=encoding,
        output_values=layout.sets[-1].values if encoding == CATEGORICAL else (),
        program=table.program,
    )


def lay_out(table: TruthTable, limits: Limits) -> Layout:
    """The plan of a program's model, checked against what can be represented and the limits."""
    _check_vocabulary(table.domain.vocab)
    check_supported(table)
    layout = plan(table.program, value_sets(table, limits), table.domain, BOS)
    layout.architecture.check(limits)
    return layout


def check_supported(table: TruthTable) -> None:
    """Raises UnsupportedProgramError where weights could not be exact."""
    program = table.program
    for number, (op, name) in enumerate(zip(program.ops, program.names, strict=True)):
        reason = _unsupported_encoding(program, number)
        entry = table.tables[number + FIRST_OP]
        if reason is None and op.kind == SELECT and entry.selects_none:
            reason = "it selects positions whose key or query is None"
        if reason is None and op.encoding == CATEGORICAL and op.kind == AGGREGATE:
            reason = "it averages different categorical values" if entry.averages else None
        if reason is None and op.encoding == NUMERICAL:
            if not entry.numeric:
                reason = "it is numerical and has values that are not numbers"
            elif entry.nones:
                reason = "it is numerical and None somewhere, which a number cannot say"
        if reason is None and op.encoding == CATEGORICAL and not entry.values:
            reason = "it is None everywhere"
        if reason:
            raise UnsupportedProgramError(
                f"{name} ({op.kind}) cannot be compiled: {reason}; change the op or its encoding."
            )


def _unsupported_encoding(program: Program, number: int) -> str | None:
    op = program.ops[number]
    encodings = [program.encoding(ref) for ref in op.operands]
    if op.kind == SELECT and NUMERICAL in encodings:
        return "its keys and queries must be categorical"
    if op.kind == SEQUENCE_MAP and (NUMERICAL in encodings or op.encoding == NUMERICAL):
        return "its operands and output must be categorical"
    if op.kind == LINEAR_SEQUENCE_MAP and (CATEGORICAL in encodings or op.encoding == CATEGORICAL):
        return "its operands and output must be numerical"
    if op.kind == AGGREGATE and encodings[1] != op.encoding:
        return f"its operand is {encodings[1]} and its output {op.encoding}"
    return None


def _check_evaluation(domain: Domain, limits: Limits) -> None:
    """Every symbol and position is a direction, and selectors hold all pairs of positions."""
    directions = len(domain.vocab) + domain.max_seq_len
    if directions > limits.d_model:
        raise ModelTooLargeError(
            f"the model would be too large: its inputs alone take {directions:,} residual "
            f"directions, the limit is {limits.d_model:,}; shorten the inputs or raise the limit."
        )
    count = min(domain.size, MAX_ENUMERATED) if domain.inputs is None else domain.size
    if count * domain.max_seq_len**2 > MAX_SELECTOR_ENTRIES:
        raise TracrLabError(
            f"{count:,} inputs of up to {domain.max_seq_len:,} symbols take too much memory to "
            "evaluate; shorten the inputs, or give fewer of them with `inputs`."
        )


def _check_vocabulary(vocab: Collection[Value]) -> None:
    for symbol in (BOS, PAD):
        if symbol in vocab:
            raise TracrLabError(
                f"the vocabulary holds {symbol!r}, which is reserved; rename that symbol."
            )
