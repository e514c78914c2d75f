"""Interchange interventions on a task's prompts: other symbols, and what the program says to them.

A prompt's symbols are the program's first variable, `tokens`. Exchanging some of them for others is
an interchange intervention on it, and the compiled program gives the answer and every later
variable. Nothing here knows the task: what may be exchanged, and what stands for what, is read off
the training examples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracrlab.errors import TracrLabError
from tracrlab.injection.compiled import CompiledProgram
from tracrlab.tasks.protocol import OTHER


@dataclass(frozen=True)
class Examples:
    """Encoded examples, padded on the right.

    Attributes:
      tokens: the model's tokens, int64 [examples, positions].
      lengths: real positions of each, int64 [examples].
      symbols: numbers of the program's symbols [examples, positions], -1 at padding.
      supervised: positions whose next token is an answer token, bool [examples, positions].
      targets: that next token, int64 [examples, positions]; without meaning elsewhere.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    symbols: np.ndarray
    supervised: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def prompts(self) -> np.ndarray:
        """Length of each prompt, int64 [examples]: its last token is the first supervised one."""
        return self.supervised.argmax(axis=1) + 1

    def take(self, rows: np.ndarray) -> Examples:
        """Some of the examples, cut to the longest of them."""
        longest = int(self.lengths[rows].max(initial=1))
        return Examples(
            self.tokens[rows, :longest],
            self.lengths[rows],
            self.symbols[rows, :longest],
            self.supervised[rows, :longest],
            self.targets[rows, :longest],
        )

    def prompt_keys(self) -> set[bytes]:
        """One value for each different prompt."""
        ends = self.prompts
        return {row[:end].tobytes() for row, end in zip(self.tokens, ends, strict=True)}


def of_encoded(encoded) -> Examples:
    """Examples from `tracrlab.tasks.encoding.encode`: padding marked in the symbols."""
    real = np.arange(encoded.tokens.shape[1]) < np.asarray(encoded.lengths)[:, None]
    return Examples(
        np.asarray(encoded.tokens, dtype=np.int64),
        np.asarray(encoded.lengths, dtype=np.int64),
        np.where(real, encoded.symbols, -1),
        np.asarray(encoded.supervised, dtype=bool),
        np.asarray(encoded.targets, dtype=np.int64),
    )


class PromptInterchange:
    """Makes prompts that differ from given ones in some of the symbols that vary.

    Args:
      program: the compiled program.
      examples: training examples to read everything off.
      codes: values of the program's variables on them (`CompiledProgram.codes`).
      fillers: tokens that may stand where the program reads `other`, those of text; int64 [n].
      excluded: prompts that must not be made (`Examples.prompt_keys`): those of every test set.
    """

    def __init__(
        self,
        program: CompiledProgram,
        examples: Examples,
        codes: np.ndarray,
        fillers: np.ndarray,
        excluded: set[bytes] = frozenset(),
    ):
        self.program = program
        self.excluded = excluded
        size = int(max(examples.tokens.max(), examples.targets.max(), fillers.max(initial=0))) + 1
        positions = np.arange(examples.tokens.shape[1])
        in_prompt = positions < examples.prompts[:, None] - 1  # the last prompt token is "compute"
        in_answer = (positions >= examples.prompts[:, None]) & (examples.symbols >= 0)
        self.prompt_symbol = _only_symbol(examples, in_prompt, size)
        self.answer_symbol = _only_symbol(examples, in_answer, size)
        self.varying = _varying_tokens(examples.tokens, in_prompt, size)
        other = program.symbols.index(OTHER) if OTHER in program.symbols else -1
        self.varying_others = self.varying[self.prompt_symbol[self.varying] == other]
        own = np.unique(np.concatenate([examples.tokens.ravel(), examples.targets.ravel()]))
        self.fillers = np.setdiff1d(fillers, own)
        self._exchangeable = np.zeros(size, dtype=bool)
        self._exchangeable[self.varying] = self._exchangeable[self.fillers] = True
        self.other = other
        self.target_of, self.ends = answer_tokens(program, examples, codes)
        self.longest_answer = int(examples.supervised.sum(axis=1).max())
        self.shortest, self.longest = int(examples.prompts.min()), int(examples.prompts.max())

    def make(self, bases: Examples, generator: np.random.Generator) -> tuple[Examples, np.ndarray]:
        """Exchanges symbols of each prompt and lets the program answer.

        Which tokens come in, and how many places they take, is drawn anew for each prompt: half of
        the prompts change in one or two places, half in any share of them. Half lose or gain a
        place, within the lengths of the training range. Tokens that the program reads as `other`
        may be renamed to any token of plain text.

        Args:
          bases: the prompts to start from.
          generator: random numbers.

        Returns:
          examples in the same order, and for which of them it succeeded, bool [examples]; a base
          stays where the program gives no answer, or where the new prompt is excluded.
        """
        edited = [
            self._edited(tokens[:end], symbols[:end], generator)
            for tokens, symbols, end in zip(bases.tokens, bases.symbols, bases.prompts, strict=True)
        ]
        prompts = np.array([len(tokens) for tokens, _ in edited])
        room = int(min(prompts.max() + self.longest_answer - 1, self.program.max_seq_len))
        rows = len(bases)
        tokens = np.zeros((rows, room), dtype=np.int64)
        symbols = np.full((rows, room), -1, dtype=np.int64)
        for row, (own_tokens, own_symbols) in enumerate(edited):
            tokens[row, : prompts[row]], symbols[row, : prompts[row]] = own_tokens, own_symbols
        made, finished = self._answered(tokens, symbols, prompts)
        for row in np.flatnonzero(finished):
            finished[row] = tokens[row, : prompts[row]].tobytes() not in self.excluded
        return _merged(bases, made, finished), finished

    def _edited(
        self, tokens: np.ndarray, symbols: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """A prompt with symbols exchanged, one of which may be gone or there twice."""
        tokens, symbols = self._exchanged(tokens, symbols, generator)
        gained = generator.choice([-1, 0, 0, 1])
        places = np.flatnonzero(self._exchangeable[tokens[:-1]])
        if not gained or len(places) < 2:
            return tokens, symbols
        if not self.shortest <= len(tokens) + gained <= self.longest:
            return tokens, symbols
        kept = np.ones(len(tokens), dtype=np.int64)
        kept[generator.choice(places)] += gained
        return np.repeat(tokens, kept), np.repeat(symbols, kept)

    def _exchanged(
        self, tokens: np.ndarray, symbols: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        tokens, symbols = tokens.copy(), symbols.copy()
        places = np.flatnonzero(np.isin(tokens[:-1], self.varying))
        if len(places):
            few = generator.integers(1, 3) if generator.random() < 0.5 else None
            count = few or max(1, round(generator.random() * len(places)))
            chosen = generator.permutation(places)[:count]
            subset = generator.permutation(self.varying)
            subset = subset[: generator.integers(1, len(subset) + 1)]
            tokens[chosen] = generator.choice(subset, size=len(chosen))
            symbols[chosen] = self.prompt_symbol[tokens[chosen]]
        if len(self.varying_others) and len(self.fillers) and generator.random() < 0.5:
            renamed = tokens[:-1] == generator.choice(self.varying_others)
            tokens[:-1][renamed] = generator.choice(self.fillers)
            symbols[:-1][renamed] = self.other
        return tokens, symbols

    def _answered(
        self, tokens: np.ndarray, symbols: np.ndarray, prompts: np.ndarray
    ) -> tuple[Examples, np.ndarray]:
        """Greedy decoding with the compiled program itself."""
        rows = np.arange(len(tokens))
        lengths = prompts.copy()
        supervised = np.zeros(tokens.shape, dtype=bool)
        targets = np.zeros_like(tokens)
        open_, finished = np.ones(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
        for _ in range(self.longest_answer):
            at = lengths - 1
            values = np.full(len(rows), -1)
            codes = self.program.codes(symbols[open_], strict=False)
            outputs = self.program.outputs(codes)[np.arange(len(codes)), at[open_]]
            # A value for which there is no direction cannot be aligned.
            values[open_] = np.where(self.program.unknown(codes).any(axis=1), -1, outputs)
            answer = np.where(values >= 0, self.target_of[values], -1)
            open_ &= answer >= 0
            supervised[rows[open_], at[open_]] = True
            targets[rows[open_], at[open_]] = answer[open_]
            ended = open_ & np.isin(answer, self.ends)
            finished |= ended
            open_ &= ~ended & (lengths < tokens.shape[1])
            open_ &= self.answer_symbol[np.maximum(answer, 0)] >= 0
            if not open_.any():
                break
            tokens[rows[open_], lengths[open_]] = answer[open_]
            symbols[rows[open_], lengths[open_]] = self.answer_symbol[answer[open_]]
            lengths[open_] += 1
        return Examples(tokens, lengths, symbols, supervised, targets), finished


def _only_symbol(examples: Examples, where: np.ndarray, size: int) -> np.ndarray:
    """The symbol of each token at some positions, -1 of tokens that are not there; int64 [size]."""
    symbol = np.full(size, -1, dtype=np.int64)
    tokens, symbols = examples.tokens[where], examples.symbols[where]
    symbol[tokens] = symbols
    if (symbol[tokens] != symbols).any():
        token = int(tokens[np.argmax(symbol[tokens] != symbols)])
        raise TracrLabError(
            f"the token {token} stands for two symbols of the program; give each its own."
        )
    return symbol


def _varying_tokens(tokens: np.ndarray, where: np.ndarray, size: int) -> np.ndarray:
    """Tokens of which prompts do not all hold equally many; those of the wording they do."""
    rows = np.broadcast_to(np.arange(len(tokens))[:, None], tokens.shape)[where]
    found, column = np.unique(tokens[where], return_inverse=True)
    counts = np.zeros((len(tokens), len(found)), dtype=np.int64)
    np.add.at(counts, (rows, column), 1)
    return found[(counts != counts[:1]).any(axis=0)]


def answer_tokens(
    program: CompiledProgram, examples: Examples, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The token of each output value (-1 of one never seen), and the tokens that end answers."""
    target_of = np.full(len(program.output.values), -1, dtype=np.int64)
    outputs = program.outputs(codes)[examples.supervised]
    targets = examples.targets[examples.supervised]
    if (outputs < 0).any():
        raise TracrLabError("the program gives no answer at some supervised position of the task.")
    target_of[outputs] = targets
    width = examples.supervised.shape[1]
    last = width - 1 - examples.supervised[:, ::-1].argmax(axis=1)
    return target_of, np.unique(examples.targets[np.arange(len(examples)), last])


def _merged(bases: Examples, made: Examples, use: np.ndarray) -> Examples:
    """Rows of `made` where `use`, of `bases` elsewhere, padded alike."""
    width = max(bases.tokens.shape[1], made.tokens.shape[1])

    def mix(name: str, fill) -> np.ndarray:
        first, second = getattr(bases, name), getattr(made, name)
        result = np.full((len(use), width), fill, dtype=first.dtype)
        result[~use, : first.shape[1]] = first[~use]
        result[use, : second.shape[1]] = second[use]
        return result

    lengths = np.where(use, made.lengths, bases.lengths)
    return Examples(
        mix("tokens", 0), lengths, mix("symbols", -1), mix("supervised", False), mix("targets", 0)
    )
