"""The RASP language: programs as executable values, their truth tables, and a sampler of them."""

from tracrlab.rasp.domain import Domain
from tracrlab.rasp.program import Op, Program
from tracrlab.rasp.truth_table import TruthTable, UndefinedProgramError, evaluate

__all__ = ["Domain", "Op", "Program", "TruthTable", "UndefinedProgramError", "evaluate"]
