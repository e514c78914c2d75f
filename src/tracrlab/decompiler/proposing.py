"""What a meta-model proposes for given weights: candidates, most probable first.

Both meta-models are asked in the same way, so that they are searched, executed and measured alike.
The weights are read once; how many candidates are wanted may grow afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import nn

from tracrlab.compiler.model import CompiledModel
from tracrlab.decompiler.batches import pad_blocks
from tracrlab.decompiler.checking import Candidate
from tracrlab.decompiler.circuit_model import CircuitModel, CircuitTensors
from tracrlab.decompiler.circuits import circuit_of, pad_circuits
from tracrlab.decompiler.decoding import beam_search, log_probabilities
from tracrlab.decompiler.encoder_decoder import Reading
from tracrlab.decompiler.grammar import Grammar, allowed_tokens
from tracrlab.decompiler.line_model import LineModel, predicted_lines
from tracrlab.decompiler.line_programs import completions
from tracrlab.decompiler.model import MetaModel, ParameterTensors
from tracrlab.decompiler.model_folder import Description
from tracrlab.decompiler.parameter_tokens import (
    as_numbers,
    count_tokens,
    encode_tokens,
    pad_tokens,
)
from tracrlab.decompiler.program_encoding import line_form, pad_programs
from tracrlab.decompiler.repairing import neighbours, valid
from tracrlab.decompiler.symbols import Numbering
from tracrlab.decompiler.token_tables import SIZE
from tracrlab.decompiler.weight_blocks import BLOCK, encode_blocks
from tracrlab.errors import TracrLabError
from tracrlab.rasp.program import CATEGORICAL, Program
from tracrlab.rasp.tokens import PAD

#: Programs whose probabilities are computed at once.
_SCORED_AT_ONCE = 64


class Proposals(Protocol):
    """What a meta-model has read of a batch of models."""

    def candidates(self, rows: Sequence[int], count: int) -> list[list[Candidate]]:
        """At most `count` candidates for each of the given models, most probable first."""

    def near(self, row: int, candidate: Candidate, count: int) -> list[Candidate]:
        """At most `count` candidates that are one token away from one of model `row`'s."""

    def scored(self, row: int, programs: Sequence[Program]) -> list[Candidate]:
        """Programs with their probabilities for model `row`, most probable first.

        Those that the grammar does not allow are left out.
        """

    def lines(self, first: Sequence[Candidate | None]) -> np.ndarray:
        """The meta-model's first answer as the thesis's lines, int64 [models, 15, 5].

        Args:
          first: the most probable candidate of each model.
        """


class TokenProposals:
    """Our meta-models': beam search over valid programs."""

    def __init__(
        self,
        model: MetaModel | CircuitModel,
        grammar: Grammar,
        weights: ParameterTensors | CircuitTensors,
    ):
        self._reading, self._grammar = Reading(model, weights), grammar

    def candidates(self, rows: Sequence[int], count: int) -> list[list[Candidate]]:
        chosen = np.asarray(rows, dtype=np.int64)

        def logits(tokens: np.ndarray, source: np.ndarray, parent: np.ndarray) -> np.ndarray:
            return self._reading(tokens, chosen[source], parent)

        return beam_search(logits, self._grammar, len(chosen), count)

    def near(self, row: int, candidate: Candidate, count: int) -> list[Candidate]:
        def logits(prefixes: np.ndarray) -> np.ndarray:
            return self._reading.along(prefixes, np.array([row]))[0]

        return _near(self._grammar, candidate, logits, count)

    def scored(self, row: int, programs: Sequence[Program]) -> list[Candidate]:
        found = []
        for start in range(0, len(programs), _SCORED_AT_ONCE):
            part = _allowed(self._grammar, programs[start : start + _SCORED_AT_ONCE])
            if not part:
                continue
            tokens = pad_programs([program.tokens() for program in part])
            logits = self._reading.along(tokens[:, :-1], np.full(len(part), row))
            for program, scores, ids, allowed in zip(
                part, logits, tokens[:, 1:], allowed_tokens(self._grammar, tokens), strict=True
            ):
                places = np.flatnonzero(ids != PAD)
                log_probs = log_probabilities(scores[places], allowed[places])
                found.append(Candidate(program, float(log_probs[places, ids[places]].sum())))
        return sorted(found, key=lambda one: -one.log_probability)

    def lines(self, first: Sequence[Candidate | None]) -> np.ndarray:
        return line_form([one.program.tokens() if one else [] for one in first])


class LineProposals:
    """The thesis's meta-model's: its lines, with what they leave out filled in.

    All candidates of a model have the probability of its lines.
    """

    def __init__(self, model: LineModel, grammar: Grammar, blocks: np.ndarray, mask: np.ndarray):
        device = next(model.parameters()).device
        with torch.inference_mode():
            logits = model(torch.from_numpy(blocks).to(device), torch.from_numpy(mask).to(device))
            lines = predicted_lines(logits)
            self._log_probability = _line_log_probability(logits, lines).cpu().numpy()
        self._lines = lines.cpu().numpy()
        self._grammar = grammar
        self._left = [completions(one, grammar) for one in self._lines]
        self._found: list[list[Candidate]] = [[] for _ in self._lines]

    def candidates(self, rows: Sequence[int], count: int) -> list[list[Candidate]]:
        for row in rows:
            more = islice(self._left[row], max(count - len(self._found[row]), 0))
            score = float(self._log_probability[row])
            self._found[row] += [Candidate(program, score) for program in more]
        return [self._found[row][:count] for row in rows]

    def near(self, row: int, candidate: Candidate, count: int) -> list[Candidate]:
        def even(prefixes: np.ndarray) -> np.ndarray:
            return np.zeros((prefixes.shape[1], SIZE))  # lines say nothing of tokens

        return _near(self._grammar, candidate, even, count)

    def scored(self, row: int, programs: Sequence[Program]) -> list[Candidate]:
        score = float(self._log_probability[row])
        return [Candidate(program, score) for program in _allowed(self._grammar, programs)]

    def lines(self, first: Sequence[Candidate | None]) -> np.ndarray:
        return self._lines


def _line_log_probability(logits: list[torch.Tensor], lines: torch.Tensor) -> torch.Tensor:
    """Log-probability of each model's lines and of the end after them; [models]."""
    used = lines.any(dim=2)
    total = sum(
        slot.log_softmax(dim=-1).gather(2, lines[..., number, None])[..., 0]
        for number, slot in enumerate(logits)
    )
    ended = torch.zeros_like(used)
    ended[:, 1:] = used[:, :-1] & ~used[:, 1:]
    ended[:, 0] = ~used[:, 0]
    # At the end only that there is no further op counts.
    no_op = logits[0].log_softmax(dim=-1)[..., 0]
    return (total * used).sum(dim=1) + (no_op * ended).sum(dim=1)


def _allowed(grammar: Grammar, programs: Sequence[Program]) -> list[Program]:
    """Those of the programs that the grammar allows."""
    if not programs:
        return []
    kept = valid(grammar, pad_programs([program.tokens() for program in programs]))
    return [program for program, good in zip(programs, kept, strict=True) if good]


def _near(
    grammar: Grammar,
    candidate: Candidate,
    logits: Callable[[np.ndarray], np.ndarray],
    count: int,
) -> list[Candidate]:
    """What is one token away from a candidate, by logits [length, ids] of prefixes [1, length]."""
    tokens = pad_programs([candidate.program.tokens()])
    allowed = allowed_tokens(grammar, tokens)[0]
    log_probs = log_probabilities(logits(tokens[:, :-1]), allowed)
    return neighbours(grammar, tokens[0], log_probs, candidate.log_probability, count)


class OwnSymbolProposals:
    """What was proposed for numbered symbols, in the symbols of each model."""

    def __init__(self, numbered: Proposals, numberings: Sequence[Numbering]):
        self._numbered, self._numberings = numbered, numberings
        self._origins: list[dict[Program, Program]] = [{} for _ in numberings]

    def candidates(self, rows: Sequence[int], count: int) -> list[list[Candidate]]:
        found = self._numbered.candidates(rows, count)
        return [self._own(row, each) for row, each in zip(rows, found, strict=True)]

    def near(self, row: int, candidate: Candidate, count: int) -> list[Candidate]:
        origin = replace(candidate, program=self._origin(row, candidate.program))
        return self._own(row, self._numbered.near(row, origin, count))

    def scored(self, row: int, programs: Sequence[Program]) -> list[Candidate]:
        origins = [self._origin(row, program) for program in programs]
        return self._own(row, self._numbered.scored(row, origins))

    def _origin(self, row: int, program: Program) -> Program:
        """What was proposed, or would have been."""
        return self._origins[row].get(program) or self._numberings[row].untranslated(program)

    def _own(self, row: int, found: Sequence[Candidate]) -> list[Candidate]:
        own = [replace(one, program=self._numberings[row].translated(one.program)) for one in found]
        for one, origin in zip(own, found, strict=True):
            self._origins[row].setdefault(one.program, origin.program)
        return own

    def lines(self, first: Sequence[Candidate | None]) -> np.ndarray:
        return self._numbered.lines(first)


def read(
    model: nn.Module, description: Description, grammar: Grammar, models: Sequence[CompiledModel]
) -> Proposals:
    """Reads models with a meta-model, which sees numbers in place of their symbols.

    Raises:
      TracrLabError: if one of them is larger than the meta-model's limits.
    """
    for one in models:
        check_size(one, description)
    numberings = [Numbering.of(one) for one in models]
    numbered = [numbering.numbered(one) for numbering, one in zip(numberings, models, strict=True)]
    return OwnSymbolProposals(_read_numbered(model, grammar, numbered), numberings)


def _read_numbered(
    model: nn.Module, grammar: Grammar, models: Sequence[CompiledModel]
) -> Proposals:
    if isinstance(model, LineModel):
        steps = [encode_blocks(one.architecture, _flat(one)) for one in models]
        return LineProposals(model, grammar, *pad_blocks(steps))
    encode = circuit_of if isinstance(model, CircuitModel) else encode_tokens
    encoded = [encode(one.architecture, _flat(one), _output_values(one)) for one in models]
    for one in encoded:
        model.check_fits(one)
    device = next(model.parameters()).device
    if isinstance(model, CircuitModel):
        return TokenProposals(model, grammar, CircuitTensors.of(pad_circuits(encoded), device))
    return TokenProposals(model, grammar, ParameterTensors.of(pad_tokens(encoded), device))


def check_size(model: CompiledModel, description: Description) -> None:
    """Refuses a model beyond a meta-model's limits, before anything is made of it.

    Raises:
      TracrLabError: saying its size and the limit.
    """
    if description.method == "circuits":
        return  # its circuit has few nodes; see `CircuitModel.check_fits`
    if description.method == "lines":
        sizes = model.architecture.shapes.values()
        size, limit = sum(-(-rows * columns // BLOCK) for rows, columns in sizes), "max_blocks"
        what = f"blocks of {BLOCK} weights"
    else:
        size, limit, what = count_tokens(model.architecture), "max_tokens", "units"
    most = description.limits[limit]
    if size > most:
        raise TracrLabError(
            f"the model has {size:,} {what} and the decompiler reads at most {most:,}; take a "
            "smaller model or a decompiler that was trained on larger ones."
        )


def _flat(model: CompiledModel) -> np.ndarray:
    for name, weight in model.weights.items():
        if not np.isfinite(weight).all():
            raise TracrLabError(f"the model's weight {name} holds numbers that are not finite.")
    return model.architecture.flatten(model.weights)


def _output_values(model: CompiledModel) -> np.ndarray | None:
    return as_numbers(model.output_values) if model.output_encoding == CATEGORICAL else None
