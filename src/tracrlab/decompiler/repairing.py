"""Programs that are one token away from a given one: what is tried where no candidate is right.

A beam holds what the meta-model thinks likely as a whole. Where it is sure of a mistake, all of its
candidates share it, and execution shows which of them is nearly right all the same. So every token
of that one is exchanged for every other that leaves a valid program of the same shape, the likelier
ones first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracrlab.decompiler.checking import Candidate
from tracrlab.decompiler.grammar import Grammar
from tracrlab.rasp.program import Program
from tracrlab.rasp.tokens import END

#: How many exchanges are looked at for each that is wanted: some leave no valid program.
_LOOKED_AT = 4


def neighbours(
    grammar: Grammar, tokens: np.ndarray, log_probs: np.ndarray, score: float, count: int
) -> list[Candidate]:
    """Programs that differ from one by a single token.

    Args:
      grammar: what is valid.
      tokens: the program's ids with start and end, int64 [length].
      log_probs: of the token after each prefix, over what the grammar allows, [length - 1, ids];
        minus infinity elsewhere.
      score: the program's log-probability.
      count: the most programs.

    Returns:
      at most `count` candidates, most probable first. Their log-probabilities are estimates: what
      comes after the exchanged token counts as in the given program.
    """
    places = np.arange(len(tokens) - 1)
    gain = log_probs - log_probs[places, tokens[1:]][:, None]
    gain[places, tokens[1:]] = -np.inf
    gain[:, END] = -np.inf
    gain[tokens[1:] == END] = -np.inf
    order = np.argsort(-gain, axis=None, kind="stable")[: _LOOKED_AT * count]
    order = order[np.isfinite(gain.ravel()[order])]
    place, token = np.unravel_index(order, gain.shape)
    changed = np.repeat(tokens[None], len(order), axis=0)
    changed[np.arange(len(order)), place + 1] = token
    found: dict[Program, float] = {}
    for row in np.flatnonzero(valid(grammar, changed)):
        program = Program.from_tokens(changed[row].tolist())
        found.setdefault(program, score + float(gain[place[row], token[row]]))
        if len(found) == count:
            break
    return [Candidate(program, estimate) for program, estimate in found.items()]


def valid(grammar: Grammar, programs: np.ndarray) -> np.ndarray:
    """Which rows of ids with start and end, int64 [programs, length], the grammar allows."""
    rows = np.arange(len(programs))
    state = grammar.start(len(programs))
    for place in range(1, programs.shape[1]):
        allowed = grammar.mask(state)[np.arange(len(rows)), programs[rows, place]]
        rows, state = rows[allowed], state.take(np.flatnonzero(allowed))
        grammar.advance(state, programs[rows, place])
    result = np.zeros(len(programs), dtype=bool)
    result[rows[state.done]] = True
    return result


def best_seeds(
    executed: Sequence[tuple[Candidate, float]], used: set[Program], count: int
) -> list[Candidate]:
    """The candidates with the largest agreement that were not used yet; then the likelier ones."""
    fresh = [(one, agreement) for one, agreement in executed if one.program not in used]
    fresh.sort(key=lambda entry: (-entry[1], -entry[0].log_probability))
    return [one for one, _ in fresh[:count]]
