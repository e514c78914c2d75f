"""Tasks as arrays: compiled, encoded with a model's tokenizer, split, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracrlab.compiler import BOS
from tracrlab.errors import TracrLabError
from tracrlab.rasp.values import distinct
from tracrlab.tasks.protocol import COMPUTE, OTHER, Example, Task, distinct_examples

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tracrlab.compiler import CompiledModel

#: Inputs that the compiled model runs on at once.
BLOCK = 256


@dataclass(frozen=True)
class Encoded:
    """Examples as arrays, padded on the right.

    Attributes:
      tokens: the model's tokens, int64 [examples, positions]; 0 at padding.
      lengths: tokens of each example, int64 [examples].
      symbols: the compiled model's input codes (its `architecture.input_symbols`, in which the
        vocabulary is sorted), int64 [examples, positions]; 0 at padding.
      supervised: positions whose next token is an answer token or the end, bool [examples,
        positions].
      targets: that next token, int64 [examples, positions]; 0 elsewhere.
      examples: the examples themselves.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    symbols: np.ndarray
    supervised: np.ndarray
    targets: np.ndarray
    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return len(self.tokens)


def compile_task(task: Task) -> CompiledModel:
    """Compiles a task's program, causal, for the values that `Task.inputs` reaches.

    Where a task gives no inputs, the value sets are inferred, for every row of symbols.

    Raises:
      TracrLabError: if the vocabulary lacks `OTHER` or `COMPUTE`, or the program has no weights.
    """
    from tracrlab.compiler import Limits
    from tracrlab.compiler import compile as compile_program

    for symbol in (OTHER, COMPUTE):
        if symbol not in task.vocabulary:
            raise TracrLabError(
                f"the task {task.name} has no symbol {symbol!r} in its vocabulary; add it."
            )
    return compile_program(
        task.program(),
        task.vocabulary,
        task.max_seq_len,
        causal=True,
        inputs=tuple(dict.fromkeys(tuple(row) for row in task.inputs())) or None,
        limits=Limits(d_model=4096, mlp_hidden=65_536, weights=200_000_000),
    )


def encode(task: Task, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]) -> Encoded:
    """Encodes examples piece by piece, so that no two symbols merge into one token.

    Raises:
      TracrLabError: if there are no examples, a piece with a symbol of its own is not one token,
        or a symbol is not in the task's vocabulary.
    """
    if not examples:
        raise TracrLabError(f"the task {task.name} was given no examples to encode.")
    encoder = _PieceEncoder(task, tokenizer)
    rows = [encoder.row(example) for example in examples]
    lengths = np.array([len(tokens) for tokens, *_ in rows], dtype=np.int64)
    shape = (len(rows), int(lengths.max()))
    arrays = [np.zeros(shape, dtype=kind) for kind in (np.int64, np.int64, bool, np.int64)]
    for number, parts in enumerate(rows):
        for array, part in zip(arrays, parts, strict=True):
            array[number, : len(part)] = part
    tokens, symbols, supervised, targets = arrays
    return Encoded(tokens, lengths, symbols, supervised, targets, tuple(examples))


class _PieceEncoder:
    """Encodes pieces, each once."""

    def __init__(self, task: Task, tokenizer: PreTrainedTokenizerBase):
        self.task = task
        self.tokenizer = tokenizer
        self.code_of = {symbol: code for code, symbol in enumerate(distinct(task.vocabulary))}
        self.known: dict[str, list[int]] = {}

    def row(self, example: Example) -> tuple[list, list, list, list]:
        """Tokens, symbols, supervised positions and targets of one example."""
        tokens, symbols, supervised, targets = [], [], [], []
        answer = dict(zip(example.supervised, example.targets, strict=True))
        for position, (piece, symbol) in enumerate(
            zip(example.pieces, example.symbols, strict=True)
        ):
            single = symbol != OTHER or position in answer
            ids = self.single(piece) if single else self.ids(piece)
            tokens += ids
            symbols += [self.code(symbol)] * len(ids)
            supervised += [position in answer] * len(ids)
            target = self.single(answer[position])[0] if position in answer else 0
            targets += [target] * len(ids)
        return tokens, symbols, supervised, targets

    def ids(self, piece: str) -> list[int]:
        """The tokens of a piece by itself."""
        if piece not in self.known:
            self.known[piece] = self.tokenizer.encode(piece, add_special_tokens=False)
        return self.known[piece]

    def single(self, piece: str) -> list[int]:
        """The one token of a piece that carries a symbol."""
        ids = self.ids(piece)
        if len(ids) != 1:
            raise TracrLabError(
                f"the task {self.task.name} needs {piece!r} as one token, and the model's "
                f"tokenizer makes {len(ids)} of it; choose another symbol or another model."
            )
        return ids

    def code(self, symbol: str) -> int:
        if symbol not in self.code_of:
            raise TracrLabError(
                f"the task {self.task.name} has an example with the symbol {symbol!r}, which is "
                f"not in its vocabulary {', '.join(self.task.vocabulary)}."
            )
        return self.code_of[symbol]


def splits(task: Task, train: int, test: int, seed: int) -> tuple[list[Example], list[Example]]:
    """Training and held-out examples of the training range; no prompt occurs twice.

    The held-out ones depend on the seed and `test` alone, so that they stay where training grows.
    A range of fewer than `train` examples is trained on whole, but for the held-out ones.

    Raises:
      TracrLabError: if the range has fewer than twice `test` different examples.
    """
    held_rng, train_rng = (np.random.default_rng([seed, part]) for part in range(2))
    held = distinct_examples(
        lambda: task.sample(held_rng), test, f"the training range of {task.name}"
    )
    taken = {example.prompt for example in held}
    trained = distinct_examples(
        lambda: task.sample(train_rng),
        train,
        f"the training range of {task.name}",
        taken,
        at_least=min(train, test),
    )
    return trained, held


def check(task: Task, compiled: CompiledModel, encoded: Encoded) -> None:
    """Runs the compiled program, causal, on every example, all supervised positions at once.

    Raises:
      TracrLabError: naming the first example whose answer is not made of the task's answer pieces,
        where the program gives another piece, or that is too long for it.
    """
    for example in encoded.examples:
        foreign = [piece for piece in example.targets if piece not in task.answers]
        if foreign:
            raise TracrLabError(
                f"the task {task.name} answers {example.prompt!r} with {foreign[0]!r}, which is "
                "none of its answers; add it to `answers`."
            )
    for example, given in zip(encoded.examples, run_program(compiled, encoded), strict=True):
        if given != example.targets:
            said = "is too long for it" if given is None else f"it gives {_listed(given)}"
            raise TracrLabError(
                f"the program of the task {task.name} does not solve {example.prompt!r}: it must "
                f"give {_listed(example.targets)}, and {said}; mend the program or the examples."
            )


def check_mark(
    task: Task, compiled: CompiledModel, name: str, solved: bool, encoded: Encoded
) -> float:
    """Runs the compiled program on a set of examples, against the set's mark.

    Args:
      task: the task.
      compiled: its compiled program.
      name: of the set.
      solved: whether the program is said to solve every example.
      encoded: the examples.

    Returns:
      the share of examples that it solves, to the end of the answer.

    Raises:
      TracrLabError: if the set is marked as solved and has an example that is not, or the other
        way round.
    """
    if solved:
        check(task, compiled, encoded)
        return 1.0
    given = run_program(compiled, encoded)
    right = sum(g == e.targets for g, e in zip(given, encoded.examples, strict=True))
    if right == len(encoded):
        raise TracrLabError(
            f"the set {name} of the task {task.name} is marked as not solved, and the program "
            f"solves all {right:,} examples; mark it as solved."
        )
    return right / len(encoded)


def run_program(compiled: CompiledModel, encoded: Encoded) -> list[tuple[str | None, ...] | None]:
    """The pieces that the compiled program gives at the supervised positions of each example.

    Returns:
      one tuple an example; None where the example is too long for the program.
    """
    architecture = compiled.architecture
    bos = architecture.input_symbols.index(BOS)
    found: list[tuple[str | None, ...] | None] = [None] * len(encoded)
    fitting = np.flatnonzero(encoded.lengths <= architecture.max_seq_len)
    for start in range(0, len(fitting), BLOCK):
        rows = fitting[start : start + BLOCK]
        longest = int(encoded.lengths[rows].max())
        codes = np.pad(encoded.symbols[rows, :longest], ((0, 0), (1, 0)), constant_values=bos)
        logits = compiled.logits(codes, encoded.lengths[rows] + 1)
        for row, outputs in zip(rows, logits, strict=True):
            at = np.flatnonzero(encoded.supervised[row]) + 1
            found[row] = tuple(compiled.decode(outputs[at]))
    return found


def _listed(pieces: Sequence[str | None]) -> str:
    return " then ".join(repr(piece) for piece in pieces)
