"""Is a model right? Its weights are run as a transformer and compared with RASP.

The inputs reach together every value of every op and every pair of values that a SequenceMap meets,
and are at least 256 (all of them, where the domain has no more). A None in RASP must be a None of
the model: no output direction reaches one half. A numerical output must be right to 1e-3 (relative,
for numbers above 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tracrlab.compiler.model import BOS, PRESENT, CompiledModel
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.kernels import pair_codes
from tracrlab.rasp.program import CATEGORICAL, FIRST_OP
from tracrlab.rasp.tables import SOpTable
from tracrlab.rasp.truth_table import TruthTable
from tracrlab.rasp.values import Value

#: Largest error of a numerical output, relative for numbers above 1.
TOLERANCE = 1e-3
#: Inputs that are run at once.
BATCH = 1024


@dataclass(frozen=True)
class Verification:
    """The result of a verification.

    Attributes:
      inputs: how many inputs were run.
      mismatches: on how many of them some position was wrong.
      positions: how many positions these inputs have, BOS not counted.
      wrong_positions: how many of them were wrong.
      max_error: largest distance of an output entry from its ideal (one-hot, zero for None, or
        the number).
      example: the first wrong input with what RASP and the model say, for people; empty if none.
    """

    inputs: int
    mismatches: int
    max_error: float
    example: str = ""
    positions: int = 0
    wrong_positions: int = 0

    @property
    def accuracy(self) -> float:
        """Share of the positions that are right."""
        return 1 - self.wrong_positions / max(self.positions, 1)

    @property
    def passed(self) -> bool:
        return self.mismatches == 0 and bool(np.isfinite(self.max_error))


def verify(model: CompiledModel, table: TruthTable, min_inputs: int | None = 256) -> Verification:
    """Runs a model on inputs of a program's domain and compares it with the program's table.

    Args:
      model: the model.
      table: the program on every input.
      min_inputs: at least this many inputs are run, as many more as reach everything; None runs
        all.
    """
    rows = (
        np.arange(len(table.domain.codes))
        if min_inputs is None
        else covering_inputs(table, min_inputs)
    )
    mismatches, max_error, example, wrong_positions = 0, 0.0, "", 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        wrong, error = _compare(model, table, batch)
        wrong_positions += int(np.count_nonzero(wrong))
        wrong = wrong.any(axis=1)
        mismatches += int(np.count_nonzero(wrong))
        max_error = max(max_error, error) if np.isfinite(error) else error
        if wrong.any() and not example:
            example = _describe(model, table, int(batch[np.argmax(wrong)]))
    positions = int(table.domain.mask[rows].sum())
    return Verification(len(rows), mismatches, max_error, example, positions, wrong_positions)


def covering_inputs(table: TruthTable, min_inputs: int) -> np.ndarray:
    """Numbers of inputs that reach every value of every op and every pair of every SequenceMap.

    Filled up to `min_inputs` (or all inputs) in a fixed random order; ascending.
    """
    domain = table.domain
    count = len(domain.codes)
    if count <= min_inputs:
        return np.arange(count)
    order, input_of_position = _orders(count, domain.max_seq_len)
    chosen = np.zeros(count, dtype=bool)
    for number, entry in enumerate(table.tables):
        if not isinstance(entry, SOpTable):
            continue
        combinations = entry.columns
        size = len(entry.values) + 1
        if entry.mapping is not None and entry.mapping.ndim == 2:
            operands = table.program.ops[number - FIRST_OP].operands
            combinations, reached = pair_codes(*(table.tables[ref] for ref in operands))
            size = (reached.shape[0] + 1) * (reached.shape[1] + 1)
        reached_by = np.full(size, -1, dtype=np.int64)
        reached_by[combinations[:, order]] = input_of_position
        chosen[reached_by[reached_by >= 0]] = True
    missing = min_inputs - np.count_nonzero(chosen)
    if missing > 0:
        chosen[order[~chosen[order]][:missing]] = True
    return np.flatnonzero(chosen)


@lru_cache(maxsize=8)
def _orders(count: int, positions: int) -> tuple[np.ndarray, np.ndarray]:
    """A fixed random order of the inputs, and the input of each position in that order."""
    order = np.random.default_rng(0).permutation(count)
    return order, np.broadcast_to(order, (positions, count))


def model_inputs(
    model: CompiledModel, domain: Domain, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a domain as model input: codes with BOS in front, and lengths with it."""
    row_of = {symbol: row for row, symbol in enumerate(model.architecture.input_symbols)}
    look_up = np.array([*(row_of[symbol] for symbol in domain.vocab), row_of[BOS]])
    symbols = look_up[domain.codes[rows]]  # padding becomes BOS, which is masked
    bos = np.full((len(rows), 1), row_of[BOS])
    return np.concatenate([bos, symbols], axis=1), domain.lengths[rows] + 1


def _compare(model: CompiledModel, table: TruthTable, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Which positions are wrong [inputs, positions], and the largest error."""
    logits = model.logits(*model_inputs(model, table.domain, rows))[:, 1:]
    return compare_outputs(model, logits, table, rows)


def compare_outputs(
    model: CompiledModel, logits: np.ndarray, table: TruthTable, rows: np.ndarray
) -> tuple[np.ndarray, float]:
    """Compares what a model said with a program's outputs.

    Args:
      model: says how outputs are read.
      logits: its unembedded outputs without BOS, float32 [rows, positions, output_size].
      table: the program on every input of the domain; for a numerical model, of numbers only.
      rows: numbers of the inputs.

    Returns:
      which positions are wrong, bool [rows, positions] (never at padding), and the largest error.
    """
    wanted = _wanted_outputs(model, table, rows)
    wrong = _wrong(model, read_outputs(model, logits), wanted, table, rows)
    if model.output_encoding == CATEGORICAL:
        ideal = np.eye(len(model.output_values) + 2, len(model.output_values), dtype=np.float32)
        error = np.abs(logits - ideal[wanted]).max(axis=-1)
    else:
        error = np.abs(logits[..., 0] - wanted)
    return wrong, float(np.where(table.domain.mask[rows], error, 0).max())


def read_outputs(model: CompiledModel, logits: np.ndarray) -> np.ndarray:
    """What a model said, as its outputs are read.

    Args:
      model: says how.
      logits: its unembedded outputs without BOS, float32 [rows, positions, output_size].

    Returns:
      [rows, positions]: the column of a value, or the number of columns for None; of a numerical
      model the number itself.
    """
    if model.output_encoding != CATEGORICAL:
        return model.snap(logits[..., 0])
    present = logits.max(axis=-1) >= PRESENT
    return np.where(present, logits.argmax(axis=-1), len(model.output_values))


def wrong_outputs(
    model: CompiledModel, said: np.ndarray, table: TruthTable, rows: np.ndarray | slice
) -> np.ndarray:
    """Where a model's outputs are not a program's.

    Args:
      model: says how outputs are read.
      said: what it said, as `read_outputs` gives it.
      table: the program on every input of the domain; for a numerical model, of numbers only.
      rows: numbers of the inputs.

    Returns:
      bool [rows, positions], never at padding.
    """
    return _wrong(model, said, _wanted_outputs(model, table, rows), table, rows)


def _wrong(
    model: CompiledModel,
    said: np.ndarray,
    wanted: np.ndarray,
    table: TruthTable,
    rows: np.ndarray | slice,
) -> np.ndarray:
    if model.output_encoding == CATEGORICAL:
        wrong = said != wanted
    else:
        wrong = ~(np.abs(said - wanted) <= TOLERANCE * np.maximum(1, np.abs(wanted)))
        # A number cannot be None.
        wrong |= table.output.codes[rows] == len(table.output.values)
    return wrong & table.domain.mask[rows]


def _wanted_outputs(
    model: CompiledModel, table: TruthTable, rows: np.ndarray | slice
) -> np.ndarray:
    """A program's outputs as `read_outputs` gives a model's; of a numerical model, 0 for None.

    A value that the model has no direction for is wrong wherever it is expected: it has a column
    beyond that of None.
    """
    values, codes = table.output.values, table.output.codes[rows]
    if model.output_encoding != CATEGORICAL:
        return np.array([*values, 0], dtype=np.float64)[codes]
    column_of = {value: column for column, value in enumerate(model.output_values)}
    none = len(model.output_values)
    return np.array([*(column_of.get(value, none + 1) for value in values), none])[codes]


def _describe(model: CompiledModel, table: TruthTable, row: int) -> str:
    tokens: list[Value] = table.domain.input(row)
    wanted = table.output.decoded(table.domain, row)
    return f"on {tokens} the program gives {wanted} and the model {model.apply(tokens)}"
