"""Greedy and beam search over valid programs, for any model that says which token comes next."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tracrlab.decompiler.checking import Candidate
from tracrlab.decompiler.grammar import Grammar
from tracrlab.errors import TracrLabError
from tracrlab.rasp.program import Program
from tracrlab.rasp.tokens import START


class NextToken(Protocol):
    """What a meta-model has to offer to be decoded from."""

    def __call__(self, tokens: np.ndarray, source: np.ndarray, parent: np.ndarray) -> np.ndarray:
        """Scores of the next token.

        Args:
          tokens: prefixes, int64 [rows, length], the start symbol first.
          source: which of the given models each prefix is for, int64 [rows].
          parent: the row of the last call that each prefix goes on from, int64 [rows], for models
            that keep what they computed; at the first call it is the source itself.

        Returns:
          logits, float [rows, len(VOCABULARY)]; those of tokens that may not come are not used.
        """


def beam_search(
    next_token: NextToken, grammar: Grammar, sources: int = 1, beams: int = 1
) -> list[list[Candidate]]:
    """The most probable programs that the search finds, for each of the given models.

    Probabilities are over valid programs: at every token they are taken over what the grammar
    allows. One beam is greedy search. Programs that are equal in canonical form become one
    candidate with the sum of their probabilities.

    Args:
      next_token: the meta-model.
      grammar: what is valid.
      sources: how many models are decompiled side by side.
      beams: prefixes that are kept for each.

    Returns:
      for each source its candidates, most probable first; at least one, at most `beams`.

    Raises:
      TracrLabError: if a logit of an allowed token is not a number.
    """
    if beams < 1:
        raise TracrLabError(f"a search needs at least one beam, not {beams}.")
    state = grammar.start(sources)
    tokens = np.full((sources, 1), START, dtype=np.int64)
    source = np.arange(sources)
    scores = np.zeros(sources)
    parent = np.arange(sources)
    while not state.done.all():
        live = np.flatnonzero(~state.done)
        logits = next_token(tokens[live], source[live], parent[live])
        log_probs = log_probabilities(logits, grammar.mask(state.take(live)))
        rows, chosen, scores = _best_steps(live, log_probs, state.done, scores, source, beams)
        state, source = state.take(rows), source[rows]
        tokens = np.concatenate([tokens[rows], chosen[:, None]], axis=1)
        grammar.advance(state, chosen)  # what has ended takes padding
        # Rows of the call that was just made; what has ended is never asked for again.
        parent = np.searchsorted(live, rows)
    return [_candidates(tokens[source == one], scores[source == one]) for one in range(sources)]


def log_probabilities(logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Log-probabilities over the allowed tokens; minus infinity for others."""
    scores = np.where(mask, logits.astype(np.float64), -np.inf)
    largest = scores.max(axis=1, keepdims=True)
    if not np.isfinite(largest).all():
        raise TracrLabError(
            "the meta-model gave logits that are not finite; its checkpoint is damaged."
        )
    return scores - largest - np.log(np.exp(scores - largest).sum(axis=1, keepdims=True))


def _best_steps(
    live: np.ndarray,
    log_probs: np.ndarray,
    done: np.ndarray,
    scores: np.ndarray,
    source: np.ndarray,
    beams: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best continuations of each source: row, token and score, sources in order."""
    kept = min(beams, log_probs.shape[1])
    top = np.argpartition(-log_probs, kept - 1, axis=1)[:, :kept]
    steps = np.take_along_axis(log_probs, top, axis=1)
    ended = np.flatnonzero(done)
    rows = np.concatenate([np.repeat(live, kept), ended])
    chosen = np.concatenate([top.ravel(), np.zeros(len(ended), dtype=np.int64)])
    totals = np.concatenate([(scores[live][:, None] + steps).ravel(), scores[ended]])
    # Best first within each source; equal ones by row and token, so that runs agree.
    order = np.lexsort((chosen, rows, -totals, source[rows]))
    order = order[np.isfinite(totals[order])]
    by_source = source[rows[order]]
    first = np.searchsorted(by_source, by_source)
    order = order[np.arange(len(order)) - first < beams]
    return rows[order], chosen[order], totals[order]


def _candidates(tokens: np.ndarray, scores: np.ndarray) -> list[Candidate]:
    total: dict[Program, float] = {}
    for ids, score in zip(tokens.tolist(), scores.tolist(), strict=True):
        program = Program.from_tokens(ids)
        total[program] = float(np.logaddexp(total.get(program, -np.inf), score))
    found = [Candidate(program, score) for program, score in total.items()]
    return sorted(found, key=lambda candidate: -candidate.log_probability)
