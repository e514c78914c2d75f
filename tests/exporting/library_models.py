"""Library programs, compiled; a few of each shape of model."""

from functools import cache

from tracrlab.compiler import CompiledModel, compile
from tracrlab.rasp.library import LIBRARY

#: Numerical and categorical output, one layer and five, no MLP, several heads, causal.
NAMES = (
    "hist",
    "frac_prevs",
    "sort_unique",
    "most_frequent",
    "pair_balance",
    "shuffle_dyck1",
    "shift_by_1",
    "square_over_token",
    "causal_length",
)


@cache
def library_model(name: str) -> CompiledModel:
    entry = LIBRARY[name]
    return compile(entry.program, entry.vocab, entry.max_seq_len, entry.causal, inputs=entry.inputs)


def example(name: str):
    return LIBRARY[name].example
