"""The variables of a compiled program: where they lie in its residual stream, and their values.

The compiled model is the definition of the target streams. They are one-hot (or one number) for
each variable, so they are computed from the interpreter's values, about a hundred times cheaper
than the model's forward pass, and `check_streams` compares the two before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tracrlab.compiler.model import BOS, CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.program import FIRST_OP, NUMERICAL, SELECTOR_WIDTH, Op, Program
from tracrlab.rasp.tables import SOpTable
from tracrlab.rasp.truth_table import evaluate_op, input_tables
from tracrlab.rasp.values import Value, is_number

#: Inputs that are evaluated at once.
BLOCK = 512

#: In place of a value's number: the variable is None, or has no direction for its value.
NONE, UNKNOWN = -1, -2


@dataclass(frozen=True)
class Variable:
    """One RASP variable in the residual stream.

    Attributes:
      name: its name in the program (``tokens`` and ``indices`` are variables too).
      directions: its basis directions, one a value; a numerical variable has one in all.
      values: the value of each direction, as text; empty for a numerical variable.
      stage: the first stage at which it is written: 0 after the embedding, ``2i - 1`` and ``2i``
        after the attention and the MLP of layer i (counted from 1).
      ref: its operand number in the program.
    """

    name: str
    directions: tuple[int, ...]
    values: tuple[str, ...]
    stage: int
    ref: int

    @property
    def numerical(self) -> bool:
        return not self.values


class CompiledProgram:
    """A compiled model with its variables, and their values on inputs.

    Args:
      model: a causal compiled model with labels and a program whose functions can be called.

    Raises:
      TracrLabError: if the model has no labels or no program, or is not causal.
    """

    def __init__(self, model: CompiledModel):
        if model.program is None or not model.labels or not model.architecture.causal:
            raise TracrLabError(
                "a program is injected from a causal compiled model that has its labels and its "
                "program; compile it with causal=True."
            )
        self.model = model
        self.program: Program = model.program
        architecture = model.architecture
        self.symbols = tuple(s for s in architecture.input_symbols if s != BOS)
        self.max_seq_len = architecture.max_seq_len
        self.layers = len(architecture.layers)
        self.stages = 2 * self.layers + 1
        self.written = written_stages(model)
        self.variables = find_variables(model, self.written)
        self.output = self.variables[-1]

    def codes(self, symbols: np.ndarray, *, strict: bool = True) -> np.ndarray:
        """Values of every variable on a batch of inputs, as numbers.

        Args:
          symbols: numbers into `symbols`, int [inputs, positions]; -1 is padding on the right.
          strict: whether a value for which the compiled model has no direction is an error.

        Returns:
          float32 [inputs, positions, variables]: the number of the value's direction, `NONE` where
          the variable is None (or padding), `UNKNOWN` where it has no direction; the number itself
          for a numerical variable.

        Raises:
          TracrLabError: if `strict` and the compiled model is not made for these inputs.
        """
        blocks = [
            self._codes(symbols[start : start + BLOCK], strict=strict)
            for start in range(0, len(symbols), BLOCK)
        ]
        return np.concatenate(blocks)

    def _codes(
        self, symbols: np.ndarray, overrides: Overrides | None = None, *, strict: bool = False
    ) -> np.ndarray:
        domain = self._domain(symbols)
        tables = evaluate_with(self.program, domain, overrides, tolerant=not strict)
        inputs, positions = symbols.shape
        result = np.full((inputs, positions, len(self.variables)), NONE, dtype=np.float32)
        for number, variable in enumerate(self.variables):
            table = tables[variable.ref]
            look_up = self._look_up(variable, table.values, strict=strict)
            result[:, :, number] = look_up[table.columns.T[:, :positions]]
        return result

    def _look_up(self, variable: Variable, values: Sequence[Value], *, strict: bool) -> np.ndarray:
        if variable.numerical:
            return np.array([*values, 0], dtype=np.float32)
        code_of = {text: code for code, text in enumerate(variable.values)}
        found = []
        for value in values:
            code = next((code_of[text] for text in _spellings(value) if text in code_of), None)
            if code is None and strict:
                raise TracrLabError(
                    f"the variable {variable.name} takes the value {value!r}, for which the "
                    "compiled model has no direction; compile it for these inputs."
                )
            found.append(UNKNOWN if code is None else code)
        return np.array([*found, NONE], dtype=np.float32)

    def unknown(self, codes: np.ndarray) -> np.ndarray:
        """Where some variable takes a value that has no direction; bool of the leading shape."""
        categorical = [not variable.numerical for variable in self.variables]
        return (codes[..., categorical] == UNKNOWN).any(axis=-1)

    def counterfactual(self, symbols: np.ndarray, overrides: Overrides) -> np.ndarray:
        """As `codes` (not strict), with values of some variables replaced while the program runs.

        What is computed from a replaced value follows from it; everything before stays.
        """
        return self._codes(symbols, overrides)

    def _domain(self, symbols: np.ndarray) -> Domain:
        words = tuple(
            tuple(self.symbols[code] for code in row[row >= 0].tolist()) for row in symbols
        )
        return Domain(self.symbols, self.max_seq_len, causal=True, inputs=words)

    def outputs(self, codes: np.ndarray) -> np.ndarray:
        """Of `codes`, the numbers of the output's values; int64 of the same leading shape."""
        return codes[..., -1].astype(np.int64)

    def streams(self, codes: np.ndarray, stages: Sequence[int]) -> np.ndarray:
        """Residual streams from variables' values, the slow plain way (training has a fast one).

        Args:
          codes: float32 [..., variables], as `codes` gives them.
          stages: which stages.

        Returns:
          float32 [..., stages, d_model]; the direction ``one`` is 1, and ``BOS`` is 0 as no
          position faces it.
        """
        final = np.zeros((*codes.shape[:-1], self.model.architecture.d_model), dtype=np.float32)
        final[..., self.constant] = 1
        for number, variable in enumerate(self.variables):
            if variable.numerical:
                final[..., variable.directions[0]] = codes[..., number]
                continue
            at = np.array(variable.directions)
            hit = codes[..., number, None] == np.arange(len(at))
            final[..., at] = hit
        for auxiliary, number in self.auxiliary:
            width = codes[..., number]  # the beginning of the sequence is always selected too
            final[..., auxiliary] = 1 / (np.maximum(width, 0) + 1)
        return final[..., None, :] * self.present(stages)

    def present(self, stages: Sequence[int]) -> np.ndarray:
        """Which directions hold their value at which stages, bool [stages, d_model]."""
        return self.written[None, :] <= np.array(stages)[:, None]

    @cached_property
    def constant(self) -> int:
        """The direction that is 1 everywhere."""
        return self.model.labels.index("one")

    @cached_property
    def auxiliary(self) -> list[tuple[int, int]]:
        """Each selector width's attention output: its direction, and the variable's number."""
        found = []
        for number, variable in enumerate(self.variables):
            label = f"{variable.name}_selector_width_attn_output"
            if label in self.model.labels:
                found.append((self.model.labels.index(label), number))
        return found

    def check_streams(self, symbols: np.ndarray, tolerance: float = 0.1) -> None:
        """Compares `streams` with the compiled model's own forward pass on some inputs.

        The weights carry float32 rounding along (0.04 was seen at 45 symbols); a wrong value would
        be 1 away.

        Raises:
          TracrLabError: naming the direction that differs most.
        """
        codes = self.codes(symbols)
        for row, code in zip(symbols, codes, strict=True):
            word = [self.symbols[number] for number in row[row >= 0].tolist()]
            truth = self.model.residuals(word)[:, 1:]
            ours = self.streams(code[: len(word)], range(self.stages)).swapaxes(0, 1)
            error = np.abs(truth - ours).max(axis=(0, 1))
            if error.max() > tolerance:
                worst = int(error.argmax())
                raise TracrLabError(
                    f"the compiled model's direction {self.model.labels[worst]} is "
                    f"{error[worst]:.2g} away from the program's value on the input {word}."
                )


@dataclass(frozen=True)
class Overrides:
    """Replaced values, an entry of each array for one of them.

    At (row, position) the operand `ref` takes the value that it has at (source row, source
    position) of the same batch.
    """

    ref: np.ndarray
    row: np.ndarray
    position: np.ndarray
    source_row: np.ndarray
    source_position: np.ndarray


def evaluate_with(
    program: Program, domain: Domain, overrides: Overrides | None = None, *, tolerant: bool = False
) -> list:
    """Tables of every operand, as `tracrlab.rasp.evaluate`, with replaced values.

    Args:
      program: the program.
      domain: the inputs.
      overrides: values to replace, if any.
      tolerant: whether a function that fails on a combination of values gives None there, as the
        compiled weights do, and not an error.
    """
    tables: list = [
        _override(table, ref, overrides) for ref, table in enumerate(input_tables(domain))
    ]
    for number, (op, name) in enumerate(zip(program.ops, program.names, strict=True)):
        table = evaluate_op(_tolerant(op) if tolerant else op, tables, domain, name)
        tables.append(_override(table, number + FIRST_OP, overrides))
    return tables


def _override(table, ref: int, overrides: Overrides | None):
    if overrides is None or not (chosen := overrides.ref == ref).any():
        return table
    columns = table.columns.copy()
    source = table.columns[overrides.source_position[chosen], overrides.source_row[chosen]]
    columns[overrides.position[chosen], overrides.row[chosen]] = source
    return SOpTable(table.values, columns, table.nones, averages=table.averages)


def _tolerant(op: Op) -> Op:
    if op.function is None or op.is_selector:
        return op

    def function(*arguments, call=op.function):
        try:
            return call(*arguments)
        except Exception:
            return None

    return op._replace(function=function)


def _spellings(value: Value) -> Iterator[str]:
    """A value as labels may print it: 1, True and 1.0 are one value."""
    yield str(value)
    if is_number(value):
        yield str(float(value))
        if float(value).is_integer():
            yield str(int(value))
        if value in (0, 1):
            yield str(bool(value))


def written_stages(model: CompiledModel) -> np.ndarray:
    """The stage at which each direction takes its value, from the weights; int64 [d_model].

    A selector width's attention output is written once more, by the MLP that reads it, but only at
    the beginning of the sequence, which faces no token of a language model.
    """
    weights = model.weights
    written = np.zeros(model.architecture.d_model, dtype=np.int64)
    for number, layer in enumerate(model.architecture.layers):
        halves = (("attn/linear", layer.heads), ("mlp/linear_2", layer.mlp_hidden))
        for half, (name, size) in enumerate(halves, start=1):
            if size:
                writes = (weights[f"layer_{number}/{name}"] != 0).any(axis=0)
                written[writes & (written == 0)] = 2 * number + half
    return written


def find_variables(model: CompiledModel, written: np.ndarray) -> tuple[Variable, ...]:
    """The variables of a model's program in order: tokens, indices, then each op's."""
    labels, program = model.labels, model.program
    found, at = [], 0

    def take(name: str, ref: int, *, numerical: bool = False) -> Variable:
        nonlocal at
        start, prefix = at, f"{name}:"
        if numerical:
            at += 1
        else:
            while at < len(labels) and labels[at].startswith(prefix):
                at += 1
        directions = tuple(range(start, at))
        values = () if numerical else tuple(label[len(prefix) :] for label in labels[start:at])
        stage = int(written[list(directions)].max(initial=0))
        return Variable(name, directions, values, stage, ref)

    tokens = take("tokens", 0)
    symbols = [
        pair for pair in zip(tokens.directions, tokens.values, strict=True) if pair[1] != BOS
    ]
    found.append(Variable("tokens", *map(tuple, zip(*symbols, strict=True)), 0, 0))
    found.append(take("indices", 1))
    at += 1  # the direction `one`
    for number, (op, name) in enumerate(zip(program.ops, program.names, strict=True)):
        if op.is_selector:
            continue
        if op.kind == SELECTOR_WIDTH:
            at += 1
        found.append(take(name, number + FIRST_OP, numerical=op.encoding == NUMERICAL))
    if at != len(labels):
        raise TracrLabError("the labels of the compiled model do not fit its program.")
    return tuple(found)
