"""What a task is: a RASP program, and prompts whose answers the program gives token by token.

A prompt is a row of pieces. Each piece is one token of the language model and carries one symbol of
the RASP program: the task's own symbols where the program reads them, `OTHER` for the wording (only
such a piece may be several tokens), `COMPUTE` for the last piece of the prompt. From there on the
program gives the answer: at `COMPUTE` its first piece, at each answer piece the next one, and
behind the last one `END`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from tracrlab.errors import TracrLabError

if TYPE_CHECKING:
    from tracr.rasp import rasp

#: The symbol of every token that is none of the task's own.
OTHER = "other"
#: The symbol of the last prompt token, where the answer begins.
COMPUTE = "compute"
#: The piece that the program and the model give behind an answer.
END = "\n"


class Piece(NamedTuple):
    """A part of a prompt or an answer that is one token of the model.

    Attributes:
      text: what stands in the prompt, blanks included (`" x"`).
      symbol: what the program reads there.
    """

    text: str
    symbol: str = OTHER


@dataclass(frozen=True)
class Example:
    """A prompt with its answer.

    Attributes:
      prompt: the text in front of the answer.
      answer: what greedy decoding must give in front of `END`, blanks stripped.
      pieces: the texts of prompt and answer, one a token; those of the symbol `OTHER` may be
        several tokens, which are all read as `OTHER`.
      symbols: the RASP symbol of each piece.
      supervised: positions in `pieces` whose next token is an answer token or `END`: that of the
        last prompt piece, then that of each answer piece.
    """

    prompt: str
    answer: str
    pieces: tuple[str, ...]
    symbols: tuple[str, ...]
    supervised: tuple[int, ...]

    @property
    def targets(self) -> tuple[str, ...]:
        """The piece that follows each supervised position."""
        return (*(self.pieces[position] for position in self.supervised[1:]), END)

    @property
    def prompt_pieces(self) -> tuple[str, ...]:
        """The pieces of the prompt."""
        return self.pieces[: self.supervised[0] + 1]


def example(prompt: Iterable[Piece], answer: Iterable[Piece]) -> Example:
    """Puts an example together; the last prompt piece becomes `COMPUTE`.

    Args:
      prompt: the pieces of the prompt, at least one.
      answer: the pieces of the answer without `END`, at least one, with their symbols.

    Raises:
      TracrLabError: if either is empty.
    """
    *front, last = tuple(prompt) or (None,)
    answer = tuple(answer)
    if last is None or not answer:
        raise TracrLabError("an example needs at least one piece of prompt and one of answer.")
    pieces = (*front, Piece(last.text, COMPUTE), *answer)
    texts = tuple(piece.text for piece in pieces)
    return Example(
        prompt="".join(texts[: len(front) + 1]),
        answer="".join(piece.text for piece in answer).strip(),
        pieces=texts,
        symbols=tuple(piece.symbol for piece in pieces),
        supervised=tuple(range(len(front), len(pieces))),
    )


@dataclass(frozen=True)
class TestSet:
    """A named set of examples outside the training range.

    Attributes:
      name: as in tables and file names (`x_only`).
      description: one sentence on what differs from training.
      solved: whether the compiled program solves every example; `encoding.check_mark` runs it.
      draw: one example from a generator; none of the training range.
      paper: accuracies that the paper reports, in percent, by method.
      limit: how many different examples there are, where that is few.
    """

    __test__ = False  # not a test case, whatever its name says to pytest

    name: str
    description: str
    solved: bool
    draw: Callable[[np.random.Generator], Example]
    paper: Mapping[str, float] = field(default_factory=dict)
    limit: int | None = None

    def examples(self, count: int, rng: np.random.Generator) -> list[Example]:
        """Different examples, `count` or as many as there are.

        Raises:
          TracrLabError: if there is none, or if `draw` repeats itself before there are enough.
        """
        wanted = count if self.limit is None else min(count, self.limit)
        if wanted < 1:
            raise TracrLabError(
                f"the out-of-distribution set {self.name} has no examples; ask for at least one."
            )
        return distinct_examples(lambda: self.draw(rng), wanted, f"the set {self.name}")


def distinct_examples(
    draw: Callable[[], Example],
    count: int,
    where: str,
    taken: Iterable[str] = (),
    at_least: int | None = None,
) -> list[Example]:
    """Draws until there are `count` examples with different prompts, none of them in `taken`.

    Args:
      draw: gives one example.
      count: how many are wanted.
      where: what is drawn from, for the error.
      taken: prompts that may not come.
      at_least: how many will do where 1,000 draws in a row bring nothing new; `count` by default.

    Raises:
      TracrLabError: if there are fewer than `at_least`.
    """
    seen, found, idle = set(taken), [], 0
    needed = count if at_least is None else at_least
    while len(found) < count:
        drawn = draw()
        if drawn.prompt not in seen:
            seen.add(drawn.prompt)
            found.append(drawn)
            idle = 0
            continue
        idle += 1
        if idle == 1000 and len(found) >= needed:
            break
        if idle == 1000:
            raise TracrLabError(
                f"{where} gives only {len(found):,} different examples of {needed:,} asked for; "
                "ask for fewer, or widen it."
            )
    return found


@runtime_checkable
class Task(Protocol):
    """A task; any object with these members is one.

    Attributes:
      name: as in tables and file names.
      description: one sentence.
      vocabulary: the symbols that the program reads, `OTHER` and `COMPUTE` among them.
      answers: the pieces that answers are made of, `END` among them.
      max_seq_len: the longest input of the compiled program, prompt and answer, in tokens.
      test_sets: the sets outside the training range.
    """

    name: str
    description: str
    vocabulary: tuple[str, ...]
    answers: tuple[str, ...]
    max_seq_len: int
    test_sets: tuple[TestSet, ...]

    def program(self) -> rasp.SOp:
        """The RASP program, causal: at each supervised position, the next piece of the answer."""
        ...

    def sample(self, rng: np.random.Generator) -> Example:
        """One example of the training range."""
        ...

    def inputs(self) -> Sequence[tuple[str, ...]]:
        """Rows of symbols that reach every value of every variable (see `encoding.compile_task`).

        A combination of values that no row reaches is left out of the compiled weights. No rows at
        all: the values are inferred, which is right for every input and may be many more.
        """
        ...
