"""Models over letters and brackets, read by decompilers that know numbers alone.

Meta-models are trained on programs over the symbols 0, 1, ... A symbol that is no number is
therefore read as one: the least number, from 0, that no other symbol of the model is, in the order
of the symbols. Symbols that are numbers stand for themselves, so a model over numbers is read as
it is. What is written is translated back: a number that is compared with symbols becomes the
symbol that it stands for. The translation decides nothing; the program over the model's own
symbols is what is executed against the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

from tracrlab.compiler.model import BOS, PAD, CompiledModel
from tracrlab.rasp.primitives import MAP, SELECT, SEQUENCE_MAP, Primitive
from tracrlab.rasp.program import AGGREGATE, Function, Op, Program
from tracrlab.rasp.values import Value, is_number, sort_key

#: Templates that compare a value, the first operand's, with the constant.
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_WITH_CONSTANT = {
    MAP: frozenset(f"x {sign} c" for sign in _COMPARISONS),
    SELECT: frozenset(f"key {sign} c" for sign in _COMPARISONS),
}


@dataclass(frozen=True)
class Numbering:
    """The symbols of one model that are no numbers, and what they are read as.

    Attributes:
      symbols: the symbol that each number stands for; empty for a model over numbers.
    """

    symbols: Mapping[int, Value]

    @classmethod
    def of(cls, model: CompiledModel) -> Numbering:
        """Numbers the input symbols of a model."""
        known = [one for one in model.architecture.input_symbols if one not in (BOS, PAD)]
        free = (number for number in count() if number not in known)
        words = sorted((one for one in known if not is_number(one)), key=sort_key)
        return cls(dict(zip(free, words, strict=False)))

    def numbered(self, model: CompiledModel) -> CompiledModel:
        """The model with numbers for its symbols, among its inputs and its output values."""
        number_of = {symbol: number for number, symbol in self.symbols.items()}

        def numbers(values: tuple[Value, ...]) -> tuple[Value, ...]:
            return tuple(number_of.get(value, value) for value in values)

        architecture = model.architecture
        return replace(
            model,
            architecture=replace(architecture, input_symbols=numbers(architecture.input_symbols)),
            output_values=numbers(model.output_values),
        )

    def translated(self, program: Program) -> Program:
        """A program over the numbers as one over the symbols.

        Constants that are compared with symbols become symbols, ``not x`` becomes ``x == c`` with
        the symbol that 0 stands for. All else stays as it is: counts and positions are numbers in
        either program, and what is computed with a symbol's number has no counterpart, which
        execution finds out.
        """
        if not self.symbols:
            return program
        holds_symbols = [True, False]  # tokens, indices
        ops = []
        for op in program.ops:
            given = [holds_symbols[ref] for ref in op.operands]
            function = self._function(op.function) if given[0] else op.function
            ops.append(op._replace(function=function))
            holds_symbols.append(_gives_symbols(op, given))
        return Program.of(ops, program.names)

    def untranslated(self, program: Program) -> Program:
        """A program over the symbols as one over the numbers, which translates to it.

        Symbols among the constants become the numbers that they stand for.
        """
        number_of = {symbol: number for number, symbol in self.symbols.items()}

        def numbered(function: Function | None) -> Function | None:
            if not isinstance(function, Primitive):
                return function
            constants = tuple(number_of.get(one, one) for one in function.constants)
            return replace(function, constants=constants)

        ops = [op._replace(function=numbered(op.function)) for op in program.ops]
        return Program.of(ops, program.names)

    def _function(self, function: Function | None) -> Function | None:
        """A function whose first operand holds symbols."""
        if not isinstance(function, Primitive):
            return function
        if function.template in _WITH_CONSTANT.get(function.op, ()):
            (constant,) = function.constants
            symbol = self.symbols.get(constant, constant)
            return Primitive(function.op, function.template, (symbol,))
        if (function.op, function.template) == (MAP, "not x") and 0 in self.symbols:
            return Primitive(MAP, "x == c", (self.symbols[0],))
        return function


def _gives_symbols(op: Op, given: list[bool]) -> bool:
    """Whether an op passes symbols on, by which of its operands hold symbols."""
    if op.kind == AGGREGATE:
        return given[1]
    template = op.function.template if isinstance(op.function, Primitive) else ""
    passes = {MAP: ("x",), SEQUENCE_MAP: ("min(x, y)", "max(x, y)")}
    return template in passes.get(op.kind, ()) and all(given)
