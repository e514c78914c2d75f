"""Sampled teachers of a small domain."""

from functools import lru_cache

from tracrlab.compiler import CompiledModel, compile_table
from tracrlab.rasp.sampler import SamplerSettings, sample
from tracrlab.rasp.truth_table import TruthTable
from tracrlab.students.student import Teacher


@lru_cache(maxsize=64)
def teacher(index: int, *, causal: bool = False) -> tuple[CompiledModel, TruthTable]:
    """A compiled program of 4 to 7 ops over three symbols, and its table."""
    settings = SamplerSettings((0, 1, 2), 4, causal, min_ops=4, max_ops=7)
    table = sample(settings, 11, index).table
    return compile_table(table), table


def teachers(count: int) -> list[Teacher]:
    """The first teachers."""
    return [Teacher(index, *teacher(index)) for index in range(count)]
