"""Tasks that a compiled program solves and a language model learns: prompts, answers, programs."""

from tracrlab.tasks.protocol import COMPUTE, END, OTHER, Example, Piece, Task, TestSet, example

__all__ = ["COMPUTE", "END", "OTHER", "Example", "Piece", "Task", "TestSet", "example"]
