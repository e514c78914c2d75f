"""The weights of each op, as small dense matrices between the directions that it reads and writes.

Tracr's Craft blocks, written as arrays, with what was wrong in them mended:

- Reading a number distinguishes only where the output changes, with a slope that fits between the
  two neighbouring values, so close values stay apart and equal outputs cost no neurons.
- At the beginning-of-sequence position every block writes zero, so that "nothing selected" reads 0.
- A categorical Map to a number may be negative.
- Attention logits are 100 and 50 whatever the size of the keys (Tracr divides them by its root).
- A two-variable Map has a neuron for each pair that occurs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracrlab.compiler.value_sets import PredicateSet, ValueSet
from tracrlab.errors import TracrLabError
from tracrlab.rasp.primitives import LINEAR_SEQUENCE_MAP, MAP, SEQUENCE_MAP
from tracrlab.rasp.program import AGGREGATE, FIRST_OP, NUMERICAL, SELECTOR_WIDTH, Program

#: Attention logit of a selected key; the beginning-of-sequence key has half of it.
COLDNESS = 100.0
#: A number is told from its neighbour by a ramp over this part of the gap between them.
RAMP = 0.25
#: The ramp's output may be off by at most this much through float32 rounding.
RAMP_ERROR = 1e-2

Sets = Sequence[ValueSet | PredicateSet]


@dataclass(frozen=True)
class MLPBlock:
    """``relu(x[reads] @ linear_1) @ linear_2``, added to ``x[writes]``."""

    reads: np.ndarray
    linear_1: np.ndarray
    linear_2: np.ndarray
    writes: np.ndarray


@dataclass(frozen=True)
class AttentionBlock:
    """One head. ``logits`` [query directions, key directions] are what the softmax must see."""

    query_reads: np.ndarray
    key_reads: np.ndarray
    logits: np.ndarray
    value_reads: np.ndarray
    writes: np.ndarray


def attention_sizes(program: Program, number: int, sets: Sets) -> tuple[int, int]:
    """Key and value size of an op's head: key values and the BOS symbol; what is moved."""
    op = program.ops[number]
    select = program.ops[op.operands[0] - FIRST_OP]
    key_size = len(sets[select.operands[0]].values) + 1
    if op.kind == SELECTOR_WIDTH or op.encoding == NUMERICAL:
        return key_size, 1
    return key_size, len(sets[number + FIRST_OP].values)


def hidden_size(program: Program, number: int, sets: Sets) -> int:
    """Number of neurons of an op's MLP block."""
    op = program.ops[number]
    own = sets[number + FIRST_OP]
    if op.kind == AGGREGATE:
        return 0
    if op.kind == LINEAR_SEQUENCE_MAP:
        return 4
    if op.kind == SELECTOR_WIDTH:
        return 2 + 2 * (len(own.values) - 1)
    if op.kind == SEQUENCE_MAP and op.operands[0] != op.operands[1]:
        return int(np.count_nonzero((own.mapping >= 0) & (own.mapping < len(own.values))))
    if program.encoding(op.operands[0]) == NUMERICAL:
        return 1 + 2 * len(_changes(_single_mapping(op, own)))
    if op.encoding == NUMERICAL:
        return 1 + int(min(own.values, default=0) < 0)
    return len(own.values)


def attention_block(
    program: Program, number: int, sets: Sets, directions: Sequence[np.ndarray], one: int, bos: int
) -> AttentionBlock:
    """The head of an Aggregate, or of a SelectorWidth (which moves the BOS direction)."""
    op = program.ops[number]
    selector_ref = op.operands[0]
    select = program.ops[selector_ref - FIRST_OP]
    keys, queries = (directions[ref] for ref in select.operands)
    is_width = op.kind == SELECTOR_WIDTH
    logits = np.zeros((len(queries) + 1, len(keys) + 1))
    logits[:-1, :-1] = COLDNESS * sets[selector_ref].predicate
    # Nothing selected: attend to BOS, where every value reads zero. A width counts BOS always.
    logits[-1, -1] = COLDNESS if is_width else COLDNESS / 2
    if is_width:
        value_reads, writes = np.array([bos]), np.zeros(0, dtype=np.int64)
    elif op.encoding == NUMERICAL:
        value_reads, writes = directions[op.operands[1]], directions[number + FIRST_OP]
    else:
        position = {value: i for i, value in enumerate(sets[op.operands[1]].values)}
        moved = [position[value] for value in sets[number + FIRST_OP].values]
        value_reads = directions[op.operands[1]][moved]
        writes = directions[number + FIRST_OP]
    return AttentionBlock(
        np.append(queries, one), np.append(keys, bos), logits, value_reads, writes
    )


def mlp_block(
    program: Program,
    number: int,
    sets: Sets,
    directions: Sequence[np.ndarray],
    one: int,
    bos: int,
    width_direction: int | None = None,
) -> MLPBlock:
    """The MLP of a Map, SequenceMap, LinearSequenceMap or SelectorWidth.

    Raises:
      TracrLabError: if two numbers with different results are too close for float32.
    """
    op = program.ops[number]
    own = sets[number + FIRST_OP]
    writes = directions[number + FIRST_OP]
    targets = _targets(own.values, numerical=op.encoding == NUMERICAL)
    reads = [directions[ref] for ref in op.operands]
    if op.kind == LINEAR_SEQUENCE_MAP:
        return _linear(*reads, op.function.constants, writes)
    if op.kind == SELECTOR_WIDTH:
        return _width(own.values, targets, width_direction, one, bos, writes)
    if op.kind == SEQUENCE_MAP and op.operands[0] != op.operands[1]:
        return _pairs(own.mapping, targets, *reads, one, writes)
    mapping = _single_mapping(op, own)
    if program.encoding(op.operands[0]) == NUMERICAL:
        numbers = np.array(sets[op.operands[0]].values, dtype=np.float64)
        block = _Discretised.of(numbers, mapping, targets, program.names[number])
        return block.mlp(reads[0], one, bos, 0.0, writes)
    if op.encoding == NUMERICAL:
        return _look_up_number(mapping, targets, reads[0], writes)
    return _look_up(mapping, targets, reads[0], writes)


def _targets(values: Sequence, *, numerical: bool) -> np.ndarray:
    """What each value writes, [values + 1, directions]; the last row is None, which writes zero."""
    if numerical:
        return np.array([*values, 0], dtype=np.float64)[:, None]
    return np.concatenate([np.eye(len(values)), np.zeros((1, len(values)))])


def _single_mapping(op, own: ValueSet) -> np.ndarray:
    """The mapping of an op of one variable; a SequenceMap of one op with itself is one."""
    return own.mapping if op.kind == MAP else np.diagonal(own.mapping)


def _look_up(
    mapping: np.ndarray, targets: np.ndarray, reads: np.ndarray, writes: np.ndarray
) -> MLPBlock:
    """Categorical to categorical: a neuron for each output value."""
    return MLPBlock(reads, targets[mapping], np.eye(len(writes)), writes)


def _look_up_number(
    mapping: np.ndarray, targets: np.ndarray, reads: np.ndarray, writes: np.ndarray
) -> MLPBlock:
    """Categorical to numerical: one neuron for the positive part, one for a negative part."""
    numbers = targets[mapping]
    if numbers.min() >= 0:
        return MLPBlock(reads, numbers, np.ones((1, 1)), writes)
    return MLPBlock(reads, np.hstack([numbers, -numbers]), np.array([[1.0], [-1.0]]), writes)


def _pairs(
    mapping: np.ndarray,
    targets: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    one: int,
    writes: np.ndarray,
) -> MLPBlock:
    """Two categorical variables: neuron (i, j) is relu(x_i + y_j - 1)."""
    i, j = np.nonzero((mapping >= 0) & (mapping < len(targets) - 1))
    neurons = np.arange(len(i))
    linear_1 = np.zeros((len(first) + len(second) + 1, len(i)))
    linear_1[i, neurons] = 1
    linear_1[len(first) + j, neurons] = 1
    linear_1[-1] = -1
    return MLPBlock(
        np.concatenate([first, second, [one]]), linear_1, targets[mapping[i, j]], writes
    )


def _linear(
    first: np.ndarray, second: np.ndarray, factors: Sequence[float], writes: np.ndarray
) -> MLPBlock:
    """a * x + b * y, from the positive and negative part of each."""
    linear_1 = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])
    a, b = factors
    linear_2 = np.array([[a], [-a], [b], [-b]], dtype=np.float64)
    return MLPBlock(np.concatenate([first, second]), linear_1, linear_2, writes)


def _width(
    widths: Sequence[int],
    targets: np.ndarray,
    width_direction: int,
    one: int,
    bos: int,
    writes: np.ndarray,
) -> MLPBlock:
    """From 1 / (width + 1), the attention to BOS, to the width; BOS itself is cleaned."""
    order = np.arange(len(widths))[::-1]  # ascending in 1 / (width + 1)
    shares = 1 / (np.array(widths, dtype=np.float64)[order] + 1)
    discretised = _Discretised.of(shares, order, targets, "a selector width")
    block = discretised.mlp(np.array([width_direction]), one, bos, 1.0, writes)
    rows, neurons = block.linear_1.shape
    linear_1 = np.zeros((rows, neurons + 1))
    linear_1[:, :-1] = block.linear_1
    linear_1[2, -1] = 1  # the BOS direction
    linear_2 = np.zeros((neurons + 1, len(writes) + 1))
    linear_2[:-1, :-1] = block.linear_2
    linear_2[-1, -1] = -1
    return MLPBlock(block.reads, linear_1, linear_2, np.append(writes, width_direction))


def _changes(mapping: np.ndarray) -> np.ndarray:
    """Positions among the values that occur where the result differs from the one before."""
    occurring = mapping[mapping >= 0]
    return np.flatnonzero(occurring[1:] != occurring[:-1])


@dataclass(frozen=True)
class _Discretised:
    """A step function of one number: `levels` [steps + 1, outputs] between ramps."""

    slopes: np.ndarray
    starts: np.ndarray
    levels: np.ndarray

    @classmethod
    def of(
        cls, numbers: np.ndarray, mapping: np.ndarray, targets: np.ndarray, name: str
    ) -> _Discretised:
        """From ascending numbers and the code of each one's result."""
        numbers, mapping = numbers[mapping >= 0], mapping[mapping >= 0]
        changes = _changes(mapping)
        below, above = numbers[changes], numbers[changes + 1]
        slopes = 1 / (RAMP * (above - below))
        error = slopes * np.maximum(np.abs(below), np.abs(above)) * np.finfo(np.float32).eps
        if error.max(initial=0) > RAMP_ERROR:
            worst = int(np.argmax(error))
            raise TracrLabError(
                f"{name} must tell {below[worst]} from {above[worst]}, which are too close for "
                "float32 weights; make the values differ more or the inputs shorter."
            )
        starts = (below + above) / 2 - 0.5 / slopes
        levels = targets[mapping[np.concatenate([[0], changes + 1])]]
        return cls(slopes, starts, levels)

    def mlp(
        self, reads: np.ndarray, one: int, bos: int, at_bos: float, writes: np.ndarray
    ) -> MLPBlock:
        """Two neurons a step, relu(s(x - start)) - relu(s(x - start) - 1), and one for the start.

        At the BOS position, where the number is `at_bos`, no neuron is active.
        """
        steps = len(self.slopes)
        linear_1 = np.zeros((3, 1 + 2 * steps))
        linear_1[0, 1:] = np.repeat(self.slopes, 2)
        linear_1[1, 0] = 1
        linear_1[1, 1:] = np.repeat(-self.slopes * self.starts, 2)
        linear_1[1, 2::2] -= 1
        linear_1 = linear_1.astype(np.float32)
        at_bos_input = linear_1[0] * np.float32(at_bos) + linear_1[1]
        linear_1[2] = -np.maximum(at_bos_input, 0) - (1 if at_bos else 0)
        steps_up = np.diff(self.levels, axis=0)
        linear_2 = np.zeros((1 + 2 * steps, self.levels.shape[1]))
        linear_2[0] = self.levels[0]
        linear_2[1::2] = steps_up
        linear_2[2::2] = -steps_up
        return MLPBlock(np.concatenate([reads, [one, bos]]), linear_1, linear_2, writes)
