"""How right predicted programs are: the one place where these figures are defined.

- *Token accuracy* (Inverse Tracr, section 5.5): share of the five slots of the true program's lines
  that are predicted right; padding lines are left out. *Content-token accuracy*: the same without
  slots that are predetermined (NA and the result).
- *Program at X %*: share of programs with at least X % of these slots right.
- *Exact*: everything right, length included; where programs are predicted as token ids, also
  constants, encodings and the order of operands.
- *Equivalent*: the predicted program can be evaluated and gives the true program's output on every
  input of the domain. *Verified*: see `tracrlab.decompiler.checking`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracrlab.decompiler.program_encoding import content_slots
from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.program import Program
from tracrlab.rasp.truth_table import evaluate

#: The thesis's levels of Table 9.1, in percent.
LEVELS = (100, 90, 80, 70, 60, 50)


@dataclass(frozen=True)
class SlotCounts:
    """Slots of each program's lines, int64 [programs].

    Attributes:
      right, slots: slots predicted right, and all, padding lines left out.
      content_right, content: the same without predetermined slots.
      exact: whether all lines are equal, padding lines too; bool.
    """

    right: np.ndarray
    slots: np.ndarray
    content_right: np.ndarray
    content: np.ndarray
    exact: np.ndarray


def count_slots(predicted: np.ndarray, true: np.ndarray) -> SlotCounts:
    """Compares lines, int64 [programs, 15, 5], slot by slot.

    Raises:
      TracrLabError: if the two have different shapes or a true program has no lines.
    """
    if predicted.shape != true.shape:
        raise TracrLabError(
            f"the predicted lines have shape {predicted.shape} and the true ones {true.shape}."
        )
    line = true.any(axis=2)
    if not line.any(axis=1).all():
        raise TracrLabError("a true program has no lines; leave it out.")
    equal = predicted == true
    content = content_slots(true)
    return SlotCounts(
        right=(equal & line[..., None]).sum(axis=(1, 2)),
        slots=line.sum(axis=1) * true.shape[2],
        content_right=(equal & content).sum(axis=(1, 2)),
        content=content.sum(axis=(1, 2)),
        exact=equal.all(axis=(1, 2)),
    )


def equivalent(predicted: Program | None, true: Program, domain: Domain) -> bool:
    """Whether the predicted program runs and gives the true one's output on every input.

    None is a prediction that is no program.
    """
    if predicted is None:
        return False
    if predicted == true:
        return True
    wanted = evaluate(true, domain).behaviour
    try:
        return evaluate(predicted, domain).behaviour == wanted
    except TracrLabError:
        return False


@dataclass(frozen=True)
class Scores:
    """The figures of a set of programs; shares are in percent.

    Attributes:
      programs: how many there are.
      tokens, content_tokens: accuracies over all slots of all programs.
      at_level: share of programs with at least this share of slots right, by `LEVELS`.
      exact, equivalent, verified: shares; None where it was not looked at.
    """

    programs: int
    tokens: float
    content_tokens: float
    at_level: dict[int, float]
    exact: float
    equivalent: float | None = None
    verified: float | None = None

    def row(self) -> dict[str, Any]:
        """One line of a table; columns that were not looked at are None."""
        levels = {f"program_at_{level}": self.at_level[level] for level in LEVELS}
        return {
            "programs": self.programs,
            "token_accuracy": self.tokens,
            "content_token_accuracy": self.content_tokens,
            **levels,
            "exact": self.exact,
            "equivalent": self.equivalent,
            "verified": self.verified,
        }


def score(
    predicted: np.ndarray,
    true: np.ndarray,
    *,
    exact: Sequence[bool] | None = None,
    equivalent: Sequence[bool] | None = None,
    verified: Sequence[bool] | None = None,
) -> Scores:
    """The figures of predicted lines, int64 [programs, 15, 5].

    Args:
      predicted: what was predicted.
      true: what was wanted.
      exact: whether each program is right as a whole; from the lines alone by default.
      equivalent: whether it is equivalent, where this was looked at.
      verified: whether it is verified, where this was looked at.

    Raises:
      TracrLabError: if there is no program, or the arguments do not belong together.
    """
    counts = count_slots(predicted, true)
    programs = len(true)
    if not programs:
        raise TracrLabError("there is no program to score; give at least one.")
    for name, flags in (("exact", exact), ("equivalent", equivalent), ("verified", verified)):
        if flags is not None and len(flags) != programs:
            raise TracrLabError(f"{name} has {len(flags)} entries for {programs} programs.")

    def percent(flags: Sequence[bool] | np.ndarray | None) -> float | None:
        return None if flags is None else 100 * float(np.mean(np.asarray(flags, dtype=bool)))

    return Scores(
        programs=programs,
        tokens=100 * float(counts.right.sum() / counts.slots.sum()),
        content_tokens=100 * float(counts.content_right.sum() / counts.content.sum()),
        # In whole numbers: 9 of 10 slots are 90 %, whatever 0.9 is as a float.
        at_level={level: percent(100 * counts.right >= level * counts.slots) for level in LEVELS},
        exact=percent(counts.exact if exact is None else exact),
        equivalent=percent(equivalent),
        verified=percent(verified),
    )


def score_by_ops(
    predicted: np.ndarray, true: np.ndarray, **flags: Sequence[bool] | None
) -> dict[int, Scores]:
    """As `score`, for the programs of each number of ops, fewest first."""
    n_ops = true.any(axis=2).sum(axis=1)
    result = {}
    for count in np.unique(n_ops).tolist():
        rows = np.flatnonzero(n_ops == count)
        chosen = {
            name: None if values is None else np.asarray(values)[rows]
            for name, values in flags.items()
        }
        result[count] = score(predicted[rows], true[rows], **chosen)
    return result


def score_table(scores: dict[int, Scores], total: Scores) -> list[dict[str, Any]]:
    """Rows by number of ops, the total last."""
    rows: list[dict[str, Any]] = [{"ops": str(count)} | one.row() for count, one in scores.items()]
    return [*rows, {"ops": "all"} | total.row()]


def share_by(keys: Iterable[Any], flags: Iterable[bool]) -> dict[Any, float]:
    """Percentage of true flags for each key, keys in order."""
    groups: dict[Any, list[bool]] = defaultdict(list)
    for key, flag in zip(keys, flags, strict=True):
        groups[key].append(bool(flag))
    return {key: 100 * float(np.mean(groups[key])) for key in sorted(groups)}
